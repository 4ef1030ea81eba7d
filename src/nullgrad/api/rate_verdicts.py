"""Verdicts of the gain decomposition on a run's final prompts, by cell, arm and trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nullgrad.analysis.audit.predictions import PredictionAudit
from nullgrad.analysis.audit.rows import AnswerPair, audit_if_any, no_classes, recorded_row
from nullgrad.analysis.study.audits import VERDICTS
from nullgrad.core.arms import SEED
from nullgrad.core.events import CandidateScored, Reported, TestScored
from nullgrad.core.study_facts import TrialFacts, fold_trials, parse_scope
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import SqlLedger
from nullgrad.errors import UserError

Verdicts = dict[tuple[str, str, int], str]


def verdicts_of(book: SqlLedger, run: str, tasks: Mapping[str, Task]) -> Verdicts:
    """What recorded answers say where the task is known, as a study audits its trials; else what the run reported.

    A study reports how often an arm ended in each verdict, so that without the task a trial's own is known only where all trials
    of its arm ended in the same.

    Args:
        book: the ledger.
        run: the run.
        tasks: by cell.
    """
    events = list(book.events(run))
    trials = fold_trials(events)
    reported = [json.loads(event.result) for event in events if isinstance(event, Reported)]
    found = _reported(reported[-1], trials) if reported else {}
    seeds: dict[tuple[str, int], TestScored] = {}
    finals: dict[tuple[str, str, int], TestScored] = {}
    for event in events:
        key = parse_scope(event.scope) if isinstance(event, TestScored) else None
        if key is None or not isinstance(event, TestScored):
            continue
        if event.purpose == "seed":
            seeds[key[0], key[2]] = event
        elif event.purpose in ("final", "best"):
            finals[key] = event
    for key, final in finals.items():
        cell, arm, trial = key
        seed = seeds.get((cell, trial))
        if arm != SEED.canonical and seed is not None and cell in tasks:
            verdict = _verdict(tasks[cell], trials[key], seed, final)
            if verdict:
                found[key] = verdict
    return found


def _reported(report: Mapping[str, Any], trials: Mapping[tuple[str, str, int], TrialFacts]) -> Verdicts:
    found: Verdicts = {}
    for row in report.get("tables", {}).get("audits", ()):
        if row["verdict"] in VERDICTS and row["count"] == row["trials"]:
            own = (key for key in trials if key[:2] == (row["cell"], row["arm"]))
            found.update(dict.fromkeys(own, str(row["verdict"])))
    audit = report.get("audit")
    if isinstance(audit, Mapping) and audit.get("verdict"):
        found["", str(report["arm"]), int(report.get("trial", 0))] = str(audit["verdict"])
    return found


def _verdict(task: Task, trial: TrialFacts, before: TestScored, after: TestScored) -> str:
    """The verdict on recorded answers, "" where there are no classes or no answers."""
    view = task.view
    if no_classes(view) or len(before.scores) != len(task.test) or len(after.scores) != len(task.test):
        return ""
    rows = recorded_row(view, before), recorded_row(view, after)
    if rows[0] is None or rows[1] is None:
        return ""
    scored = [_scored(trial, trial.seed), _scored(trial, after.candidate)]
    known = [None if event is None else recorded_row(view, event) for event in scored]
    validation = None
    if known[0] is not None and known[1] is not None:
        validation = AnswerPair(view.validation, known[0], known[1])
    try:
        audit = audit_if_any(view, AnswerPair(task.test, rows[0], rows[1]), validation)
    except (UserError, ValueError):
        return ""
    return audit.verdict if isinstance(audit, PredictionAudit) else ""


def _scored(trial: TrialFacts, digest: str) -> CandidateScored | None:
    found = (event for step in trial.steps.values() for event in step.scored.values())
    return next((event for event in found if event.candidate == digest), None)
