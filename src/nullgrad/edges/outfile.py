"""Where a command writes its result: checked before anything is paid for."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from nullgrad.edges.wholefile import write_whole
from nullgrad.errors import UserError

_OTHER = "Name another file with --out."


def check_out(
    path: Path, consequence: str = "Nothing was run.", *, only_results: bool = False, option: str = "--out"
) -> None:
    """Refuse a place that cannot be written, by trying it.

    Args:
        path: the file to be written later.
        consequence: what follows for the command.
        only_results: whether a file that is there may be replaced only if it is an earlier result (or empty):
            a slip such as `--out task.yaml` must not cost the task.
        option: by which it was named.

    Raises:
        UserError: it is a directory, is in none, may not be written, or holds something else.
    """
    other = _OTHER.replace("--out", option)
    if path.is_dir():
        raise UserError(f"{option} {path} is a directory.", consequence, "Name a file in it.")
    if path.exists() and not path.is_file():
        # A device or a pipe: there is nothing beside it to try.
        return
    if not path.parent.is_dir():
        raise UserError(
            f"There is no directory {path.parent} for {option} {path}.",
            consequence,
            f"Make it, or {_lower(other)}",
        )
    if only_results and path.exists() and not _replaceable(path):
        raise UserError(
            f"{option} {path} exists and is no result of nullgrad.",
            f"It was left as it is. {consequence}",
            other,
        )
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        os.unlink(temporary)
    except OSError as error:
        raise _unwritable(path, error, consequence, other, option) from None


def write_out(
    path: Path,
    text: str | bytes,
    consequence: str = "Nothing was written.",
    ways_out: str = _OTHER,
    option: str = "--out",
) -> None:
    """Write a text, or bytes as they are, whole or not at all where the place is a file.

    Raises:
        UserError: it cannot be written.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                stream.write(data)
        else:
            # Through a link, so that it stays one.
            write_whole(path.resolve(), data)
    except OSError as error:
        raise _unwritable(path, error, consequence, ways_out, option) from None


def _replaceable(path: Path) -> bool:
    try:
        text = path.read_text("utf-8")
        return not text.strip() or "nullgrad" in dict(json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _unwritable(path: Path, error: OSError, consequence: str, ways_out: str, option: str) -> UserError:
    return UserError(f"{option} {path} cannot be written: {error.strerror or error}.", consequence, ways_out)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
