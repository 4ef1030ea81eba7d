"""The prompts of a run that were read on the sealed test, with every transcript: replayed from the ledger, nothing is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nullgrad.analysis.gain import prompt_score
from nullgrad.api.view_compare import known_tasks, shipped_task
from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Sampling
from nullgrad.core.draws import DrawPath
from nullgrad.core.effects import Ask
from nullgrad.core.events import Event, TestScored
from nullgrad.core.forward import SplitScores, points, score_split
from nullgrad.core.rows import score_row
from nullgrad.core.setting import Cast, RoleModel, Setting, scope_of
from nullgrad.core.study_facts import fold_trials
from nullgrad.core.task import Task
from nullgrad.edges.export.calls import call_times
from nullgrad.edges.export.values import NOTHING, EvaluatedExample, EvaluatedPrompt, Purpose
from nullgrad.edges.ledger.store import RunRow, SqlLedger, open_ledger
from nullgrad.edges.packs import load_pack
from nullgrad.errors import UserError
from nullgrad.run.drive import Deliver, Driver

_UNASKED = Failed("unasked", "The ledger does not hold it.")


class _Replay:
    """Answers from the ledger alone, and keeps what was asked."""

    def __init__(self, book: SqlLedger) -> None:
        self._book = book
        self.forward: dict[str, tuple[str, Ask]] = {}
        self.missing = 0

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        identities = [ask.request.identity() for ask, _ in asks]
        known = self._book.find(identities)
        for identity, (ask, deliver) in zip(identities, asks, strict=True):
            if ask.about.stage == "forward":
                self.forward[ask.about.example] = (identity, ask)
            self.missing += identity not in known
            deliver(known.get(identity, _UNASKED))

    def state(self, event: Event) -> None:
        """Nothing."""


def evaluated_prompts(
    report: Mapping[str, Any], ledger: Path, tasks: Sequence[str] = ()
) -> Iterator[EvaluatedPrompt]:
    """Every prompt of a run that was read on the sealed test, one after the other.

    Of an optimization these are the seed and the reported prompt, of a study the final one of every trial and the seed prompt in
    every block.

    Args:
        report: its result.
        ledger: where it is kept.
        tasks: task files or names; what comes with nullgrad is found without.

    Raises:
        UserError: the ledger does not hold the run, or its task is not at hand.
    """
    with recorded_run(report, ledger) as (book, row):
        spec: dict[str, Any] = json.loads(row.spec)
        known = run_tasks(spec, tasks)
        for one in _readings(report, spec, list(book.events(row.run))):
            yield _evaluated(book, row, report, spec, known[one.cell], one)


@contextmanager
def recorded_run(report: Mapping[str, Any], ledger: Path) -> Iterator[tuple[SqlLedger, RunRow]]:
    """The ledger, open for reading, and the row of the run of a result.

    Raises:
        UserError: the ledger does not hold the run.
    """
    run, way_out = str(report["run"]), "Give the ledger that it was made with, by --ledger FILE."
    if not ledger.exists():
        raise UserError(f"There is no ledger at {ledger}.", NOTHING, way_out)
    with open_ledger(ledger, read_only=True) as book:
        row = next((one for one in book.runs() if one.run == run), None)
        if row is None:
            raise UserError(f"The ledger {ledger} does not hold the run {run}.", NOTHING, way_out)
        yield book, row


def run_tasks(spec: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Task]:
    """The task of every cell of a run ("" outside studies): one that was named, or one that comes with nullgrad.

    Raises:
        UserError: one is not at hand.
    """
    entries = (
        {cell: one["task"] for cell, one in spec["cells"].items()} if "cells" in spec else {"": spec["task"]}
    )
    named = known_tasks(tasks)
    found: dict[str, Task] = {}
    for cell, entry in entries.items():
        task = named.get(entry["digest"]) or shipped_task(entry["name"], entry["digest"])
        if task is None and len(named) == 1 and len({one["digest"] for one in entries.values()}) == 1:
            # A file that says the same in other words has another digest: whether it does is seen by its replies.
            (task,) = named.values()
        if task is None:
            raise UserError(
                f"The task {entry['name']} of this run is not at hand, and the ledger keeps no examples.",
                NOTHING,
                "Give --task FILE, the task file that it was run with.",
            )
        found[cell] = task
    return found


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of the sealed test; `prompt` is None for the task's seed prompt."""

    cell: str
    arm: str
    trial: int
    purpose: Purpose
    prompt: str | None
    scored: TestScored


