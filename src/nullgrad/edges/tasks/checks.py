"""What is wrong with a set of splits, and what a person should know of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from nullgrad.core.leaks import Pair, find_leaks
from nullgrad.core.task import Example
from nullgrad.edges.tasks.spec import TaskSpec, needs_no_target
from nullgrad.errors import UserError

_SHOWN = 3


def check_classes(
    spec: TaskSpec,
    kind: str,
    splits: Mapping[str, tuple[Example, ...]],
    labels: Sequence[str],
    slots: int,
    said: list[str],
) -> None:
    """Refuse targets that are all the same; note labels that never occur, and splits of one class.

    Raises:
        UserError: there is one class only.
    """
    if needs_no_target(kind):
        return
    targets = {name: Counter(e.target for e in part) for name, part in splits.items()}
    every = sum(targets.values(), Counter[str]())
    if len(every) < 2:
        raise spec.error(
            "target",
            f"every example has the same target, {next(iter(every))[:60]!r}",
            "With one class any prompt can be perfect: give examples of at least two.",
        )
    # Tuples and sets of labels are no classes.
    if not labels or slots != 1 or kind == "labels":
        return
    unseen = [label for label in labels if label not in every]
    if unseen:
        said.append(f"No example has the target {', '.join(map(repr, unseen))}.")
    for name, counts in targets.items():
        if len(counts) == 1:
            said.append(
                f"The {name} split holds one class only ({next(iter(counts))!r}); 'stratify: true' spreads them."
            )


def check_leaks(spec: TaskSpec, splits: Mapping[str, tuple[Example, ...]], said: list[str]) -> None:
    """Refuse or note what of one split is found in another, as the task file says; near-duplicates are noted.

    Raises:
        UserError: equal inputs, or examples of one group, are in two splits, and `leaks` is `error`.
    """
    if spec.leaks == "allow":
        return
    leaks = find_leaks(splits)
    problems = [
        f"inputs of one split are found in another: {_pairs(leaks.exact)}" if leaks.exact else "",
        _straddling(splits),
    ]
    for problem in filter(None, problems):
        if spec.leaks == "error":
            raise UserError(
                f"Task {spec.name}: {problem}.",
                "The test would measure memory; nothing was run.",
                "Remove the duplicates, keep them together with a 'group' column, or say 'leaks: warn'.",
            )
        said.append(f"{problem[0].upper()}{problem[1:]}.")
    if leaks.near:
        said.append(f"Near-duplicates across splits: {_pairs(leaks.near)}.")


def _straddling(splits: Mapping[str, tuple[Example, ...]]) -> str:
    home: dict[str, str] = {}
    for name, part in splits.items():
        for example in part:
            if example.group and home.setdefault(example.group, name) != name:
                return f"the group {example.group!r} is in {home[example.group]} and in {name}"
    return ""


def _pairs(pairs: Sequence[Pair]) -> str:
    shown = [
        f"{pair.first} ({pair.first_split}) and {pair.second} ({pair.second_split})"
        for pair in pairs[:_SHOWN]
    ]
    return "; ".join(shown) + (f"; and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else "")
