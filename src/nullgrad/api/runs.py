"""A run by its name: what it reported, of whichever kind it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nullgrad.api.inventory import read_report, study_report
from nullgrad.core.events import Reported, parse_event
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.ledger.usage import last_body
from nullgrad.errors import UserError


def read_run(which: str, ledger: Path) -> Mapping[str, Any]:
    """What a study, an optimization or a comparison reported: of a result file, a run's identity or its beginning, or the `last` of any.

    Raises:
        UserError: there is none.
    """
    path = Path(which)
    if which.endswith(".json") or path.is_file():
        return _of_file(path)
    nothing = "There is nothing to report."
    if not ledger.exists():
        raise UserError(f"There is no ledger at {ledger}.", nothing, "Give --ledger FILE, or a result file.")
    with open_ledger(ledger, read_only=True) as book:
        for row in reversed(book.runs()):
            if which != "last" and not row.run.startswith(which):
                continue
            if str(json.loads(row.spec).get("verb", "")) in VERBS:
                body = last_body(book, row.run, Reported.kind)
                event = None if body is None else parse_event(body)
                if isinstance(event, Reported):
                    value: Mapping[str, Any] = json.loads(event.result)
                    return value
    named = "no run that has reported" if which == "last" else f"no run {which!r} that has reported"
    raise UserError(
        f"The ledger {ledger} holds {named}.",
        nothing,
        "Run nullgrad optimize, run or compare to its end first.",
    )


VERBS = ("optimize", "study", "compare")
"""Kinds of runs that have a report."""


def _of_file(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8-sig"))
        if isinstance(value, dict) and "recommendation" in value:
            return read_report(path)
    except (OSError, ValueError, RecursionError):
        pass
    return study_report(str(path), Path())
