"""Guesses from targets: whether they are numbers, whether they come from a closed label set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

MOST_LABELS = 20
MOST_NUMBERS = 10
LONGEST_LABEL = 40
MANY = 10


def is_number(text: str) -> bool:
    """Whether a target is written as a finite number; commas may set off thousands."""
    try:
        return math.isfinite(float(text.replace(",", "")))
    except ValueError:
        return False


def infer_labels(targets: Sequence[str], *, rare: bool = False) -> tuple[str, ...]:
    """The closed label set that targets seem to come from, sorted; () where they seem open.

    They seem closed when there are 2 to 20 distinct ones (2 to 10 if all are numbers), none longer than 40
    characters, and each occurs at least twice.

    Args:
        targets: as they are.
        rare: whether one may occur once where there are many more targets than distinct ones: in a user's data
            a class with a single example is still a class.
    """
    counts = Counter(target.strip() for target in targets)
    most = MOST_NUMBERS if all(is_number(target) for target in counts) else MOST_LABELS
    closed = (
        2 <= len(counts) <= most
        and (all(count >= 2 for count in counts.values()) or (rare and len(targets) >= MANY * len(counts)))
        and all(0 < len(target) <= LONGEST_LABEL and "\n" not in target for target in counts)
    )
    return tuple(sorted(counts, key=lambda label: (label.casefold(), label))) if closed else ()
