"""Keys never reach a page, wherever a model or an endpoint may have repeated one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[key hidden]"
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LIKE = re.compile(
    r"\b(?:sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_-]{16,}|\bAIza[A-Za-z0-9_-]{30,}|\bBearer\s+[A-Za-z0-9._-]{16,}"
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"
)
LEAST = 8
"""Characters from which a value of the environment is taken for a key."""


def secrets() -> tuple[str, ...]:
    """Values of this process's environment whose names say that they are secret, the longest first."""
    found = {value for name, value in os.environ.items() if _NAMES.search(name) and len(value) >= LEAST}
    return tuple(sorted(found, key=len, reverse=True))


def scrubbed(value: Any, hidden: tuple[str, ...] | None = None) -> Any:
    """JSON values with every key replaced, in names and in values."""
    own = secrets() if hidden is None else hidden
    if isinstance(value, str):
        for one in own:
            value = value.replace(one, HIDDEN)
        return _LIKE.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {scrubbed(key, own): scrubbed(part, own) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(part, own) for part in value]
    return value
