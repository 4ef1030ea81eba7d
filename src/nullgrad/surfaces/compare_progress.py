"""Progress of a comparison: trials that ended, what each running one has asked of its budget, rate and time left."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

from nullgrad.core.compare import Comparison
from nullgrad.surfaces.progress import Bars, Lines, Progress, Row, duration, short

SHOWN = 4
"""Running trials that a line names."""

RECENT = 300.0
"""Seconds whose calls the time left is estimated from."""

MARK_EVERY = 5.0
"""Seconds between the counts that are kept of them."""


class CompareProgress(Progress):
    """Counts what it is told; subclasses show it. An observer of the run and a context manager.

    Args:
        comparison: what runs.
        expected: calls at most, 0 where the budget is not in calls.
        before: trials that had ended before this command.
    """

    def __init__(self, comparison: Comparison, expected: int, before: int = 0) -> None:
        super().__init__(expected)
        self._limit = comparison.budget.calls
        self.total = comparison.trials * len(comparison.entries)
        self._scopes = {
            entry.scope(trial) for trial in range(comparison.trials) for entry in comparison.entries
        }
        self._before = before
        self._ended: set[str] = set()
        self.running: dict[str, int] = {}
        self.replayed = 0
        self._marks: deque[tuple[float, int]] = deque()

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Count one answer."""
        scope = f"{about.arm}#{about.trial}"
        if about.split != "test" and scope in self._scopes:
            self.running[scope] = self.running.get(scope, 0) + 1
        self.replayed += source == "replayed"
        super().on_answer(about, answer, source)
        now = time.monotonic()
        if now - (self._marks[-1][0] if self._marks else self.started) >= MARK_EVERY:
            self._marks.append((now, self.asked))
            while now - self._marks[0][0] > RECENT:
                self._marks.popleft()

    def on_event(self, event: Any) -> None:
        """Tell of trials that end, and of prompts that are read on test."""
        if event.kind == "trial-compared":
            calls = self.running.pop(event.scope, 0)
            self._ended.add(event.scope)
            of = "" if self._limit is None else f" of {self._limit:,}"
            claim = "" if event.claimed is None else f", {event.claimed:.1%} by its own score"
            why = f" ({event.reason})" if event.reason and event.ended == "failed" else ""
            self.say(f"{event.scope}: {event.ended}{claim}, {calls:,}{of} calls{why}")
        elif event.kind == "test-scored":
            known = [score for score in event.scores if score is not None]
            accuracy = f"{sum(known) / len(known):.1%}" if known else "no score"
            self.say(f"{event.scope}: {accuracy} on the sealed test")
        self.tick()

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return self._before + len(self._ended)

    def seconds_left(self) -> float | None:
        """About how long it takes, at most where the budget is in calls; None while nothing is known.

        Calls are taken at their recent pace: what a resumed trial has from the ledger comes in a moment, and says
        nothing of what is still to be asked.
        """
        now, left = time.monotonic(), self.total - self.done
        if self._limit is not None and self.paid:
            calls = left * self._limit - sum(self.running.values())
            since, before = self._marks[0] if self._marks else (self.started, 0)
            recent = self.asked - before
            return calls * (now - since) / recent if recent else None
        return left * (now - self.started) / len(self._ended) if self._ended else None

    def rows(self) -> list[Row]:
        """One bar, of all trials."""
        return [Row(self.done, max(self.total, 1), self.summary())]

    def summary(self) -> str:
        """One line."""
        parts = [f"{self.done}/{self.total} trials", f"{self.asked:,} calls ({self.paid:,} paid)"]
        if self.rate:
            parts.append(f"{self.rate:.1f}/s")
        parts.append(f"{short(self.tokens)} tokens")
        if self.failed:
            parts.append(f"{self.failed} failed")
        left = self.seconds_left()
        if left:
            parts.append(f"about {duration(left)} left")
        of = "" if self._limit is None else f"/{self._limit:,}"
        running = [f"{scope} {calls:,}{of}" for scope, calls in list(self.running.items())[:SHOWN]]
        return " · ".join([*parts, *running])


class PlainCompareProgress(Lines, CompareProgress):
    """As lines: one for each trial that ends, and the summary."""


class LiveCompareProgress(Bars, CompareProgress):
    """As a bar."""


def make_compare_progress(
    comparison: Comparison, expected: int, before: int, *, quiet: bool
) -> CompareProgress:
    """The kind that fits where standard error goes."""
    if quiet:
        return CompareProgress(comparison, expected, before)
    kind = LiveCompareProgress if sys.stderr.isatty() else PlainCompareProgress
    return kind(comparison, expected, before)
