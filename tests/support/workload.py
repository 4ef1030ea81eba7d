"""A task and a command line for tests that run nullgrad in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TASK = """\
name: moods
data: moods.csv
input: text
target: label
labels: [up, down]
scorer: exact
prompt: Is the mood up or down?
format: "Answer with one word: up or down."
split: {train: 12, validation: 20, test: 40, seed: 0}
"""

SPEND = ("calls", "tokens", "usd", "seconds")
"""What differs between a run and its replay."""


def write_task(folder: Path) -> Path:
    """A task of 72 examples."""
    rows = [
        f"line {number} of the diary about day {number * 7},{'up' if number % 3 else 'down'}"
        for number in range(72)
    ]
    (folder / "moods.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    path = folder / "task.yaml"
    path.write_text(TASK)
    return path


def command(task: Path, url: str, ledger: Path, *more: str) -> list[str]:
    """`nullgrad optimize` against an endpoint."""
    return [
        sys.executable, "-m", "nullgrad", "optimize", str(task), "--model", "openai/test", "--base-url", url,
        "--endpoint-name", "test", "--ledger", str(ledger), "--json", "--quiet", *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Without keys or endpoints of the user."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}


def run_json(arguments: list[str]) -> dict[str, Any]:
    """Run to the end and read the result."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=environment(), timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def lasting(result: dict[str, Any]) -> dict[str, Any]:
    """What a run and its replay have in common."""
    return {key: value for key, value in result.items() if key not in SPEND}
