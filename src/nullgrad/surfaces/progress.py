"""Progress on standard error: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import click

from nullgrad.api import Forecast

PLAIN_EVERY = 5.0
"""Seconds between plain lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar.

    Attributes:
        done: so much of `total`.
        total: at least 1.
        summary: behind the bar.
        name: before it.
    """

    done: int
    total: int
    summary: str
    name: str = ""


class Progress:
    """Counts what it is told; subclasses show it. An observer of the run and a context manager."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.asked = self.paid = self.failed = self.tokens = 0
        self.started = time.monotonic()
        self.first_paid = 0.0
        self.standing = ""
        self._rows: dict[tuple[str, str], float] = {}
        self._steps: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def on_answer(self, about: Any, answer: Any, source: str) -> None:
        """Count one answer."""
        self.asked += 1
        if source == "paid":
            if not self.paid:
                self.first_paid = time.monotonic()
            self.paid += 1
            usage = getattr(answer, "usage", None)
            if usage is None:
                self.failed += 1
            else:
                self.tokens += (usage.prompt or 0) + (usage.completion or 0)
        self.tick()

    def on_event(self, event: Any) -> None:
        """Keep the accuracy so far."""
        kind = event.kind
        if kind == "candidate-scored":
            known = [score for score in event.shown if score is not None]
            self._rows[event.scope, event.candidate] = sum(known) / len(known) if known else 0.0
            who = "current prompt" if event.variant < 0 else f"variant {event.variant + 1}"
            self.say(
                f"{event.scope}: step {event.step}, {who}: {self._rows[event.scope, event.candidate]:.1%} on validation"
            )
        elif kind == "step-done":
            self._steps[event.scope] = event.step
            value = self._rows.get((event.scope, event.candidate))
            accuracy = "" if value is None else f", {value:.1%} on validation"
            self.standing = f"step {event.step}{accuracy}"
            self.say(
                f"{event.scope}: step {event.step} {'kept the prompt' if event.variant < 0 else 'took a new prompt'}{accuracy}"
            )
        elif kind == "proposal-unparsed":
            self.say(
                f"{event.scope}: step {event.step}, variant {event.variant + 1}: no prompt in the reply ({event.reason})"
            )
        elif kind == "test-opened":
            self.standing = f"sealed test ({event.purpose})"
        self.tick()

    def on_notice(self, text: str) -> None:
        """Say it at once."""
        self.say(text)

    @property
    def rate(self) -> float:
        """Paid calls a second, 0 before the first."""
        elapsed = time.monotonic() - (self.first_paid or self.started)
        return self.paid / elapsed if self.paid > 1 and elapsed > 0 else 0.0

    def summary(self) -> str:
        """One line."""
        rate = self.rate
        left = max(self.expected - self.asked, 0)
        parts = [f"{self.asked:,}/{self.expected:,} calls"]
        if rate:
            parts.append(f"{rate:.1f}/s")
        parts.append(f"{short(self.tokens)} tokens")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if rate and left:
            parts.append(f"about {duration(left / rate)} left")
        if self.standing:
            parts.append(self.standing)
        return " · ".join(parts)

    def rows(self) -> list[Row]:
        """What bars show: here one, of all calls."""
        return [Row(done=min(self.asked, self.expected), total=max(self.expected, 1), summary=self.summary())]

    def say(self, text: str) -> None:
        """A line that stays."""

    def tick(self) -> None:
        """Something changed."""


class Lines:
    """Of a `Progress`: lines on standard error, the summary a few seconds apart."""

    started: float
    summary: Callable[[], str]
    _last = 0.0

    def say(self, text: str) -> None:
        """Print it; a run does not end because nobody can read of it."""
        with contextlib.suppress(OSError):
            click.echo(text, err=True)

    def tick(self) -> None:
        """Print the summary now and then."""
        now = time.monotonic()
        if now - max(self._last, self.started) >= PLAIN_EVERY:
            self._last = now
            self.say(self.summary())


class Bars:
    """Of a `Progress`: a bar for each of its rows, drawn four times a second by a thread of their own."""

    rows: Callable[[], list[Row]]
    _drawn = 0.0

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Live

        self._console = Console(stderr=True)
        self._live = Live(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[summary]}", markup=False),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._tasks = [
            self._live.add_task("", total=row.total, name=row.name, summary=row.summary)
            for row in self.rows()
        ]
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print it above the bars."""
        self._console.print(text, markup=False, highlight=False, style="dim")

    def tick(self) -> None:
        """Update the bars' values; they draw themselves."""
        now = time.monotonic()
        if now - self._drawn <= 0.2:
            return
        self._drawn = now
        for task, row in zip(self._tasks, self.rows(), strict=True):
            self._live.update(task, completed=row.done, summary=row.summary)


class PlainProgress(Lines, Progress):
    """As lines."""


class LiveProgress(Bars, Progress):
    """As a bar."""


def make_progress(forecast: Forecast, *, quiet: bool) -> Progress:
    """The kind that fits where standard error goes."""
    expected = (forecast.main + forecast.controls).total
    if quiet:
        return Progress(expected)
    return LiveProgress(expected) if sys.stderr.isatty() else PlainProgress(expected)


def short(number: int) -> str:
    """A count in a few characters."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
