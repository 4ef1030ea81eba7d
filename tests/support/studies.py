"""Small studies over a scripted model, and a model whose every reply parses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nullgrad.core.arms import parse_arm
from nullgrad.core.chat import Request
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.core.study import ArmPlan, Cell, Study
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.script import ScriptModel
from nullgrad.edges.packs import load_pack
from nullgrad.ports import Model, Observer
from nullgrad.run.budget import Limits
from nullgrad.run.session import Session
from nullgrad.run.study import Look, StudyRun, run_study
from tests.support.trials import make_task


class Silent:
    """An observer that says nothing."""

    def on_event(self, event: Any) -> None:
        """Nothing."""

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Nothing."""

    def on_notice(self, text: str) -> None:
        """Nothing."""


def oblige(request: Request, answers: Sequence[str] = ("yes", "no")) -> str:
    """A prompt, a change, a judgement or an answer: whatever was asked for, by the request's draw."""
    text = "\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        return f"<prompt>Think first; rule number {request.draw % 99_991}.</prompt>"
    if '"Verdict: correct"' in text:
        return f"Verdict: {('correct', 'incorrect')[request.draw % 2]}"
    if 'says "Score: "' in text:
        return f"Score: {request.draw % 101}"
    if "How should the" in text:
        return f"It should be clearer in point {request.draw % 997}."
    return answers[int(request.identity()[:8], 16) % len(answers)]


def scripted() -> ScriptModel:
    """The model that obliges."""
    return ScriptModel(oblige, "script:oblige")


def study_over(model: Model, arms: dict[str, int], *, cells: int = 1, **changes: Any) -> Study:
    """A study with these arms and their numbers of trials."""
    cast = Cast(*[RoleModel(model.identity)] * 4)
    values: dict[str, Any] = {
        "name": "s",
        "cells": tuple(
            Cell(f"small{number}", make_task(), cast, load_pack("standard"), f"small{number}", "m")
            for number in range(cells)
        ),
        "arms": tuple(ArmPlan(parse_arm(arm), trials) for arm, trials in arms.items()),
        "steps": 3, "batch_size": 3, "seed": 0, "design": "paired", **changes,
    }  # fmt: skip
    return Study(**values)


def carry_out(
    study: Study,
    model: Model,
    ledger: Path,
    *,
    limits: Limits | None = None,
    look: Look | None = None,
    observer: Observer | None = None,
    concurrency: int = 8,
) -> StudyRun:
    """Run a study to its end."""

    async def main() -> StudyRun:
        book = open_ledger(ledger)
        try:
            book.begin_run(study.run, study.spec)
            session = Session(
                {model.identity: model},
                book,
                observer or Silent(),
                study.run,
                limits=limits,
                concurrency=concurrency,
            )
            async with session:
                return await run_study(study, session, look)
        finally:
            book.close()

    return asyncio.run(main())
