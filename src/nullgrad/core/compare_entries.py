"""From `--optimizers` and `--controls` to the entries of a comparison, and how far an arm of nullgrad's own gets on a budget."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

from nullgrad.core.arms import SEED, SELECTIONS, UPDATES, Arm, parse_arm
from nullgrad.core.calls import Calls, trial_calls
from nullgrad.core.compare import Entry
from nullgrad.core.foreign_job import Feedback, ForeignArm, parse_foreign_arm
from nullgrad.core.task import TaskView
from nullgrad.errors import UserError

Control = Literal["feedback", "selection", "none"]
"""`feedback`: the feedback labels are wrong. `selection`: the selection labels are. `none`: no label reaches the text."""

CONTROLS: tuple[Control, ...] = get_args(Control)
DEFAULT_CONTROLS: tuple[Control, ...] = ("feedback", "selection")

OWN = "nullgrad"
"""Short for nullgrad's default arm."""

OWN_ARM = "gradient/correct/validated@3"

MOST_STEPS = 100_000
"""More steps than any budget holds."""

_NOTHING = "Nothing was run."

Channels = Mapping[str, Collection[str]]
"""By the name of every adapter which label channels reach it: `feedback`, `selection`."""


def parse_controls(text: str) -> tuple[Control, ...]:
    """The controls that `feedback,selection` or `off` mean, in the order in which they are shown.

    Raises:
        UserError: one is unknown.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["off"]:
        return ()
    unknown = [word for word in words if word not in CONTROLS]
    if unknown or not words:
        raise UserError(
            f"--controls is {text!r}.",
            _NOTHING,
            f"Give {', '.join(CONTROLS)} with commas between them, or off.",
        )
    return tuple(one for one in CONTROLS if one in words)


def own_arm(entry: Entry) -> Arm:
    """The arm that an entry of nullgrad's own runs."""
    return parse_arm(entry.name)


def foreign_arm(entry: Entry) -> ForeignArm:
    """The third-party optimizer with its label channels."""
    return ForeignArm(entry.optimizer, entry.feedback, entry.selection)


def parse_entries(texts: Sequence[str], controls: Sequence[Control], adapters: Channels) -> tuple[Entry, ...]:
    """The entries of a comparison: every optimizer, each with its controls behind it.

    A name is an adapter's (`gepa`, or with its labels `gepa/wrong/correct`), an arm of nullgrad's own
    (`gradient/correct/best@3`), `nullgrad` for its default arm, or a selection of it (`validated@3`, `best@5`, `naive`).
    A control is made for the channels that an optimizer has, and for none that is named with other labels already.

    Args:
        texts: names as the user wrote them.
        controls: which controls run beside each.
        adapters: what each adapter's optimizer is reached by.

    Raises:
        UserError: a name is unknown or without meaning, one is given twice, or there is none with correct labels.
    """
    named = [_entry(text.strip(), adapters) for text in texts if text.strip()]
    if not named:
        raise UserError(
            "No optimizer is named.",
            _NOTHING,
            f"Give --optimizers, such as gepa,{OWN}; known: {_known(adapters)}.",
        )
    names = [one.name for one in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"The optimizer {twice} is named twice.", _NOTHING, "Name it once.")
    if all(one.control for one in named):
        raise UserError(
            "Every optimizer is named with labels that are not correct, so that none competes.",
            _NOTHING,
            f"Name one with correct labels, such as {named[0].optimizer}.",
        )
    entries: dict[str, Entry] = {}
    for one in named:
        made = () if one.control else _controls(one, controls, adapters)
        for entry in (one, *made):
            entries.setdefault(entry.name, entry)
    return tuple(entries.values())


