"""What a run paid for, by role and model, as a ledger tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nullgrad.core.arms import SEED
from nullgrad.core.chat import Usage
from nullgrad.edges.ledger.store import SqlLedger
from nullgrad.edges.ledger.usage import usage_of
from nullgrad.edges.models.prices import price_table


def _casts(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Cast by cell; of an optimization under the cell ""."""
    if spec["verb"] == "study":
        return {name: cell["cast"] for name, cell in spec["cells"].items()}
    return {"": spec["cast"]} if "cast" in spec else {}


def paid_replies(
    book: SqlLedger, report: Mapping[str, Any], spec: Mapping[str, Any], arms: set[str]
) -> list[dict[str, Any]]:
    """Replies and tokens by role, of what this run was the first to ask; dollars where the price is known.

    Args:
        report: its result, which names the models.
        spec: its specification.
        arms: canonical ones that have run.
    """
    casts = _casts(spec)
    models = {(role, str(player["model"])) for cast in casts.values() for role, player in cast.items()}
    names = _names(report, casts)
    prices = price_table()
    found = []
    for one in usage_of(book, sorted(casts), sorted(arms | {SEED.canonical})):
        if (one.role, one.model) not in models:
            continue
        name = names.get((one.role, one.model), "")
        # At the mean call: prices in tiers depend on the length of one, not on the sum.
        mean = Usage(round(one.prompt / max(1, one.replies)), round(one.completion / max(1, one.replies)))
        price = prices.price(name, address_of(one.model), mean) if name and not one.uncounted else None
        found.append(
            {
                "role": one.role, "model": name or "unknown", "replies": one.replies, "failed": one.failed,
                "prompt_tokens": one.prompt, "completion_tokens": one.completion, "uncounted": one.uncounted,
                "usd": None if price is None else round(float(price) * one.replies, 6),
            }
        )  # fmt: skip
    return found


def _names(report: Mapping[str, Any], casts: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """What the user called the model of a role, where that is certain."""
    called = {str(row["cell"]): str(row["model"]) for row in report.get("cells", ())}
    found = {}
    for name, model in dict(report["models"]).items():
        # With several models, the name of each stands before the role.
        group, _, role = name.rpartition(" ")
        own = [cast for cell, cast in casts.items() if not group or called.get(cell) == group]
        identities = {str(cast[role]["model"]) for cast in own if role in cast}
        if len(identities) == 1:
            found[role, identities.pop()] = str(model)
    return found


def address_of(identity: str) -> str:
    """Of an endpoint, where the model's identity says one."""
    try:
        value = json.loads(identity)
    except ValueError:
        return ""
    return str(value.get("endpoint", "")) if isinstance(value, dict) else ""


def sharing_runs(spec: Mapping[str, Any], run: str, specs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Other runs over the same cells with a model in common: their replies cannot be told apart in the ledger."""

    def players(one: Mapping[str, Any]) -> set[tuple[str, str, str]]:
        return {
            (cell, role, str(player["model"]))
            for cell, cast in _casts(one).items()
            for role, player in cast.items()
        }

    own = players(spec)
    return [other for other, one in specs.items() if other != run and one.get("verb") and players(one) & own]
