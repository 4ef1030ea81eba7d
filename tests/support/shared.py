"""Where the real data for tests lies, if it lies anywhere: users of the project do not have it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("NULLGRAD_SHARED") or Path(__file__).resolve().parents[3] / "shared")


def shared(*parts: str) -> Path:
    """A path below the directory of shared data."""
    return _ROOT.joinpath(*parts)


needs_shared = pytest.mark.skipif(
    not shared("data").is_dir(),
    reason="needs the real data sets of ../shared/data (or NULLGRAD_SHARED), which are not part of the project",
)
