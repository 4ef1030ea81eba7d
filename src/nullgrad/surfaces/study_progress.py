"""Progress of a study: complete blocks by cell, trials by arm, rate, spend and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nullgrad.core.arms import SEED
from nullgrad.core.study import Study
from nullgrad.core.study_facts import parse_scope
from nullgrad.surfaces.progress import PLAIN_EVERY, Bars, Lines, Progress, Row, duration, short

Cost = Callable[[Any, Any], Decimal | None]
"""From what a call was for and its usage to dollars, None where unknown."""


class StudyProgress(Progress):
    """Counts what it is told; subclasses show it. An observer of the run and a context manager.

    Args:
        study: what runs.
        cost: dollars of a paid call.
    """

    def __init__(self, study: Study, cost: Cost) -> None:
        super().__init__(study.asked.total)
        self._study = study
        self._cost = cost
        self._before_paid = 0
        self.usd: Decimal | None = Decimal(0)
        self.trials = {one.arm.canonical: 0 for one in study.arms if one.arm != SEED}
        self.blocks = {cell.name: 0 for cell in study.cells}
        self._left: dict[tuple[str, int], int] = {}
        self._unread: dict[str, int] = {}

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Count one answer and what it cost."""
        if source == "paid" and not self.paid:
            self._before_paid = self.asked
        usage = getattr(answer, "usage", None)
        if source == "paid" and usage is not None and self.usd is not None:
            cost = self._cost(about, usage)
            self.usd = None if cost is None else self.usd + cost
        super().on_answer(about, answer, source)

    def on_event(self, event: Any) -> None:
        """Count readings of the test: with the last of a trial it is done, and with the last trial its block."""
        key = parse_scope(event.scope)
        if event.kind != "test-scored" or key is None:
            return
        cell, arm, number = key
        curve = 0 if event.purpose == "seed" else len(self._study.curve)
        unread = self._unread.setdefault(event.scope, 1 + curve) - 1
        self._unread[event.scope] = unread
        if unread:
            return
        if arm in self.trials:
            self.trials[arm] += 1
        block = (cell, number)
        self._left[block] = self._left.get(block, 1 + len(self._study.block(number))) - 1
        if not self._left[block]:
            self.blocks[cell] += 1
            self.on_block(cell, number)
        self.tick()

    def on_block(self, cell: str, number: int) -> None:
        """A block is complete."""

    @property
    def pace(self) -> float:
        """Answers a second since the first paid one, shared ones included, 0 before it."""
        elapsed = time.monotonic() - (self.first_paid or self.started)
        return (self.asked - self._before_paid) / elapsed if self.paid > 1 and elapsed > 0 else 0.0

    def summary(self) -> str:
        """One line."""
        left = max(self.expected - self.asked, 0)
        parts = [f"{self.asked:,}/{self.expected:,} calls ({self.paid:,} paid)"]
        if self.rate:
            parts.append(f"{self.rate:.1f}/s")
        parts.append(f"{short(self.tokens)} tokens")
        if self.usd is None:
            parts.append("price unknown")
        elif self.usd:
            parts.append(f"${self.usd:.2f}")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"blocks {self.told_blocks()}")
        if self.pace and left:
            parts.append(f"about {duration(left / self.pace)} left")
        return " · ".join(parts)

    def rows(self) -> list[Row]:
        """A bar for the trials of each arm, and one for all calls."""
        arms = [
            Row(done, self.total(arm), f"{done}/{self.total(arm)} trials", arm)
            for arm, done in self.trials.items()
        ]
        calls = Row(min(self.asked, self.expected), max(self.expected, 1), self.summary(), "calls")
        return [*arms, calls]

    def told_blocks(self) -> str:
        """Complete blocks: of the only cell, or of each."""
        if len(self.blocks) == 1:
            return f"{next(iter(self.blocks.values()))}/{self._study.blocks}"
        return ", ".join(f"{cell} {count}/{self._study.blocks}" for cell, count in self.blocks.items())

    def total(self, arm: str) -> int:
        """Trials of an arm over all cells."""
        return next(one.trials for one in self._study.arms if one.arm.canonical == arm) * len(self.blocks)

    def told_trials(self) -> str:
        """Trials done by arm."""
        return ", ".join(f"{arm} {count}/{self.total(arm)}" for arm, count in self.trials.items())


class PlainStudyProgress(Lines, StudyProgress):
    """As lines: one for each complete block, and the summary."""

    _by_arm = 0.0

    def on_block(self, cell: str, number: int) -> None:
        """Tell it, and now and then how far each arm is."""
        self.say(f"{cell}: block {number} is complete ({self.blocks[cell]} of {self._study.blocks})")
        now = time.monotonic()
        if now - max(self._by_arm, self.started) >= 12 * PLAIN_EVERY or all(
            count == self._study.blocks for count in self.blocks.values()
        ):
            self._by_arm = now
            self.say(f"trials: {self.told_trials()}")


class LiveStudyProgress(Bars, StudyProgress):
    """As a bar for each arm and one for all."""


def make_study_progress(study: Study, cost: Cost, *, quiet: bool) -> StudyProgress:
    """The kind that fits where standard error goes."""
    if quiet:
        return StudyProgress(study, cost)
    return LiveStudyProgress(study, cost) if sys.stderr.isatty() else PlainStudyProgress(study, cost)
