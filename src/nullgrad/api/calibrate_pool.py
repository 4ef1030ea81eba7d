"""What both tests of `calibrate` share: seeds, pieces of work, and processes that do them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from nullgrad.errors import UserError

Progress = Callable[[int, int, str], None]
"""Told (pieces done, all pieces, what is being done)."""

T = TypeVar("T")
J = TypeVar("J")

NOTHING = "Nothing was run."

PIECE = 10
"""Studies, audits or runs that one process does at a time."""


def check_seed(seed: int) -> None:
    if seed < 0:
        raise UserError(f"--seed is {seed}.", NOTHING, "Give 0 or more.")


def seed_of(seed: int, part: int, number: int) -> int:
    """Seeds of audits (1), studies (2) and runs (3), apart whatever the user's seed is."""
    return (seed * 4 + part) * 10_000_000 + number


def pieces(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[start : start + PIECE] for start in range(0, len(values), PIECE)]


def in_processes(
    work: Callable[[J], T],
    jobs: Sequence[J],
    processes: int | None,
    progress: Progress | None,
    said: Callable[[Any], str],
) -> Iterator[T]:
    """Results in the order of the jobs; `said` puts one into words for `progress`."""
    count = processes if processes is not None else os.cpu_count() or 1

    def told(number: int) -> None:
        if progress is not None and jobs:
            progress(number, len(jobs), said(jobs[min(number, len(jobs) - 1)]))

    told(0)
    if count <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs, 1):
            yield work(job)
            told(number)
        return
    # Spawned, so that no thread or lock of the parent is copied, on every platform.
    pool = ProcessPoolExecutor(
        min(count, len(jobs)), mp_context=multiprocessing.get_context("spawn"), initializer=_left_alone
    )
    try:
        for number, value in enumerate(pool.map(work, jobs), 1):
            yield value
            told(number)
    finally:
        pool.shutdown(cancel_futures=True)


def _left_alone() -> None:
    """Ctrl-C is the parent's, which ends the pool; a worker would print a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
