"""A simulated world as a `Model`: it answers ordinary requests, and nothing tells it what they are for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import numpy as np

from nullgrad.core.chat import Reply, Request, TokenLogprob, Usage
from nullgrad.edges.sim.forms import read_request
from nullgrad.edges.sim.generic import foreign_reply
from nullgrad.edges.sim.messages import check_class, find_message, rest_key, unreadable
from nullgrad.edges.sim.mix import mix, uniform
from nullgrad.edges.sim.optimizer import reply_to
from nullgrad.edges.sim.proposals import STAGE_KEYS
from nullgrad.edges.sim.signal import log_softmax
from nullgrad.edges.sim.stages import any_value, recognize
from nullgrad.edges.sim.vocabulary import Message
from nullgrad.edges.sim.worlds import World
from nullgrad.errors import CallError, UserError


class SimModel:
    """A world behind the port: `open_model("sim:gradient?rho=0.9")`.

    Attributes:
        world: the world that answers.
    """

    simulated = True
    constrains = True
    max_concurrency: int | None = None

    def __init__(self, world: World, name: str = "") -> None:
        self.world = world
        self.name = name or world.spec
        self.identity = world.identity
        self.max_logprobs = world.size if world.dials.logprobs else 0
        self._attempts: dict[str, int] = {}

    async def open(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """The world's reply; its usage counts words, for want of tokens.

        Raises:
            CallError: the dials `fail` and `fail_for_good` say so, by request and attempt.
            UserError: the world cannot read the request.
        """
        await self._troubles(request)
        return self.reply(request)

    def reply(self, request: Request) -> Reply:
        """The reply, a function of the request alone.

        Raises:
            UserError: the world cannot read the request.
        """
        asked = recognize(request.messages)
        if asked is not None:
            return self._said(request, reply_to(self.world, asked, request.draw))
        if recognize(request.messages, any_value) is not None:
            raise unreadable(self.world.spec, request.messages[-1].content)
        place, message = find_message(request.messages)
        sought = None if _ends_with(request, place, message) else read_request(request.messages)
        if sought is not None and sought.kind != "answer":
            return self._said(request, foreign_reply(self.world, sought, request.draw))
        if message is None:
            raise unreadable(self.world.spec, request.messages[-1].content if request.messages else "")
        return self._forward(request, place, message, sought.write if sought else str)

    def _forward(self, request: Request, place: int, message: Message, write: Callable[[str], str]) -> Reply:
        world = self.world
        check_class(message, world.size, world.spec)
        prompt = "\n\n".join(
            one.content[: message.start] if number == place else one.content
            for number, one in enumerate(request.messages[: place + 1])
        )
        clean = world.effect(prompt).scores(message.label, message.topic, message.number)
        noise = world.noise.spread(
            world.noise.of_call(rest_key(request.messages, place, message), message.key, request.draw)
        )
        scores = [one + more for one, more in zip(clean, noise, strict=True)]
        label = world.labels[scores.index(max(scores))]
        return self._said(request, write(label), self._logprobs(scores, label) if request.logprobs else ())

    def _logprobs(self, scores: Sequence[float], label: str) -> tuple[TokenLogprob, ...]:
        """Of every label, as if each were one token."""
        values = log_softmax(np.array([scores]))[0].tolist()
        top = sorted(zip(self.world.labels, values, strict=True), key=lambda one: -one[1])
        return (TokenLogprob(label, dict(top)[label], tuple(top)),)

    def _said(self, request: Request, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> Reply:
        words = sum(len(message.content.split()) for message in request.messages)
        return Reply(text, "stop", Usage(words, len(text.split())), self.identity, logprobs=logprobs)

    async def _troubles(self, request: Request) -> None:
        """Latency and failures, each a function of request and attempt."""
        dials = self.world.dials
        if not (dials.latency or dials.fail or dials.fail_for_good):
            return
        identity = request.identity()
        key = mix(self.world.key, int(identity[:16], 16))
        attempt = self._attempts.get(identity, 0)
        if dials.latency:
            await asyncio.sleep(-dials.latency * math.log(uniform(_keyed(key, "latency", attempt))))
        if uniform(_keyed(key, "fail-for-good", 0)) < dials.fail_for_good:
            raise CallError(
                "rejected", "The simulated endpoint refuses this request.", status=400, retryable=False
            )
        if uniform(_keyed(key, "fail", attempt)) < dials.fail:
            self._attempts[identity] = attempt + 1
            raise CallError("server", "The simulated endpoint failed.", status=500, retryable=True)
        self._attempts.pop(identity, None)


def _keyed(key: int, purpose: str, attempt: int) -> int:
    return mix(mix(key, STAGE_KEYS[purpose]), attempt)


def _ends_with(request: Request, place: int, message: Message | None) -> bool:
    """Whether an example ends the request, as in a forward call, whatever the prompt before it talks about."""
    if message is None or place != len(request.messages) - 1:
        return False
    return not request.messages[place].content[message.stop :].strip()


def open_sim(spec: str) -> SimModel:
    """The model that `sim:WORLD?dial=value&…` means.

    Raises:
        UserError: there is no such world or dial.
    """
    from nullgrad.edges.sim.worlds import parse_world

    return SimModel(parse_world(spec), spec)


__all__ = ["SimModel", "UserError", "open_sim"]
