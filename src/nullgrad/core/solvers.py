"""Which solver of a procedural task knows the truth of a task's items, generated or published."""

from __future__ import annotations

from nullgrad.core import procedural
from nullgrad.core.reading.text import fold, parts
from nullgrad.core.suspicious import Solver
from nullgrad.core.task import TaskView

_TRIED = 5
"""Training items that a solver must answer as the task does."""


def solver_of(view: TaskView) -> Solver | None:
    """The solver that reads this task's items and finds their targets; None where there is none."""
    sample = view.train[:_TRIED]
    for name in procedural.names():

        def solve(text: str, name: str = name) -> str:
            return procedural.solve(name, text)

        try:
            if sample and all(_same(solve(one.input), one.target) for one in sample):
                return solve
        except ValueError:
            continue
    return None


def _same(answer: str, target: str) -> bool:
    return tuple(map(fold, parts(answer))) == tuple(map(fold, parts(target)))
