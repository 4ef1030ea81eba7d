"""An interpreter that has another tool's package and whatever nullgrad itself needs, for exports made in its process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

NEEDED = ("aiohttp", "click", "genai_prices", "numpy", "pydantic", "rich", "scipy", "sqlalchemy", "yaml")


@functools.lru_cache
def _found(package: str) -> str | None:
    candidates = (
        sys.executable,
        os.environ.get("NULLGRAD_ECOSYSTEM_PYTHON", ""),
        str(ROOT / ".venv-peers" / "eco" / "bin" / "python"),
    )
    names = ", ".join(map(repr, (package, *NEEDED)))
    probe = (
        f"import importlib.util as u, sys; sys.exit(any(u.find_spec(name) is None for name in ({names},)))"
    )
    for python in candidates:
        if (
            python
            and Path(python).exists()
            and subprocess.run([python, "-c", probe], check=False).returncode == 0
        ):
            return python
    return None


def run_with(
    package: str, arguments: list[str], folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an interpreter that has `package`, with nullgrad importable; the test is skipped with the reason where there is none.

    Args:
        package: by its import name.
        arguments: of the interpreter.
        folder: the working directory.
        more: environment variables; those of the tools themselves are taken out first.
    """
    python = _found(package)
    if python is None:
        pytest.skip(f"{package} is not installed: see docs/ecosystem.md, or set NULLGRAD_ECOSYSTEM_PYTHON")
    around = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "MLFLOW_", "WANDB_", "INSPECT_"))
    }
    around |= {"PYTHONPATH": str(ROOT / "src"), "HOME": str(folder), **(more or {})}
    return subprocess.run(
        [python, *arguments], cwd=folder, env=around, capture_output=True, text=True, timeout=280, check=False
    )