def _entry(text: str, adapters: Channels) -> Entry:
    name = text.partition("/")[0]
    if name in adapters:
        return _foreign(parse_foreign_arm(text), adapters[name])
    if text == OWN:
        return _own(parse_arm(OWN_ARM))
    if name in UPDATES:
        return _own(_optimizing(parse_arm(text)))
    if name.partition("@")[0].partition("+")[0] in SELECTIONS:
        return _own(parse_arm(f"gradient/correct/{text}"))
    near = difflib.get_close_matches(name, [*adapters, OWN, *UPDATES[1:], *SELECTIONS], 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{text!r} is no optimizer.",
        _NOTHING,
        f"{hint}Known: {_known(adapters)}; or an arm of nullgrad's own, such as {OWN_ARM}.",
    )


def _known(adapters: Channels) -> str:
    return ", ".join((OWN, *adapters))


def _optimizing(arm: Arm) -> Arm:
    if arm == SEED:
        raise UserError(
            "The seed prompt is named as an optimizer.",
            _NOTHING,
            "Leave it out: every optimizer is compared with it.",
        )
    return arm


def _foreign(arm: ForeignArm, channels: Collection[str]) -> Entry:
    labels = {"feedback": arm.feedback, "selection": arm.selection}
    for channel, kind in labels.items():
        if kind != "correct" and channel not in channels:
            raise UserError(
                f"{arm.canonical} changes {channel} labels, and {arm.optimizer} sees none.",
                _NOTHING,
                f"Write {arm.optimizer}.",
            )
    return Entry(arm.canonical, arm.optimizer, arm.feedback, arm.selection)


def _own(arm: Arm) -> Entry:
    """An arm without an evaluation has no feedback labels: it is a treatment of its own."""
    treated = replace(arm, labels="correct", validation_labels="correct")
    feedback: Feedback = arm.labels if arm.evaluates else "correct"
    return Entry(arm.canonical, treated.canonical, feedback, arm.validation_labels, own=True)


def _controls(entry: Entry, controls: Sequence[Control], adapters: Channels) -> list[Entry]:
    made: list[Entry | None] = []
    for control in controls:
        made.append(
            _own_control(entry, control)
            if entry.own
            else _foreign_control(entry.optimizer, control, adapters[entry.optimizer])
        )
    return [one for one in made if one is not None]


def _foreign_control(optimizer: str, control: Control, channels: Collection[str]) -> Entry | None:
    if ("selection" if control == "selection" else "feedback") not in channels:
        return None
    arms = {
        "feedback": ForeignArm(optimizer, feedback="wrong"),
        "selection": ForeignArm(optimizer, selection="wrong"),
        "none": ForeignArm(optimizer, feedback="none"),
    }
    return _foreign(arms[control], channels)


def _own_control(entry: Entry, control: Control) -> Entry | None:
    arm = own_arm(entry)
    if control == "selection":
        return _own(replace(arm, validation_labels="wrong")) if arm.validates else None
    if not arm.evaluates:
        return None
    if control == "feedback":
        return None if arm.frozen else _own(replace(arm, labels="wrong"))
    blind = replace(arm, evaluator="none", frozen=False)
    return Entry(blind.canonical, entry.optimizer, "none", "correct", own=True)


def own_calls(arm: Arm, view: TaskView, batch_size: int, steps: int) -> Calls:
    """Calls that one trial of an own arm asks."""
    return trial_calls(
        arm,
        steps=steps,
        batch_size=batch_size,
        train=len(view.train),
        validation=len(view.validation),
        judged=view.scorer.asks,
    )


def steps_within(calls: int, cost: Callable[[int], int]) -> int:
    """The largest number of steps that costs at most `calls`, 0 where one step costs more.

    Args:
        calls: of the budget.
        cost: calls of a trial with that many steps; it rises with every step.
    """
    low, high = 0, 1
    while high <= MOST_STEPS and cost(high) <= calls:
        low, high = high, 2 * high
    while low + 1 < high:
        middle = (low + high) // 2
        if cost(middle) <= calls:
            low = middle
        else:
            high = middle
    return low
