"""Which release of an optimizer's package an interpreter has."""

from __future__ import annotations

import subprocess

from nullgrad.edges.optimizers import Adapter
from nullgrad.errors import UserError

_PROBE = """\
import importlib.metadata as metadata, sys
try:
    print(metadata.version(sys.argv[1]))
except metadata.PackageNotFoundError:
    pass
"""

PATIENCE = 60.0
"""Seconds that an interpreter gets to start."""


def installed_version(adapter: Adapter, python: str) -> str:
    """The release that is installed, "" for none; the package itself is not imported.

    Raises:
        UserError: the interpreter cannot be run.
    """
    try:
        done = subprocess.run(
            [python, "-c", _PROBE, adapter.package.partition("[")[0]],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        said = error.strerror if isinstance(error, OSError) else f"it does not answer within {PATIENCE:g} s"
        raise _unusable(python, said or str(error)) from None
    if done.returncode:
        raise _unusable(python, f"exit code {done.returncode}")
    return done.stdout.strip()


def _unusable(python: str, why: str) -> UserError:
    return UserError(
        f"{python} cannot be run: {why}.",
        "No optimizer was run.",
        "Set NULLGRAD_OPTIMIZERS_PYTHON to a Python interpreter that has the packages.",
    )
