"""Fills docs/conformance.md with the table that `nullgrad conformance` prints today.

Adapters run with the interpreter that NULLGRAD_OPTIMIZERS_PYTHON names: `make conformance` sets it. Exit code 1 where a
check failed; the page shows it all the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from docs import BLOCK, ROOT

PAGE = ROOT / "docs" / "conformance.md"


def main() -> None:
    """Run every command of the page."""
    failed = False

    def fill(match: re.Match[str]) -> str:
        nonlocal failed
        command = match["command"]
        print(f"$ {command}", flush=True)
        program = [str(Path(sys.executable).parent / "nullgrad"), *command.split()[1:]]
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(program, cwd=folder, text=True, stdout=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            sys.exit(f"{command!r} ended with {done.returncode}")
        failed = failed or done.returncode == 1
        lines = "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip()
        return f"{match[1]}```text\n$ {command}\n{lines}\n```\n"

    PAGE.write_text(BLOCK.sub(fill, PAGE.read_text("utf-8")), "utf-8")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
