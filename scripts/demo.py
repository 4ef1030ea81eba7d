"""The demo: optimizes the shipped example's prompt with the embedded local model, on this machine's cores.

Runs the same commands that a user would, and prints each before it runs.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

TASK = "support-tickets"
MODEL = "local:smollm2-135m"
OPTIONS = ["--steps", "3", "--temperature", "0", "--optimizer-temperature", "0.6", "--seed", "0"]


def say(arguments: list[str]) -> None:
    """Print a command and run it."""
    print(f"\n$ nullgrad {shlex.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "nullgrad", *arguments], check=False).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Fetch the weights, optimize, verify the ledger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=Path, default=Path(".nullgrad") / "demo.db")
    options = parser.parse_args()
    started = time.monotonic()
    say(["models", "fetch", MODEL])
    say(["optimize", TASK, "--model", MODEL, *OPTIONS, "--ledger", str(options.ledger)])
    say(["verify", "--ledger", str(options.ledger)])
    print(
        f"\nThe demo took {time.monotonic() - started:.0f} s. The same command again is answered from the ledger."
    )


if __name__ == "__main__":
    main()
