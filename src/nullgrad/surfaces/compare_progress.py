"""Progress of a comparison: trials that ended, what each running one has asked of its budget, rate and time left."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any, Self

import click

from nullgrad.core.compare import Comparison
from nullgrad.surfaces.progress import PLAIN_EVERY, Progress, duration, short

SHOWN = 4
"""Running trials that a line names."""


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

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Count one answer."""
        scope = f"{about.arm}#{about.trial}"
        if about.split != "test" and scope in self._scopes:
            self.running[scope] = self.running.get(scope, 0) + 1
        self.replayed += source == "replayed"
        super().on_answer(about, answer, source)

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
        """About how long it takes at the pace so far, at most where the budget is in calls; None while nothing is known."""
        elapsed, left = time.monotonic() - self.started, self.total - self.done
        if self._limit is not None and self.paid:
            calls = left * self._limit - sum(self.running.values())
            return calls * elapsed / self.asked
        return left * elapsed / len(self._ended) if self._ended else None

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


class PlainCompareProgress(CompareProgress):
    """Lines: one for each trial that ends, and the summary a few seconds apart."""

    def __init__(self, comparison: Comparison, expected: int, before: int = 0) -> None:
        super().__init__(comparison, expected, before)
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print it; a run does not end because nobody can read of it."""
        with contextlib.suppress(OSError):
            click.echo(text, err=True)

    def tick(self) -> None:
        """Print the summary now and then."""
        now = time.monotonic()
        if now - self._last >= PLAIN_EVERY:
            self._last = now
            self.say(self.summary())


class LiveCompareProgress(CompareProgress):
    """A bar that refreshes four times a second from a thread of its own."""

    def __init__(self, comparison: Comparison, expected: int, before: int = 0) -> None:
        super().__init__(comparison, expected, before)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[summary]}", markup=False),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._task = self._bars.add_task("", total=max(self.total, 1), summary="starting")
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print it above the bar."""
        self._console.print(text, markup=False, highlight=False, style="dim")

    def tick(self) -> None:
        """Update the bar's values; it draws itself."""
        now = time.monotonic()
        if now - self._drawn > 0.2:
            self._drawn = now
            self._bars.update(self._task, completed=self.done, summary=self.summary())


def make_compare_progress(
    comparison: Comparison, expected: int, before: int, *, quiet: bool
) -> CompareProgress:
    """The kind that fits where standard error goes."""
    if quiet:
        return CompareProgress(comparison, expected, before)
    kind = LiveCompareProgress if sys.stderr.isatty() else PlainCompareProgress
    return kind(comparison, expected, before)
