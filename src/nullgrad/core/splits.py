"""Dividing examples into train, validation and test; `leaks` says what of one split is found in another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nullgrad.core.draws import draw_of
from nullgrad.core.leaks import Leaks, Pair, find_leaks
from nullgrad.core.task import Example, SplitName
from nullgrad.errors import UserError

__all__ = ["SPLITS", "Leaks", "Pair", "find_leaks", "split_examples"]

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

# The test split is filled first, so that other sizes of train or validation leave it as it is.
_FILLED: tuple[SplitName, ...] = ("test", "validation", "train")
_OFF = 0.25
_NOTHING = "Nothing was run."


def split_examples(
    examples: Sequence[Example],
    sizes: Mapping[str, int | float],
    seed: int,
    *,
    stratify: bool = False,
) -> dict[SplitName, tuple[Example, ...]]:
    """Disjoint splits, in the order in which they were drawn; a split without a size is empty.

    The result depends on the seed, the ids, groups and (stratified) targets, not on the order of the examples.
    Other sizes of train and validation leave the test split as it is.

    Sizes are exact without groups. Examples of one group stay together; then a split may differ from its size
    by up to a quarter (at least 1), and usually by less than its smallest left-over group.

    Args:
        examples: with distinct ids.
        sizes: by name of the split; an int is a count, a float between 0 and 1 a share of all examples. Shares that
            sum to 1 use every example.
        seed: of the draw.
        stratify: whether each target has the same share in every split as in the whole, to within one example; of a
            group, its commonest target counts.

    Raises:
        UserError: a size or a name cannot be used, ids repeat, a split would be empty, the sizes exceed the
            examples, or groups are too large for the sizes.
    """
    counts = _counts(sizes, len(examples))
    repeated = [one for one, times in Counter(example.id for example in examples).items() if times > 1]
    if repeated:
        raise UserError(
            f"The id {repeated[0]!r} occurs twice.", _NOTHING, "Give every example an id of its own."
        )
    left = _units(examples, seed)
    splits: dict[SplitName, tuple[Example, ...]] = dict.fromkeys(SPLITS, ())
    for name in _FILLED:
        if name not in counts:
            continue
        taken = _draw(left, counts[name], stratify)
        gone = {unit.key for unit in taken}
        left = [unit for unit in left if unit.key not in gone]
        splits[name] = tuple(example for unit in taken for example in unit.examples)
        _check_size(name, counts[name], splits[name], examples)
    return splits


@dataclass(frozen=True, slots=True)
class _Unit:
    """What stays together: a group, or one example.

    Attributes:
        key: (group, "") or ("", id).
        examples: sorted by id.
        target: the commonest of its targets, of several the first in order.
    """

    key: tuple[str, str]
    examples: tuple[Example, ...]
    target: str


def _units(examples: Sequence[Example], seed: int) -> list[_Unit]:
    """The units in a random order that depends on the seed and their keys alone."""
    members: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda one: one.id):
        members[(example.group, "") if example.group else ("", example.id)].append(example)
    units = []
    for key, group in members.items():
        times = Counter(one.target for one in group)
        units.append(_Unit(key, tuple(group), min(times, key=lambda target: (-times[target], target))))
    return sorted(units, key=lambda unit: (draw_of("split", seed, *unit.key), unit.key))


def _draw(units: Sequence[_Unit], size: int, stratify: bool) -> list[_Unit]:
    """Units of about `size` examples, in the order of `units`."""
    if not stratify:
        return _fill(units, size)
    classes: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        classes[unit.target].append(unit)
    total = sum(len(unit.examples) for unit in units)
    shares = {
        target: Fraction(min(size, total) * sum(len(unit.examples) for unit in group), max(total, 1))
        for target, group in classes.items()
    }
    wanted = _largest_remainder(shares, min(size, total))
    taken = {unit.key for target, group in classes.items() for unit in _fill(group, wanted[target])}
    return [unit for unit in units if unit.key in taken]


def _fill(units: Sequence[_Unit], size: int) -> list[_Unit]:
    """The first units that fit, and one that overshoots where that comes nearer to the size."""
    taken, passed, missing = [], [], size
    for unit in units:
        if len(unit.examples) <= missing:
            taken.append(unit)
            missing -= len(unit.examples)
        else:
            passed.append(unit)
    if missing and passed:
        least = min(passed, key=lambda unit: len(unit.examples))
        if len(least.examples) - missing < missing:
            taken.append(least)
    return taken


def _largest_remainder(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole numbers that sum to `total`, each within 1 of its share; ties go by name."""
    floors = {name: int(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: (floors[name] - shares[name], name))
    for name in by_remainder[: total - sum(floors.values())]:
        floors[name] += 1
    return floors


def _counts(sizes: Mapping[str, int | float], total: int) -> dict[SplitName, int]:
    """Sizes as counts."""
    unknown = [name for name in sizes if name not in SPLITS]
    if unknown or not sizes:
        raise UserError(
            f"There is no split {unknown[0]!r}." if unknown else "No split has a size.",
            _NOTHING,
            f"The splits are {', '.join(SPLITS)}.",
        )
    counts: dict[str, int] = {}
    shares: dict[str, Fraction] = {}
    for name, size in sizes.items():
        if isinstance(size, bool) or (isinstance(size, float) and not 0 < size < 1) or size <= 0:
            raise UserError(
                f"The size {size!r} of the {name} split cannot be used.",
                _NOTHING,
                "Give a whole number of examples from 1, or a share such as 0.25; leave out a split that you do not want.",
            )
        if isinstance(size, float):
            # 0.15 + 0.25 + 0.6 is 1 as written, and a little less in binary.
            shares[name] = Fraction(str(size)) * total
        else:
            counts[name] = size
    counts |= _largest_remainder(shares, int(sum(shares.values()) + Fraction(1, 10**6)))
    asked = sum(counts.values())
    if asked > total:
        parts = ", ".join(f"{counts[name]} {name}" for name in SPLITS if name in counts)
        raise UserError(
            f"The splits ask for {asked} examples ({parts}), and there are {total}.",
            _NOTHING,
            f"Ask for at most {total}, or give more data.",
        )
    for name, count in counts.items():
        if count == 0:
            raise UserError(
                f"The {name} split would be empty: {sizes[name]} of {total} examples is less than one.",
                _NOTHING,
                "Give a greater share, or more data.",
            )
    return {name: counts[name] for name in SPLITS if name in counts}


def _check_size(name: str, asked: int, drawn: Sequence[Example], examples: Sequence[Example]) -> None:
    off = abs(len(drawn) - asked)
    if drawn and off <= max(1.0, asked * _OFF):
        return
    group, largest = Counter(example.group for example in examples if example.group).most_common(1)[0]
    raise UserError(
        f"The {name} split cannot have about {asked} examples: whole groups give it {len(drawn)}"
        f" (the largest group, {group!r}, has {largest} examples).",
        "Groups are never divided among splits; nothing was run.",
        "Ask for other sizes, give more groups, or leave out the group.",
    )
