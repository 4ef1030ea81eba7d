"""A task with other shares of its labels: what is kept of each split is drawn, and no example is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from nullgrad.core.draws import stream
from nullgrad.core.task import Example, Task
from nullgrad.errors import UserError

_NOTHING = "Nothing was run."
_OFF = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True)
class Subsample:
    """What is kept of a task.

    Attributes:
        share: share of the examples by label, each between 0 and 1 and at most 1 together; labels that are not
            named keep their proportions among themselves in what is left.
        seed: of the draw.
        sizes: examples kept by split; a split without a size keeps as many as its shares allow.
    """

    share: Mapping[str, float]
    seed: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)


def subsample(examples: Sequence[Example], rule: Subsample, split: str) -> tuple[Example, ...]:
    """The examples kept of one split, in their order and with their ids.

    Which ones are kept depends on the seed, the split, the ids and the targets, not on the order of the examples.

    Raises:
        UserError: a label does not occur in the split, or its size cannot be reached with these shares.
    """
    counts: dict[str, list[str]] = {}
    for example in examples:
        counts.setdefault(example.target, []).append(example.id)
    for label in rule.share:
        if label not in counts:
            raise UserError(
                f"The {split} split has no example of the label {label!r} to subsample.",
                _NOTHING,
                f"Its labels are {', '.join(map(repr, sorted(counts)[:20]))}.",
            )
    wanted = _shares(rule.share, {label: len(ids) for label, ids in counts.items()})
    most = floor(min(len(counts[label]) / share for label, share in wanted.items() if share))
    size = rule.sizes.get(split, most)
    kept = _rounded(wanted, size)
    while split not in rule.sizes and any(number > len(counts[label]) for label, number in kept.items()):
        # Rounding up at the largest size may ask for one example more than a label has.
        size -= 1
        kept = _rounded(wanted, size)
    short = [label for label, number in kept.items() if number > len(counts[label])]
    if short:
        label = short[0]
        raise UserError(
            f"The {split} split has {len(counts[label])} examples of {label!r}, and {size} with these shares "
            f"need {kept[label]}.",
            _NOTHING,
            f"Keep {most} or fewer of {split}, or give the split more examples.",
        )
    if size < 1:
        raise UserError(
            f"Nothing of the {split} split is left with these shares.", _NOTHING, "Give it more examples."
        )
    drawn: set[str] = set()
    for label in sorted(counts):
        draw = stream("subsample", rule.seed, split, label)
        drawn.update(draw.sample(sorted(counts[label]), kept.get(label, 0)))
    return tuple(example for example in examples if example.id in drawn)


def subsample_task(task: Task, rule: Subsample) -> Task:
    """The task with what is kept of each split; its identity is another.

    Raises:
        UserError: see `subsample`.
    """
    before = {"train": task.view.train, "validation": task.view.validation, "test": task.test}
    after = {split: subsample(examples, rule, split) for split, examples in before.items()}
    kept = {split: [example.id for example in examples] for split, examples in after.items()}
    canonical = json.dumps([task.digest, "subsample", kept], ensure_ascii=True, separators=(",", ":"))
    sizes = ", ".join(f"{split} {len(after[split])} of {len(before[split])}" for split in before)
    shares = ", ".join(f"{label} {share:.0%}" for label, share in rule.share.items())
    return Task(
        replace(task.view, train=after["train"], validation=after["validation"]),
        after["test"],
        hashlib.sha256(canonical.encode()).hexdigest(),
        (*task.notes, f"Subsampled to {shares}: {sizes}."),
    )


def _shares(named: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, Fraction]:
    """The share of every label: those named, and the rest in proportion."""
    exact = {label: Fraction(str(share)) for label, share in named.items()}
    rest = 1 - sum(exact.values(), Fraction(0))
    others = {label: count for label, count in counts.items() if label not in exact}
    if rest < -_OFF or any(not 0 <= share <= 1 for share in exact.values()):
        raise UserError(
            "The shares of a subsample lie outside 0 to 1, or sum to more than 1.",
            _NOTHING,
            "Write shares such as {yes: 0.8}.",
        )
    if rest > _OFF and not others:
        raise UserError(
            f"The shares of a subsample name every label and sum to {float(1 - rest):g}.",
            _NOTHING,
            "Let them sum to 1, or leave one label out.",
        )
    whole = sum(others.values())
    return exact | {label: max(rest, Fraction(0)) * count / whole for label, count in others.items()}


def _rounded(shares: Mapping[str, Fraction], size: int) -> dict[str, int]:
    """Whole numbers that sum to `size`, by largest remainder."""
    kept = {label: floor(share * size) for label, share in shares.items()}
    order = sorted(shares, key=lambda label: (kept[label] - shares[label] * size, label))
    for label in order[: size - sum(kept.values())]:
        kept[label] += 1
    return kept
