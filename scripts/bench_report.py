"""Time and memory of a report: 60 contrasts, 10 arms × 30 trials × 10 steps, from a ledger with every reply and prompt.

The study is run first with a scripted model, which is not counted; then `nullgrad report --format html` in a process of its own.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import nullgrad
from nullgrad.core.chat import Request
from nullgrad.edges.models.script import ScriptModel

ARMS = (
    "gradient/correct/naive", "gradient/wrong/naive", "gradient/none/naive", "one-step/correct/naive",
    "one-step/wrong/naive", "one-step/none/naive", "improve", "rewrite", "gradient/correct/validated@3",
    "gradient/correct/best@3",
)  # fmt: skip
TRIALS, STEPS, CONTRASTS = 30, 10, 60
SECONDS, MEGABYTES, PAGE = 10.0, 1000.0, 3_000_000
"""What a report may take."""

TASK = """\
name: moods
data: moods.csv
input: text
target: label
labels: [up, down]
scorer: exact
prompt: Is the mood up or down?
format: "Answer with one word: up or down."
split: {train: 12, validation: 10, test: 20, seed: 0}
"""


def study_text() -> str:
    """A study file of that size; what a pair of arms differs in does not matter here."""
    lines = [
        f"  - {{family: f{place % 9}, better: {a}, than: {b}, bundle: true}}"
        for place, (a, b) in enumerate(combinations(ARMS, 2))
    ]
    lines += [f"  - {{family: seed, better: {arm}, than: seed, bundle: true}}" for arm in ARMS]
    lines += [f"  - {{family: course, plateau: {arm}}}" for arm in ARMS]
    arms = "\n".join(f"  {arm}: {TRIALS}" for arm in ARMS)
    contrasts = "\n".join(lines[:CONTRASTS])
    return (
        f"name: bench\ntasks: [task.yaml]\narms:\n{arms}\nsteps: {STEPS}\ncurve: [2, 5, 10]\nmargin: 5 points\n"
        f"contrasts:\n{contrasts}\n"
    )


def reply(request: Request) -> str:
    """Prompts of some 80 words, of which a few change with every draw; answers by the request's hash."""
    text = "\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        rules = " ".join(
            f"Rule {n}: weigh sentence {(request.draw >> n) % 97} before the mood." for n in range(9)
        )
        return f"<prompt>Is the mood up or down? {rules}</prompt>"
    if "How should the" in text:
        return (
            f"It should look at point {request.draw % 997} first, since the writer's own words come there."
            * 3
        )
    return ("up", "down", "up")[int(re.sub(r"\D", "", request.identity()[:12]) or 0) % 3]


def main() -> None:
    """Run the study, then time its report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [f"line {n} about day {n * 7},{'up' if n % 3 else 'down'}" for n in range(42)]
        (folder / "moods.csv").write_text("text,label\n" + "\n".join(rows) + "\n", "utf-8")
        (folder / "task.yaml").write_text(TASK, "utf-8")
        (folder / "study.yaml").write_text(study_text(), "utf-8")
        os.chdir(folder)
        begun = time.monotonic()
        study = nullgrad.Study.from_file("study.yaml", model=ScriptModel(reply, "script:bench", "bench"))
        result = study.run()
        tables = result.tables()
        size = Path(".nullgrad/ledger.db").stat().st_size / 1e6
        print(
            f"{len(tables['contrasts'])} contrasts, {len(tables['trials'])} trials, {result.spend.paid:,} replies paid, ledger "
            f"{size:.0f} MB; run and analysed in {time.monotonic() - begun:.0f} s (not counted)"
        )
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "nullgrad", "report", "--html", "report.html"], check=True)
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak, cpu = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
        page = Path("report.html").stat().st_size
        print(
            f"report in {seconds:.1f} s (limit {SECONDS:g}; {cpu:.1f} s of CPU), peak memory {peak:.0f} MB (limit {MEGABYTES:g}), page {page / 1e6:.2f} MB (limit {PAGE / 1e6:g})"
        )
        if len(sys.argv) > 1:
            Path(sys.argv[1]).write_bytes(Path("report.html").read_bytes())
        if seconds > SECONDS or peak > MEGABYTES or page > PAGE:
            sys.exit("over the limit")


if __name__ == "__main__":
    main()