def _readings(report: Mapping[str, Any], spec: Mapping[str, Any], events: Sequence[Event]) -> list[_Reading]:
    if spec["verb"] == "study":
        found = []
        for (cell, arm, trial), facts in sorted(fold_trials(events).items()):
            if facts.test is not None and (facts.final is not None or arm == SEED.canonical):
                purpose: Purpose = "seed" if facts.final is None else "final"
                prompt = None if facts.final is None else facts.final.prompt
                found.append(_Reading(cell, arm, trial, purpose, prompt, facts.test))
        return found
    arm, trial = str(report["arm"]), int(report["trial"])
    scope = scope_of(parse_arm(arm), trial)
    last = {one.purpose: one for one in events if isinstance(one, TestScored) and one.scope == scope}
    prompts: dict[Purpose, str] = {"seed": report["seed_prompt"], "best": report["best_prompt"]}
    return [
        _Reading("", arm, trial, purpose, prompt, last[purpose])
        for purpose, prompt in prompts.items()
        if purpose in last
    ]


def _evaluated(
    book: SqlLedger,
    row: RunRow,
    report: Mapping[str, Any],
    spec: Mapping[str, Any],
    task: Task,
    reading: _Reading,
) -> EvaluatedPrompt:
    view = task.view
    prompt = view.seed_prompt if reading.prompt is None else reading.prompt
    setting = _setting(spec, task, reading)
    replay = _Replay(book)
    scores: SplitScores = asyncio.run(
        Driver(replay).drive(score_split(setting, Candidate.of(prompt), "test", task.test))
    )
    if replay.missing or tuple(map(points, scores.shown)) != reading.scored.scores:
        raise UserError(
            f"The task {view.name} is not the one that the run {row.run} was made with: its examples, its format or its scorer "
            "differ.",
            NOTHING,
            "Give --task FILE, the task file that it was run with.",
        )
    times = call_times(book, [identity for identity, _ in replay.forward.values()])
    counted = score_row(scores.shown, view.unparsed)
    mean = prompt_score(scores.shown, view.unparsed)
    scorer = json.loads(view.scorer.spec)
    model = generator_of(report, reading.cell)
    examples = []
    for output, outcome, score in zip(scores.outputs, scores.shown, counted, strict=True):
        identity, ask = replay.forward[output.example.id]
        seconds, at = times[identity]
        examples.append(
            EvaluatedExample(output.example, ask.request, output.reply, outcome, score, seconds, at)
        )
    return EvaluatedPrompt(
        run=row.run,
        version=row.version,
        begun=row.created_at,
        task=view.name,
        digest=task.digest,
        model=model,
        simulated=model in report["simulated"],
        sampling=setting.cast.generator.sampling,
        scorer=str(scorer["kind"]),
        scorer_options=dict(scorer.get("options") or {}),
        cell=reading.cell,
        arm=reading.arm,
        trial=reading.trial,
        purpose=reading.purpose,
        prompt=prompt,
        format=view.format,
        examples=tuple(examples),
        score=mean.score,
        interval=None if mean.interval is None else (mean.interval.low, mean.interval.high),
        graded=any(score not in (None, 0.0, 1.0) for score in counted),
    )


def generator_of(report: Mapping[str, Any], cell: str) -> str:
    """The model under test of a cell as the user wrote it; of several models each stands under its name."""
    models: Mapping[str, str] = report["models"]
    group = next((str(one["model"]) for one in report.get("cells", ()) if one["cell"] == cell), "")
    return str(models.get(f"{group} generator") or models["generator"])


def cast_of(spec: Mapping[str, Any], cell: str) -> Cast:
    """Who played which role, as a run's specification keeps it."""
    players = spec["cells"][cell]["cast"] if "cells" in spec else spec["cast"]
    return Cast(
        **{
            role: RoleModel(**{**one, "sampling": Sampling(**one["sampling"])})
            for role, one in players.items()
        }
    )


def _setting(spec: Mapping[str, Any], task: Task, reading: _Reading) -> Setting:
    arm, pack = (
        parse_arm(reading.arm),
        spec["cells"][reading.cell]["pack"] if "cells" in spec else spec["pack"],
    )
    own = arm.canonical if spec.get("design") == "independent" else None
    return Setting(
        task.view,
        arm,
        reading.trial,
        DrawPath(int(spec["seed"]), reading.trial, own),
        int(spec["steps"]),
        int(spec["batch_size"]),
        cast_of(spec, reading.cell),
        load_pack(pack["name"]),
        reading.cell,
    )
