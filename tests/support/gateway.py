"""A gateway in the test's own loop, over scripted models."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from nullgrad.api.optimization import Quiet
from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.core.foreign import Caller
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.task import TaskView
from nullgrad.edges.gateway.server import Gateway
from nullgrad.edges.ledger.store import SqlLedger, open_ledger
from nullgrad.run.budget import Limits
from nullgrad.run.foreign import Desk
from nullgrad.run.foreign_tally import Tally
from nullgrad.run.retry import RetryPolicy
from nullgrad.run.session import Session

CALLER = Caller("lib/correct/correct", 0, "generator")
SWIFT = RetryPolicy(attempts=2, base=0.001, cap=0.001)

Answer = Callable[[Request], Awaitable[Reply]]


class Scripted:
    """A model that answers by a function and keeps what it was asked."""

    simulated = True
    constrains = False
    max_concurrency: int | None = None

    def __init__(self, answer: Answer | None = None, name: str = "script:test", logprobs: int = 0) -> None:
        self.identity = self.name = name
        self.max_logprobs = logprobs
        self.asked: list[Request] = []
        self._answer = answer or self._echo

    async def open(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""

    async def call(self, request: Request) -> Reply:
        """Answer."""
        self.asked.append(request)
        return await self._answer(request)

    async def _echo(self, request: Request) -> Reply:
        return Reply(f"{request.messages[-1].content} by draw {request.draw}", "stop", Usage(5, 3))


@dataclass
class Open:
    """What a test holds of an open gateway."""

    desk: Desk
    gateway: Gateway
    session: Session
    tally: Tally
    ledger: SqlLedger
    model: Scripted
    client: aiohttp.ClientSession
    keys: dict[Caller, str] = field(default_factory=dict)

    def key(self, caller: Caller = CALLER) -> str:
        """The caller's key."""
        if caller not in self.keys:
            self.keys[caller] = self.gateway.issue(caller, "run")
        return self.keys[caller]

    async def post(
        self,
        text: str = "hi",
        caller: Caller = CALLER,
        path: str = "/v1/chat/completions",
        /,
        **more: Any,
    ) -> tuple[int, Any]:
        """Status and body of a call."""
        body = {"model": "test", "messages": [{"role": "user", "content": text}], **more}
        if path != "/v1/chat/completions":
            body = more
        url = self.gateway.base_url.removesuffix("/v1") + path
        headers = {"Authorization": f"Bearer {self.key(caller)}"}
        async with self.client.post(url, json=body, headers=headers) as response:
            raw = await response.read()
            assert (response.status == 200) == ("x-should-retry" not in response.headers)
            return response.status, json.loads(raw) if response.content_type.endswith("json") else raw

    async def score(self, id_: str, text: str, target: str) -> tuple[int, Any]:
        """Status and body of a question for the score of an output."""
        return await self.post("", CALLER, "/nullgrad/score", id=id_, text=text, target=target)

    async def text(self, text: str = "hi", caller: Caller = CALLER, /, **more: Any) -> str:
        """The text of a reply."""
        status, value = await self.post(text, caller, **more)
        assert status == 200, value
        return str(value["choices"][0]["message"]["content"])


@contextlib.asynccontextmanager
async def opened(
    folder: Path,
    *,
    model: Scripted | None = None,
    allowance: Allowance | None = None,
    limits: Limits | None = None,
    view: TaskView | None = None,
    independent: bool = False,
    concurrency: int = 8,
    any_model: bool = False,
) -> AsyncIterator[Open]:
    """A gateway whose ledger lies in a folder; `CALLER`'s trial is admitted."""
    from nullgrad.api.foreign import scoring

    model = model or Scripted()
    ledger = open_ledger(folder / "ledger.db")
    roles = dict.fromkeys(("generator", "optimizer", "judge"), model)
    tally = Tally(Quiet(), dict.fromkeys(roles, model.identity), None)  # type: ignore[misc]
    session = Session(
        {model.identity: model},
        ledger,
        tally,
        "run",
        limits=limits,
        concurrency=concurrency,
        retry=SWIFT,
        patience=1.0,
    )
    try:
        async with session, aiohttp.ClientSession() as client:
            desk = Desk(session, roles, tally, independent=independent)  # type: ignore[arg-type]
            desk.admit(CALLER.arm, CALLER.trial, allowance)
            gateway = Gateway(desk, any_model=any_model, score=scoring(desk, view) if view else None)
            await gateway.start()
            try:
                yield Open(desk, gateway, session, tally, ledger, model, client)
            finally:
                await session.drain()
                await gateway.stop()
    finally:
        ledger.close()
