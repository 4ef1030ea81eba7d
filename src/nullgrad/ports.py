"""What the run needs from outside, as protocols; `edges` implements them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nullgrad.core.chat import Failed, Reply, Request
from nullgrad.core.effects import About
from nullgrad.core.events import Event


class Model(Protocol):
    """One model behind one endpoint.

    Attributes:
        identity: endpoint's declared name and model, for `local:` also weights, engine and settings; hashed into requests.
        name: what the user wrote, for display and prices.
        simulated: whether the model is a simulation, which every output must then say.
        constrains: whether the engine can hold a reply to `Request.choices`.
        max_concurrency: the most calls worth having in flight, None for no limit of its own.
        max_logprobs: how many alternatives per token it can return, 0 for none.
    """

    identity: str
    name: str
    simulated: bool
    constrains: bool
    max_concurrency: int | None
    max_logprobs: int

    async def open(self) -> None:
        """Get ready (connect, load weights). Called once before the first call.

        Raises:
            UserError: it cannot be used as configured (no key, no such file).
        """
        ...

    async def call(self, request: Request) -> Reply:
        """Ask once; no retries of its own.

        Raises:
            CallError: this call failed; says whether another try may succeed.
            UserError: no call can succeed (wrong key, unknown model, a parameter the endpoint refuses).
        """
        ...

    async def close(self) -> None:
        """Release connections and processes. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One answered call as it is appended.

    Attributes:
        identity: `request.identity()`.
        request: the request.
        answer: the reply, or the failure that a decision is based on.
        about: what it was first asked for, and thus who paid.
        attempts: how often it was sent, at least 1.
        seconds: wall time of the successful attempt.
    """

    identity: str
    request: Request
    answer: Reply | Failed
    about: About
    attempts: int
    seconds: float


@runtime_checkable
class Ledger(Protocol):
    """The append-only record of replies and facts. Each method is called from one thread at a time."""

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        """What is known of these requests; absent ones are left out."""
        ...

    def append(
        self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
    ) -> int | None:
        """Write all in one transaction, durable against a killed process when it returns.

        `events` are (run identity, event). What is already there is left as it is.

        Args:
            wait: whether it may take its time; else nothing is written where it would have to wait for anything.

        Returns:
            How many of the records are new to the ledger; None where nothing was written.

        Raises:
            LedgerError: the disk is full, the file is read-only or locked.
        """
        ...

    def begin_run(self, run: str, spec: str) -> None:
        """Register a run by its identity with its specification as JSON; again is a resume."""
        ...

    def test_openings(self, task: str, run: str) -> int:
        """How many openings of the sealed test of a task (by its digest) are recorded of runs begun before `run`."""
        ...

    def close(self) -> None:
        """Flush and close. Safe to call twice."""
        ...


class Observer(Protocol):
    """Told of everything, decides nothing; called on the driving thread and must return at once."""

    def on_event(self, event: Event) -> None:
        """A fact was stated."""
        ...

    def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
        """A call was answered; `source` is `paid`, `replayed` or `joined`."""
        ...

    def on_notice(self, text: str) -> None:
        """Something a person should know while it runs: a retry, an overload, a pause."""
        ...
