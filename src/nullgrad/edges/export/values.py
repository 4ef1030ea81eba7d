"""What an export is given: evaluated prompts with their transcripts, and runs with their figures. Nothing here is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nullgrad.core.chat import Failed, Reply, Request, Sampling
from nullgrad.core.task import Example, Outcome
from nullgrad.errors import UserError

Purpose = Literal["seed", "best", "final"]
"""Which prompt was read on the sealed test: the seed prompt, the reported one, or a trial's final one."""

NOTHING = "Nothing was written."


@dataclass(frozen=True, slots=True)
class EvaluatedExample:
    """One test example under one prompt.

    Attributes:
        example: input and target.
        request: what was sent to the generator.
        reply: what came back.
        outcome: what became of it.
        score: 0 to 1 as it counts in the mean; None where it counts not at all.
        seconds: wall time of the call when it was paid for.
        at: when its reply was recorded, ISO 8601 in UTC.
    """

    example: Example
    request: Request
    reply: Reply | Failed
    outcome: Outcome
    score: float | None
    seconds: float
    at: str


@dataclass(frozen=True, slots=True)
class EvaluatedPrompt:
    """One reading of the sealed test.

    Attributes:
        run, version, begun: of nullgrad's run: its identity, nullgrad's version, ISO 8601 in UTC.
        task: its name; `digest` is the hash of its content.
        model: the generator as the user wrote it; `simulated` whether it is a simulation or a script.
        sampling: what the user set for it.
        scorer, scorer_options: kind and options of the task's scorer.
        cell, arm, trial, purpose: which prompt of the run; the cell is "" outside studies.
        prompt, format: the texts.
        examples: in the order of the split.
        score, interval: mean, and Wilson's 95 % where scores are right or wrong; shares, None where unknown.
        graded: whether scores are other than right or wrong.
    """

    run: str
    version: str
    begun: str
    task: str
    digest: str
    model: str
    simulated: bool
    sampling: Sampling
    scorer: str
    scorer_options: dict[str, Any]
    cell: str
    arm: str
    trial: int
    purpose: Purpose
    prompt: str
    format: str
    examples: tuple[EvaluatedExample, ...]
    score: float | None
    interval: tuple[float, float] | None
    graded: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a run; `step` is None for one of the whole run."""

    name: str
    value: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as experiment trackers keep it.

    Attributes:
        name: for people.
        kind: what it is.
        group: name of what it is compared with: the task, the study, or the comparison.
        params: settings, plain values by name.
        tags: texts by name.
        figures: numbers.
        files: texts by the name of their file.
        note: what a reader has to know first.
        begun, ended: ISO 8601 in UTC, "" where unknown.
        children: its trials.
    """

    name: str
    kind: Literal["optimization", "study", "comparison", "trial"]
    group: str
    params: dict[str, str | int | float | bool]
    tags: dict[str, str]
    figures: tuple[Figure, ...]
    files: dict[str, str]
    note: str
    begun: str = ""
    ended: str = ""
    children: tuple[TrackedRun, ...] = field(default=())


def plain(text: str) -> str:
    """A text as UTF-8 can hold it: a lone surrogate, half of a character that a token limit cut, is written as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def missing_extra(package: str, extra: str, other: str = "") -> UserError:
    """The line that says which extra to install; `other` is a way out without it."""
    return UserError(
        f"This export needs {package}, which is not installed.",
        NOTHING,
        f"pip install 'nullgrad[{extra}]'{', or ' + other if other else ''}.",
    )
