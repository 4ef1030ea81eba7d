"""Finished runs of the A/A test of a third-party optimizer, kept in a file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nullgrad.analysis.calibration.phantom import PhantomRun
from nullgrad.api.calibrate_foreign import ForeignPhantomJob
from nullgrad.api.calibrate_pool import NOTHING
from nullgrad.errors import UserError
from nullgrad.version import __version__

_BEGINS = '{"of": '
"""How every line begins."""


class Kept:
    """Runs by what they were runs of: optimizer, release, world, condition and numbers, and nullgrad's release.

    Args:
        file: where they are kept; None keeps them as long as this object lives.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._runs: dict[str, list[PhantomRun]] = {}
        if file is not None and file.exists():
            self._read(file)

    def find(self, job: ForeignPhantomJob) -> list[PhantomRun] | None:
        """The runs of a job, None where they are not known."""
        return self._runs.get(_key(job))

    def get(self, job: ForeignPhantomJob) -> list[PhantomRun]:
        """The runs of a job that is known."""
        return self._runs[_key(job)]

    def add(self, job: ForeignPhantomJob, runs: Sequence[PhantomRun]) -> None:
        """Keep the runs of a job, in one line that is written at once.

        Raises:
            UserError: the file cannot be written.
        """
        self._runs[_key(job)] = list(runs)
        if self._file is None:
            return
        line = json.dumps({"of": json.loads(_key(job)), "runs": [asdict(run) for run in runs]})
        try:
            with self._file.open("a", encoding="utf-8") as out:
                out.write(line + "\n")
        except OSError as error:
            raise UserError(
                f"{self._file} cannot be written: {error.strerror}.",
                "The test stopped.",
                "Give another file.",
            ) from None

    def _read(self, file: Path) -> None:
        try:
            *lines, last = file.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read: {error}.", NOTHING, "Give another file.") from None
        for number, line in enumerate(lines, 1):
            try:
                value: dict[str, Any] = json.loads(line)
                self._runs[_text(value["of"])] = [PhantomRun(**run) for run in value["runs"]]
            except (ValueError, TypeError, KeyError):
                raise _another(file, number) from None
        if not last:
            return
        if not last.startswith(_BEGINS):
            raise _another(file, len(lines) + 1)
        # A line without an end was being written when the test was killed: its run is made again.
        file.write_text("".join(line + "\n" for line in lines), "utf-8")


def _another(file: Path, line: int) -> UserError:
    return UserError(
        f"{file}, line {line}, is no finished run of calibrate.", NOTHING, "Give --keep another file."
    )


def _key(job: ForeignPhantomJob) -> str:
    own = asdict(job)
    del own["python"]
    return _text({**own, "runs": list(job.runs), "nullgrad": __version__})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
