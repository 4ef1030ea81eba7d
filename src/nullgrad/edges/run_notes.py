"""What a running command intends, in a small file beside its ledger, for whoever watches.

The ledger holds what happened; how many trials were asked for is no part of a run's identity and so not in it. A note that
cannot be written is left out: watching must never stop a run.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nullgrad.edges.wholefile import write_whole

SUFFIX = ".runs"
"""Of the directory with the notes, after the ledger's own name."""


def note_run(ledger: object, run: str, intends: Mapping[str, Any]) -> None:
    """Write what a command that begins now intends.

    Args:
        ledger: an open ledger; one without a `path` is watched by nobody.
        run: the run's identity.
        intends: `work` (by `cell` and `arm`: trials, and calls of a trial), `steps`, `models` (name and base URL by
            identity), `asked` (calls in all). JSON values.
    """
    path = getattr(ledger, "path", None)
    if not isinstance(path, Path):
        return
    value = {
        "run": run,
        "pid": os.getpid(),
        "began_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **intends,
    }
    with contextlib.suppress(OSError):
        folder = path.with_name(path.name + SUFFIX)
        folder.mkdir(exist_ok=True)
        write_whole(folder / f"{run}.json", json.dumps(value).encode())


def read_note(ledger: Path, run: str) -> dict[str, Any] | None:
    """The note of the last command that carried a run on, None where there is none."""
    path = ledger.with_name(ledger.name + SUFFIX) / f"{run}.json"
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def is_alive(note: Mapping[str, Any]) -> bool:
    """Whether the command that wrote the note still runs on this machine."""
    pid = note.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
