"""Adapters of third-party optimizers: one small file each, run by an interpreter that has the package.

The files `run_*.py` and `nullgrad_worker.py` import nothing of nullgrad and are not imported by it: they are started.
"""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from nullgrad.errors import UserError

PYTHON = "NULLGRAD_OPTIMIZERS_PYTHON"
"""The environment variable that names the interpreter which has the optimizers' packages."""

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one optimizer is run.

    Attributes:
        name: as users write it.
        package: on the package index.
        release: the requirement that the adapter was written for.
        extra: nullgrad's extra that installs it.
        file: the script of its process.
        hook: whether it reports candidates as they arise.
        roles: whose models it asks.
        note: what it is.
        channels: which of the two label channels reach it: `feedback`, the text that it reflects on, and `selection`,
            what its candidates are scored by. A control of another channel says nothing about it.
        deviation: what may differ between two runs with one seed, "" for nothing.
    """

    name: str
    package: str
    release: str
    extra: str
    file: str
    hook: bool
    roles: tuple[str, ...]
    note: str
    channels: tuple[str, ...] = ("feedback", "selection")
    deviation: str = ""

    def command(self, python: str) -> tuple[str, ...]:
        """Starts its process."""
        return python, str(FOLDER / self.file)

    def install(self, python: str) -> str:
        """The command that installs its package for an interpreter."""
        return f"{python} -m pip install '{self.package}{self.release}'"


KNOWN: dict[str, Adapter] = {
    one.name: one
    for one in (
        Adapter(
            "gepa", "gepa", ">=0.1.4,<0.2", "gepa", "run_gepa.py", True, ("generator", "optimizer"),
            "reflective evolution with a Pareto front (gepa.optimize)",
        ),
        Adapter(
            "dspy-gepa", "dspy", ">=3.4.1,<3.5", "dspy", "run_dspy_gepa.py", True, ("generator", "optimizer"),
            "reflective evolution with DSPy's own proposer and merging (dspy.GEPA)",
        ),
        Adapter(
            "dspy-mipro", "dspy[optuna]", ">=3.4.1,<3.5", "dspy", "run_dspy_mipro.py", True, ("generator", "optimizer"),
            "instructions proposed from a summary of training rows, searched by TPE; no demonstrations (dspy.MIPROv2)",
        ),
        Adapter(
            "dspy-copro", "dspy", ">=3.4.1,<3.5", "dspy", "run_dspy_copro.py", True, ("generator", "optimizer"),
            "coordinate ascent on scored instructions; its one set of rows is validation, and no label is shown (dspy.COPRO)",
            ("selection",),
        ),
        Adapter(
            "textgrad", "textgrad", ">=0.1.8,<0.2", "textgrad", "run_textgrad.py", True, ("generator", "optimizer"),
            "textual gradient descent; a step that is worse on validation is reverted, as in the library's prompt scripts",
        ),
        Adapter(
            "trace", "trace-opt", ">=0.1.3.8,<0.1.4", "trace", "run_trace.py", True, ("generator", "optimizer"),
            "Trace's OptoPrime; the library leaves loop and selection to its user: those of TextGrad's scripts",
        ),
        Adapter(
            "promptolution-opro", "promptolution", ">=2.3.0,<2.4", "promptolution", "run_promptolution_opro.py", True,
            ("generator", "optimizer"),
            "OPRO: proposals from scored earlier prompts; feedback labels are those of the examples that it shows",
        ),
        Adapter(
            "promptolution-capo", "promptolution", ">=2.3.0,<2.4", "promptolution", "run_promptolution_capo.py", True,
            ("generator", "optimizer"),
            "CAPO: evolution with races, from the seed prompt and two paraphrases of it; feedback labels are those of the "
            "worked examples in its prompts",
        ),
    )
}  # fmt: skip
"""Every adapter by its name."""


def adapter_of(name: str) -> Adapter:
    """The adapter with this name.

    Raises:
        UserError: there is none.
    """
    if name in KNOWN:
        return KNOWN[name]
    near = difflib.get_close_matches(name, KNOWN, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(
        f"nullgrad knows no optimizer {name!r}.",
        "Nothing was run.",
        f"{hint}Known: {', '.join(KNOWN)}. Any other program can be pointed at nullgrad gateway.",
    )


def interpreter() -> str:
    """The interpreter that runs optimizers: what the environment names, else our own."""
    named = os.environ.get(PYTHON, "").strip() or sys.executable
    # Adapters start in a folder of their own, where a relative path leads elsewhere.
    return os.path.abspath(named) if os.sep in named else named
