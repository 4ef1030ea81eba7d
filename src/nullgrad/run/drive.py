"""Advances generators of requests: everything that decides runs here, between two awaits.

Ready generators are advanced until each waits for an answer; their requests then go to `Asking` in one
batch, so that the ledger is looked up once for hundreds of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Ask, Effect, Emit, Parallel
from nullgrad.core.events import Event

T = TypeVar("T")

Deliver = Callable[[Reply | Failed | BaseException], None]


class Asking(Protocol):
    """What answers requests; `run.ask.Asker` in a run, a list of replies in a test."""

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        """Take requests; each `deliver` is called exactly once, now or later, on the driving thread."""
        ...

    def state(self, event: Event) -> None:
        """Take a fact."""
        ...


class _Node:
    """One generator with its place in the tree."""

    __slots__ = ("children", "finish", "generator", "live", "parent", "pending", "results", "slot")

    def __init__(
        self,
        generator: Generator[Effect, Any, Any],
        parent: _Node | None,
        slot: int,
        finish: Callable[[Any, BaseException | None], None] | None = None,
    ) -> None:
        self.generator = generator
        self.parent = parent
        self.slot = slot
        self.finish = finish
        self.live = True
        self.pending = 0
        self.results: list[Any] = []
        self.children: list[_Node] = []


class Driver:
    """Drives any number of generators over one `Asking`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._ready: deque[tuple[_Node, Any, BaseException | None]] = deque()
        self._asks: list[tuple[_Node, Ask]] = []
        self._roots: set[_Node] = set()
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def drive(self, generator: Generator[Effect, Any, T]) -> T:
        """Drive one generator to its end.

        Cancelling the task closes the generator and its children.

        Raises:
            BaseException: whatever the generator, or asking on its behalf, raised.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        root = _Node(generator, None, 0, finish)
        self._roots.add(root)
        self._ready.append((root, None, None))
        self._schedule(loop)
        try:
            return await done
        finally:
            self._close(root)
            self._roots.discard(root)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop = loop
            loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        try:
            while self._ready:
                while self._ready:
                    self._advance(*self._ready.popleft())
                if self._asks:
                    asks, self._asks = self._asks, []
                    # A sibling's error in this same turn may have closed who asked.
                    live = [(ask, self._deliverer(node)) for node, ask in asks if node.live]
                    if live:
                        self._asking.submit(live)
        except Exception as error:
            # Nobody awaits this callback: an error of the ledger or an observer must not leave the roots waiting.
            for root in list(self._roots):
                # A generator that does not close must not hide the error, nor keep the other roots waiting.
                with suppress(Exception):
                    self._close(root)
                if root.finish is not None:
                    root.finish(None, error)

    def _advance(self, node: _Node, value: Any, error: BaseException | None) -> None:
        while node.live:
            try:
                if error is not None:
                    effect = node.generator.throw(error)
                else:
                    effect = node.generator.send(value)
            except StopIteration as stop:
                self._end(node, stop.value, None)
                return
            except BaseException as raised:
                self._end(node, None, raised)
                return
            value = error = None
            if isinstance(effect, Ask):
                self._asks.append((node, effect))
                return
            if isinstance(effect, Emit):
                self._asking.state(effect.event)
                continue
            if isinstance(effect, Parallel):
                if not effect.generators:
                    value = []
                    continue
                node.results = [None] * len(effect.generators)
                node.pending = len(effect.generators)
                node.children = [_Node(child, node, slot) for slot, child in enumerate(effect.generators)]
                self._ready.extend((child, None, None) for child in node.children)
                return
            error = TypeError(f"a generator yielded {effect!r}, which is no effect")

    def _deliverer(self, node: _Node) -> Deliver:
        def deliver(answer: Reply | Failed | BaseException) -> None:
            if not node.live:
                return
            if isinstance(answer, BaseException):
                self._ready.append((node, None, answer))
            else:
                self._ready.append((node, answer, None))
            if self._loop is not None:
                self._schedule(self._loop)

        return deliver

    def _end(self, node: _Node, result: Any, error: BaseException | None) -> None:
        node.live = False
        parent = node.parent
        if parent is None:
            if node.finish is not None:
                node.finish(result, error)
            return
        if not parent.live:
            return
        if error is not None:
            for sibling in parent.children:
                self._close(sibling)
            parent.children = []
            self._ready.append((parent, None, error))
            return
        parent.results[node.slot] = result
        parent.pending -= 1
        if parent.pending == 0:
            results, parent.results, parent.children = parent.results, [], []
            self._ready.append((parent, results, None))

    def _close(self, node: _Node) -> None:
        if not node.live:
            return
        node.live = False
        for child in node.children:
            self._close(child)
        node.children = []
        node.generator.close()
