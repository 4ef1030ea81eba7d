"""Carries out, or resumes, the comparisons that docs/compare.md shows, and writes them there.

    scripts/compare_measured.py                       # the measured one: hours on two cores; the same command goes on
    scripts/compare_measured.py -- TASK --optimizers …   # another one in its place: what follows nullgrad compare
    scripts/compare_measured.py --example             # the example at the beginning, with a simulated model: minutes

Each is an ordinary `nullgrad compare`, printed before it runs; all processes ask the models that the command has loaded.
NULLGRAD_OPTIMIZERS_PYTHON names the interpreter that has the packages.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nullgrad.surfaces.compare_markdown import comparison_markdown

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compare.md"
LEDGER = ROOT / ".nullgrad" / "compare.db"
TITLE = "## A measured comparison"

MEASURED = (
    "studies/compare-tickets.yaml",
    "--optimizers", "gepa,dspy-mipro,dspy-copro,promptolution-opro,promptolution-capo,nullgrad",
    "--budget", "800calls", "--trials", "3", "--controls", "feedback", "--model", "local:smollm2-135m",
    "--optimizer-model", "local:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "--temperature", "0", "--max-completion", "256", "--parallel", "6",
)  # fmt: skip
"""Replies of the task are held to its labels, for nullgrad's own arms and third-party packages alike.

The optimizer's model is larger than the generator's: what the embedded one writes as a proposal, most packages cannot read.
Its file is Qwen2.5-Coder-0.5B-Instruct, Q4_K_M, which its publisher has as GGUF; it is expected in the repository's folder.
"""

EXAMPLE = (
    "sim/gradient", "--optimizers", "gepa,textgrad,nullgrad", "--budget", "800calls", "--controls", "feedback",
    "--model", "sim:gradient",
)  # fmt: skip


def compared(arguments: Sequence[str], ledger: Path, *more: str) -> str:
    """What it prints; progress goes to the terminal."""
    command = ["compare", *arguments, "--ledger", str(ledger), *more]
    print(f"$ nullgrad {shlex.join(command)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "nullgrad", *command],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        sys.exit(f"It ended with {done.returncode}; the same command goes on.")
    return done.stdout


def with_measured(page: str, arguments: Sequence[str], table: str) -> str:
    """The page with what was measured below its heading."""
    shown = f"{TITLE}\n\n    nullgrad compare {shlex.join(arguments)}\n\n{table.strip()}\n"
    head, found, rest = page.partition(TITLE)
    if not found:
        sys.exit(f"{PAGE.name} has no section {TITLE!r}.")
    following = re.search(r"^## ", rest, re.MULTILINE)
    return head + shown + ("\n" + rest[following.start() :] if following else "")


def with_example(page: str, arguments: Sequence[str], printed: str) -> str:
    """The page with the example in its first block of text."""
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    block = f"```text\n$ nullgrad compare {shlex.join(arguments)}\n{lines}\n```\n"
    return re.sub(r"```text\n.*?```\n", lambda _: block, page, count=1, flags=re.DOTALL)


def main() -> None:
    """Run one of them and fill the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    parser.add_argument("--example", action="store_true")
    parser.add_argument("arguments", nargs="*", help="of nullgrad compare, after --")
    options = parser.parse_args()
    arguments = tuple(options.arguments) or (EXAMPLE if options.example else MEASURED)
    page = PAGE.read_text("utf-8")
    if options.example:
        page = with_example(page, arguments, compared(arguments, options.ledger))
    else:
        report = json.loads(compared(arguments, options.ledger, "--json"))
        page = with_measured(page, arguments, comparison_markdown(report))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
