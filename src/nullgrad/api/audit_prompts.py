"""The prompts of an audit as a user names them: a file of whichever kind, a recorded run, the task's own seed prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nullgrad.api.inventory import last_report
from nullgrad.core.events import Reported
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.prompt_files import read_prompt_file
from nullgrad.errors import UserError

SEED_WORD = "seed"
LAST = "last"
RUN = "run:"
BEST = "best"
_NOTHING = "Nothing was run."


@dataclass(frozen=True, slots=True)
class GivenPrompt:
    """A prompt to be audited.

    Attributes:
        name: where it came from.
        text: the prompt.
        seed, trial: of the recorded run whose draws found it; None of other prompts.
        notes: what a reader of its audit has to know.
        component: the part of a program that it is, "" where it is no part of one.
    """

    name: str
    text: str
    seed: int | None = None
    trial: int | None = None
    notes: tuple[str, ...] = ()
    component: str = ""


def given_prompt(
    ref: str, which: Literal["before", "after"], task: Task, ledger: Path, component: str | None = None
) -> GivenPrompt:
    """The prompt that a text means.

    Args:
        ref: a file, `run:ID` or `last` (of a recorded optimization: before its seed prompt, after its best), `best` (the
            final prompt of the best trial that any recorded run has of the task, by test score), or `seed` (the task's
            seed prompt).
        which: side of the audit.
        task: what it is for.
        ledger: where runs are kept.
        component: which prompt of a file that holds several, such as a program of DSPy's.

    Raises:
        UserError: there is no such file or run, the run was of another task, or the file holds no prompt that can be told.
    """
    if ref == SEED_WORD:
        return GivenPrompt("the task's seed prompt", task.view.seed_prompt)
    if ref == BEST:
        return best_recorded(task, ledger)
    if ref == LAST or ref.startswith(RUN):
        run = None if ref == LAST else ref.removeprefix(RUN)
        report = last_report(ledger, run, nothing=_NOTHING)
        if report["task"] != task.view.name:
            raise UserError(
                f"The run {report['run']} optimized a prompt of {report['task']}, not of {task.view.name}.",
                _NOTHING,
                f"Give --{which} run:ID of a run of this task, or a file.",
            )
        kind = "seed" if which == "before" else "best"
        return GivenPrompt(
            f"the {kind} prompt of run {report['run']}",
            str(report[f"{kind}_prompt"]),
            int(report["seed"]),
            int(report["trial"]),
        )
    return prompt_of_file(Path(ref), which, task, component)


def prompt_of_file(
    path: Path, which: Literal["before", "after"], task: Task, component: str | None = None
) -> GivenPrompt:
    """The prompt in a file; see `read_prompt_file`.

    Raises:
        UserError: it cannot be read, or it is the result of another task.
    """
    found = read_prompt_file(path, which, component)
    if found.task and found.task != task.view.name:
        raise UserError(
            f"{path} is the result of optimizing a prompt of {found.task}, not of {task.view.name}.",
            _NOTHING,
            f"Give --{which} a result of this task, or the prompt alone in a file.",
        )
    return GivenPrompt(found.name, found.text, found.seed, found.trial, found.notes, found.component)


def check_component(component: str | None, *given: GivenPrompt) -> None:
    """Refuse a component that neither prompt is: the option would have done nothing.

    Raises:
        UserError: it is so.
    """
    if component is not None and all(one.component != component for one in given):
        parts = ", ".join(one.component for one in given if one.component)
        raise UserError(
            f"Neither prompt is a component {component!r} of a program of GEPA's or DSPy's.",
            _NOTHING,
            f"Known: {parts}." if parts else "Leave out --component.",
        )


def best_recorded(task: Task, ledger: Path) -> GivenPrompt:
    """The prompt with the highest test score among the final prompts of every recorded study and optimization of a task.

    Chosen by the test, its score there is over-estimated; its sections are ablated on validation.

    Raises:
        UserError: nothing is recorded.
    """
    found: list[tuple[float, GivenPrompt]] = []
    for run, spec, report in _reports(ledger):
        if spec["verb"] == "optimize" and spec["task"]["digest"] == task.digest:
            score = report["test"]["best"]["score"]
            if report["best_prompt"] != report["seed_prompt"] and score is not None:
                label = f"the best prompt of run {run}"
                found.append(
                    (score, GivenPrompt(label, report["best_prompt"], report["seed"], report["trial"]))
                )
        elif spec["verb"] == "study":
            cells = {cell for cell, one in spec["cells"].items() if one["task"]["digest"] == task.digest}
            for row in report["tables"]["trials"]:
                if row["cell"] in cells and row["score"] is not None and row["prompt"]:
                    label = f"trial {row['trial']} of {row['arm']} in run {run}"
                    found.append(
                        (row["score"], GivenPrompt(label, row["prompt"], report["seed"], row["trial"]))
                    )
    changed = [one for one in found if one[1].text.strip() != task.view.seed_prompt.strip()]
    name = task.view.name
    if not changed:
        raise UserError(
            f"No recorded run has a prompt for {name}, with these examples and this seed prompt.",
            _NOTHING,
            f"Run nullgrad optimize {name} or nullgrad run paper-main first, or give --after a file.",
        )
    return max(changed, key=lambda one: one[0])[1]


def _reports(ledger: Path) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every optimization and study that reported: identity, specification, and what it reported last."""
    if not ledger.exists():
        return
    book = open_ledger(ledger, read_only=True)
    try:
        for row in book.runs():
            spec = json.loads(row.spec)
            if spec.get("verb") in ("optimize", "study"):
                last = None
                for event in book.events(row.run):
                    last = event.result if isinstance(event, Reported) else last
                if last is not None:
                    yield row.run, spec, json.loads(last)
    finally:
        book.close()
