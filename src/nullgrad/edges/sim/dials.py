"""The dials of worlds, read from and written as `?dial=value&…`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError

_NOTHING = "Nothing was run."


@dataclass(frozen=True, slots=True)
class Dials:
    """What of a world can be set: `sim:gradient?rho=0.9&redraw=0`.

    Attributes:
        seed: of the world, a whole number.
        classes: 2 or 3.
        rare: share of the rarest class, above 0 and at most 1 / classes; None for the world's own.
        rho: correlation of the noise of different prompts on one example, 0 to 1. Marginal accuracies do not depend on it.
        redraw: share of the rest that is drawn anew with every draw, 0 (a fixed function of prompt and example) to 1.
        effect: factor of every effect that a rule has, 0 to 4.
        find: chance that a proposal finds a rule with an effect at all, 0 to 1; None for the world's own.
        weight: of a mixture, the chance that a proposal comes from the first world.
        critic: accuracy of the critic, 0 to 1.
        logprobs: whether label log-probabilities are given, 0 or 1.
        latency: mean seconds of a call, up to 60.
        fail: share of attempts that fail and may be retried, 0 to 1.
        fail_for_good: share of requests that can never be answered, 0 to 1.
    """

    seed: int = 0
    classes: int = 2
    rare: float | None = None
    rho: float = 0.5
    redraw: float = 1.0
    effect: float = 1.0
    find: float | None = None
    weight: float = 0.5
    critic: float = 0.8
    logprobs: bool = True
    latency: float = 0.0
    fail: float = 0.0
    fail_for_good: float = 0.0


NAMES = tuple(one.name for one in fields(Dials))

_WHOLE = {"seed": (0, 2**63 - 1), "classes": (2, 3), "logprobs": (0, 1)}
_MOST = {"effect": 4.0, "latency": 60.0}


def split_spec(text: str, spec: str) -> tuple[str, dict[str, str]]:
    """The name before `?`, and the dials behind it as they are written.

    Raises:
        UserError: a dial is unknown, has no value, or stands twice.
    """
    name, _, rest = text.partition("?")
    values: dict[str, str] = {}
    for item in filter(None, rest.split("&")):
        key, equals, value = item.partition("=")
        if key not in NAMES:
            raise UserError(f"{spec}: there is no dial {key!r}.", _NOTHING, nearest(key, NAMES))
        if not equals or not value or key in values:
            raise UserError(
                f"{spec}: {item!r} is no dial with one value.", _NOTHING, f"Write {key}=VALUE once."
            )
        values[key] = value
    return name, values


def parse_dials(values: Mapping[str, str], spec: str) -> Dials:
    """Dials from their texts.

    Raises:
        UserError: a value is no number or out of its range.
    """
    return Dials(**{key: _number(key, value, spec) for key, value in values.items()})


def _number(key: str, text: str, spec: str) -> Any:
    low, high = _WHOLE.get(key, (0.0, _MOST.get(key, 1.0)))
    try:
        value: float = int(text) if key in _WHOLE else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "a whole number" if key in _WHOLE else "a number"
        raise UserError(f"{spec}: {key} is {text!r}.", _NOTHING, f"Give {kind} from {low:g} to {high:g}.")
    return bool(value) if key == "logprobs" else value


def written(dials: Dials, *, every: bool = False, only: tuple[str, ...] = NAMES) -> str:
    """Dials as `a=1&b=2`, by name: those that are not at their default, or `every` one but `latency`."""
    said = []
    for one in sorted(fields(dials), key=lambda field: field.name):
        value = getattr(dials, one.name)
        if one.name in only and (one.name != "latency" if every else value != one.default):
            said.append(f"{one.name}={_shown(value)}")
    return "&".join(said)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(value)
