"""An interpreter that has a package which the tests' own need not have."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@functools.lru_cache
def _found(package: str) -> str | None:
    candidates = (
        os.environ.get("NULLGRAD_OPTIMIZERS_PYTHON", ""),
        str(ROOT / ".venv-peers" / "all" / "bin" / "python"),
        sys.executable,
    )
    for python in candidates:
        if python and Path(python).exists():
            probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
            if subprocess.run([python, "-c", probe], check=False).returncode == 0:
                return python
    return None


def python_with(package: str) -> str:
    """The interpreter; the test is skipped with the reason where there is none."""
    python = _found(package)
    if python is None:
        pytest.skip(f"{package} is not installed: make optimizers, or set NULLGRAD_OPTIMIZERS_PYTHON")
    return python
