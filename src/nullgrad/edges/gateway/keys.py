"""The file that keeps a gateway's keys, so that a program need not be configured anew at every start."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nullgrad.errors import UserError

_AGAIN = "Delete it to get new keys, or give another --key-file."


def read_keys(path: Path) -> dict[str, str]:
    """Keys by role, {} where there is no file.

    Raises:
        UserError: it cannot be read, others may read it, or it is no file of keys.
    """
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The key file {path} cannot be read: {error}.", "Nothing was started.", _AGAIN
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise UserError(
            f"Others may read the key file {path}.", "Nothing was started.", f"chmod 600 it. {_AGAIN}"
        )
    try:
        keys = json.loads(text)["keys"]
        if not all(isinstance(key, str) and len(key) >= 20 and key.isascii() for key in keys.values()):
            raise ValueError
        return dict(keys)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is no file of a gateway's keys.", "Nothing was started.", _AGAIN) from None


def write_keys(path: Path, base_url: str, keys: Mapping[str, str]) -> None:
    """Write base URL and keys by role, readable by the user alone.

    Raises:
        UserError: it cannot be written.
    """
    text = json.dumps({"base_url": base_url, "keys": dict(keys)}, indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"The key file {path} cannot be written: {error.strerror or error}.",
            "Nothing was started.",
            "Give another --key-file, or leave it out.",
        ) from None
