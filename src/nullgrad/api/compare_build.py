"""What a comparison's options mean, and what of them cannot be run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.core.chat import Sampling
from nullgrad.core.compare import Entry
from nullgrad.core.compare_entries import MOST_STEPS, own_arm, own_calls, steps_within
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.task import TaskView
from nullgrad.errors import UserError

_NOTHING = "Nothing was run."


def parse_settings(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What `gepa.reflection_minibatch_size=5` means, given any number of times; a value is JSON, else a text.

    Raises:
        UserError: one cannot be read, or is given twice.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, given, value = text.partition("=")
        optimizer, dot, key = name.strip().partition(".")
        own = found.setdefault(optimizer, {})
        if not (given and dot and optimizer and key) or key in own:
            what = f"--set gives {name.strip()} twice." if key in own else f"--set {text!r} cannot be read."
            raise UserError(what, _NOTHING, "Write --set gepa.reflection_minibatch_size=5, once for each.")
        try:
            own[key] = json.loads(value)
        except ValueError:
            own[key] = value
    return found


def check_settings(
    settings: Mapping[str, Mapping[str, Any]], entries: Sequence[Entry]
) -> dict[str, dict[str, Any]]:
    """Settings by optimizer; what its library takes, its process says.

    Raises:
        UserError: one is of an optimizer that does not run.
    """
    third = list(dict.fromkeys(one.optimizer for one in entries if not one.own))
    for name in settings:
        if name not in third:
            raise UserError(
                f"A setting is given for {name!r}, which is no third-party optimizer of this comparison.",
                _NOTHING,
                f"Give settings for {', '.join(third)}." if third else "Leave it out.",
            )
    return {name: dict(own) for name, own in settings.items() if own}


def job_parameters(sampling: Sampling, optimizer_temperature: float | None) -> dict[str, dict[str, Any]]:
    """Sampling by role as third-party calls carry it: that of nullgrad's own calls; {} where nothing is set."""
    every = {
        name: value
        for name, value in (
            ("temperature", sampling.temperature), ("top_p", sampling.top_p), ("max_tokens", sampling.max_tokens),
        )
        if value is not None
    }  # fmt: skip
    proposing = every if optimizer_temperature is None else {**every, "temperature": optimizer_temperature}
    return {role: own for role, own in (("generator", every), ("optimizer", proposing)) if own}


def own_steps(entries: Sequence[Entry], view: TaskView, budget: Allowance, batch_size: int) -> dict[str, int]:
    """Update steps of a trial by own entry: as many as the budget in calls holds to its end.

    Raises:
        UserError: it holds not one.
    """
    found: dict[str, int] = {}
    for entry in entries:
        if not entry.own:
            continue
        arm = own_arm(entry)

        def cost(steps: int, arm: Any = arm) -> int:
            return own_calls(arm, view, batch_size, steps).total

        found[entry.name] = MOST_STEPS if budget.calls is None else steps_within(budget.calls, cost)
        if not found[entry.name]:
            raise UserError(
                f"The budget of {budget.calls} calls holds no step of {entry.name}, which asks {cost(1)}.",
                _NOTHING,
                "Give a larger --budget, or an arm that asks less.",
            )
    return found


def check_budget(entries: Sequence[Entry], view: TaskView, budget: Allowance) -> None:
    """Refuse a budget that is none, or that no optimizer can score one candidate with.

    Raises:
        UserError: it is.
    """
    if budget == Allowance():
        raise UserError(
            "The comparison has no budget.",
            "An optimizer may never end; nothing was run.",
            "Give --budget 800calls.",
        )
    scored = len(view.validation)
    least = 2 * scored + 1
    if budget.calls is not None and budget.calls < least and any(not one.own for one in entries):
        raise UserError(
            f"The budget of {budget.calls} calls is too small: scoring the seed prompt and one other on "
            f"{scored} validation examples asks {least} with its proposal.",
            _NOTHING,
            "Give a larger --budget, or a task with a smaller validation split.",
        )
