"""The audits that docs/audit.md shows, and their transcripts; called by `scripts/studies.py audits`.

Each is an ordinary `nullgrad audit`, whose replies a ledger keeps: what it holds is not asked again.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from nullgrad.api import Audit, load_task
from nullgrad.core.chat import Reply, Request
from nullgrad.core.effects import Ask
from nullgrad.core.forward import forward
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.local import LocalModel
from nullgrad.errors import CallError
from nullgrad.ports import Ledger
from nullgrad.surfaces.audit_text import print_audit

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "audit.md"
MODEL = "local:smollm2-135m"
AFTER = "studies/audit-never-unknown.md"
BLOCK = re.compile(r"(<!-- audit: (?P<name>\S+) -->\n)```text\n.*?```\n", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """One audit of the page.

    Attributes:
        task: its task file.
        more: further arguments.
    """

    task: str
    more: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of `nullgrad`."""
        return (
            "audit", self.task, "--before", "seed", "--after", AFTER, "--model", MODEL, "--temperature", "1", *self.more, "--quiet"
        )  # fmt: skip


AUDITS = {
    "web-of-lies": Shown(
        "studies/audit-web-of-lies.yaml", ("--curve", "unknown", "--shares", "0,0.5,1", "--items", "20")
    ),
    "web-of-lies-bbeh": Shown("studies/audit-web-of-lies-bbeh.yaml"),
}


def transcripts(ledger: Path, *, recorded: bool) -> None:
    """Fill the page's blocks with what the audits print.

    Args:
        ledger: of their replies.
        recorded: ask nothing; an audit that the ledger holds in part is made of the test examples that both prompts answered.
    """

    def fill(match: re.Match[str]) -> str:
        shown = AUDITS[match["name"]]
        print(f"\n$ nullgrad {shlex.join(shown.arguments)}", flush=True)
        text = _recorded(shown, ledger) if recorded else _asked(shown, ledger)
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        return f"{match[1]}```text\n$ nullgrad {shlex.join(shown.arguments)}\n{lines}\n```\n"

    PAGE.write_text(BLOCK.sub(fill, PAGE.read_text("utf-8")), "utf-8")


def _asked(shown: Shown, ledger: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nullgrad", *shown.arguments, "--ledger", str(ledger)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
    )
    if done.returncode:
        sys.exit(f"It ended with {done.returncode}; the same command goes on.")
    return done.stdout


class Replayed:
    """The model's recorded replies, and nothing else."""

    simulated = False
    constrains = True
    max_logprobs = LocalModel.max_logprobs

    def __init__(self) -> None:
        model = LocalModel(MODEL)
        self.name, self.identity, self.max_concurrency = model.name, model.identity, model.max_concurrency

    async def open(self) -> None:
        """Nothing."""

    async def call(self, request: Request) -> Reply:
        """Refuse."""
        raise CallError("rejected", "It is not recorded.", retryable=False)

    async def close(self) -> None:
        """Nothing."""


def _recorded(shown: Shown, ledger: Path) -> str:
    task = load_task(ROOT / shown.task)
    with tempfile.TemporaryDirectory() as folder:
        # A copy: an audit of fewer examples is another run, and no part of the study.
        copy = Path(folder) / "copy.db"
        shutil.copy(ledger, copy)
        book = open_ledger(copy)
        try:
            job = _job(shown, task)
            kept = _answered(job, book)
            if kept == len(task.test):
                return _asked(shown, ledger)
            note = (
                f"The run was ended early: this is of the first {kept} of its {len(task.test)} test examples, which lie in "
                "random order."
            )
            fewer = replace(
                task, test=task.test[:kept], digest=f"{task.digest}:{kept}", notes=(*task.notes, note)
            )
            report = asyncio.run(_job(shown, fewer).run(ledger=book))
        finally:
            book.close()
    text = io.StringIO()
    print_audit(report.to_dict(), text)
    return text.getvalue()


def _job(shown: Shown, task: Task) -> Audit:
    after = ROOT / AFTER
    return Audit(
        task,
        task.view.seed_prompt,
        after,
        model=Replayed(),
        temperature=1.0,
        names=("the task's seed prompt", after.name),
    )


def _answered(job: Audit, ledger: Ledger) -> int:
    """How many test examples from the first on both prompts were answered on."""
    setting, tests = job.plan.setting(), job.task.test
    rows = []
    for candidate in job.plan.candidates.values():
        asks = [next(forward(setting, candidate, example, "test")) for example in tests]
        rows.append([one.request.identity() for one in asks if isinstance(one, Ask)])
    known = ledger.find([identity for row in rows for identity in row])
    both = [all(identity in known for identity in pair) for pair in zip(*rows, strict=True)]
    return [*both, False].index(False)
