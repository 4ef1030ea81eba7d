"""Loads a scorer's function, written `module:function`, from beside the task file or from what is installed."""

from __future__ import annotations

import functools
import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from nullgrad.core.chat import text_hash
from nullgrad.errors import UserError

_REFERENCE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


def is_reference(kind: str) -> bool:
    """Whether a kind of scorer has the form `module:function`."""
    return _REFERENCE.fullmatch(kind) is not None


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A user's scorer.

    Attributes:
        call: the function.
        digest: SHA-256 of its module's source, "" where it has none (a compiled module).
    """

    call: Callable[..., Any]
    digest: str


def load_function(reference: str, base: Path) -> UserFunction:
    """The function; its module is looked for in `base` first. Importing it runs the module's code.

    Raises:
        UserError: there is no such module or function, or importing it fails.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise _unusable(reference, "it does not have the form module:function")
    directory = str(base.resolve())
    sys.path.insert(0, directory)
    try:
        module = _beside(match[1], base) or importlib.import_module(match[1])
    except (Exception, SystemExit) as error:  # Whatever it raises is the reason why it cannot be used.
        reason = " ".join(str(error).split())
        raise _unusable(reference, f"importing {match[1]} raises {type(error).__name__}: {reason}") from None
    finally:
        sys.path.remove(directory)
    function = getattr(module, match[2], None)
    if not callable(function):
        raise _unusable(reference, f"{match[1]} has no function {match[2]}")
    source = getattr(module, "__file__", None) or ""
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source.endswith(".py") else ""
    return UserFunction(_that_ends_nothing(function), digest)


def _that_ends_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with an `exit()` in it as the failure that it is: it would end the run midway, unsaid."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except SystemExit as error:
            raise RuntimeError(f"it called exit({error.code!r})") from error

    return call


def _beside(name: str, base: Path) -> ModuleType | None:
    """The module beside the task file, under a name of its own: two tasks may each have a `scorers.py`."""
    path = base.joinpath(*name.split(".")).with_suffix(".py").resolve()
    if not path.is_file():
        return None
    module = ModuleType(f"nullgrad_scorer_{text_hash(str(path))[:16]}")
    module.__file__ = str(path)
    # Known before it runs, as dataclasses want it. Not imported, for a cached compilation that is as old, to
    # the second, as the mended file would be taken for it.
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _unusable(reference: str, problem: str) -> UserError:
    return UserError(
        f"The scorer {reference} cannot be used: {problem}.",
        "Nothing was run.",
        "Put the module beside the task file, or install it.",
    )
