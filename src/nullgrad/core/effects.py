"""The three effects that a trial can yield, and the typed helpers that are the only way to yield them.

Whatever decides is a generator without I/O: it yields an effect and receives the result. Children of
`parallel` share no mutable state, and a `finally` never yields: generators are closed on budget, Ctrl-C or error.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from nullgrad.core.chat import Failed, Reply, Request, Role
from nullgrad.core.events import Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class About:
    """What a call is for. No part of the request's identity.

    Attributes:
        role: generator, optimizer, critic or judge.
        stage: `forward`, `rewrite`, `improve`, `one-step`, `gradient-output`, `gradient-prompt`, `gradient-update`, `judge`, `foreign`.
        arm: canonical arm, "" outside arms.
        trial: trial number, from 0.
        split: train, validation or test, "" for calls on no example.
        example: id of the example, "" for calls on no example.
        step: from 1; 0 before the first step and for the test.
        variant: from 0; -1 for the current candidate.
        text: name of the candidate's text that an optimizer call works on, "" for the generator's prompt.
        cell: the study's cell (task and models), "" outside studies.
    """

    role: Role
    stage: str
    arm: str = ""
    trial: int = 0
    split: str = ""
    example: str = ""
    step: int = 0
    variant: int = 0
    cell: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a model; comes back as `Reply`, or as `Failed` under the policy `missing`."""

    request: Request
    about: About


@dataclass(frozen=True, slots=True)
class Parallel:
    """Drive generators side by side; comes back as the list of their results, in order."""

    generators: tuple[Generator[Any, Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Emit:
    """State a fact; comes back as None."""

    event: Event


Effect = Ask | Parallel | Emit


def ask(request: Request, about: About) -> Generator[Effect, Any, Reply | Failed]:
    """Ask a model and return its reply, or `Failed` where the call failed for good."""
    answer: Reply | Failed = yield Ask(request, about)
    return answer


def parallel(generators: Iterable[Generator[Effect, Any, T]]) -> Generator[Effect, Any, list[T]]:
    """Drive `generators` side by side, without a barrier between their stages; results in order.

    If one ends in an error, its siblings are closed and the error is raised here.
    """
    results: list[T] = yield Parallel(tuple(generators))
    return results


def emit(event: Event) -> Generator[Effect, Any, None]:
    """State a fact that folds into progress, lineage and the ledger."""
    yield Emit(event)
