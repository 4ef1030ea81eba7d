"""What a command intends, as whoever watches it has to know: how many trials, how heavy, with which models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nullgrad.core.arms import SEED
from nullgrad.core.plan import Plan
from nullgrad.core.study import Study
from nullgrad.ports import Model


def study_intent(study: Study, models: Iterable[Model]) -> dict[str, Any]:
    """Of a study."""
    work = [
        {
            "cell": cell.name, "arm": arm.canonical, "trials": study.trials(arm), "calls": study.calls(cell, arm).total,
        }
        for cell in study.cells
        for arm in dict.fromkeys((SEED, *(one.arm for one in study.arms)))
    ]  # fmt: skip
    return {"work": work, "steps": study.steps, "models": _models(models), "asked": study.asked.total}


def plan_intent(plan: Plan, models: Iterable[Model]) -> dict[str, Any]:
    """Of an optimization."""
    arms = [plan.arm, *plan.control_arms]
    work = [
        {
            "cell": "", "arm": arm.canonical, "trials": plan.trials, "calls": plan.calls(arm).total + plan.reading.total,
        }
        for arm in arms
    ]  # fmt: skip
    return {
        "work": work,
        "steps": plan.steps,
        "models": _models(models),
        "asked": (plan.main_calls + plan.control_calls).total,
    }


def _models(models: Iterable[Model]) -> dict[str, tuple[str, str]]:
    """Name and base URL by identity: what a price is found by."""
    return {model.identity: (model.name, str(getattr(model, "base_url", ""))) for model in models}
