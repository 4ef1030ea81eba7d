"""How a run stands: trials by arm, rate, spend, time left, what failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.study.trajectory import mean_over
from nullgrad.core.chat import Usage
from nullgrad.edges.ledger.read import LedgerReader
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.run_notes import is_alive, read_note

Value = dict[str, Any]

QUIET = timedelta(minutes=2)
"""Without anything new for so long, a run whose command left no note counts as stopped."""

RECENT = timedelta(minutes=10)
"""What the rate is counted over."""


def overview(
    reader: LedgerReader, ledger: Path, run: Value, now: Callable[[], datetime] | None = None
) -> Value:
    """How a run stands.

    Returns:
        `state` (`running`, `stopped`, `reported`), `arms` (a row each: trials asked for, begun, ended and tested, steps, calls,
        failures, unreadable proposals, mean test score), `roles` (calls, tokens, dollars), `rate` (replies a minute over the
        last ten minutes or since the command began), `minutes` (the last hour's counts), `usd` (None where a price is unknown),
        `done` (share of the intended work, None where no command noted what it intends), `left` (seconds, None likewise),
        `failures` (the last ten).
    """
    at = (now or (lambda: datetime.now(UTC)))()
    note = read_note(ledger, run["run"])
    alive = note is not None and is_alive(note)
    last = _latest(reader, run)
    if run["reported"] and not (alive and note and note["began_at"] > run["last_at"]):
        state = "reported"
    elif alive or (note is None and at - datetime.fromisoformat(last) < QUIET):
        state = "running"
    else:
        state = "stopped"
    arms, steps = _arms(reader, run, note), int((note or {}).get("steps") or 0)
    roles, usd = _roles(reader, run["id"], note)
    done, left = _course(reader, run["id"], arms, steps, note, at) if note else (None, None)
    began = max(
        note["began_at"] if note else run["created_at"], (at - RECENT).isoformat(timespec="milliseconds")
    )
    recent = reader.rows(
        "SELECT coalesce(sum(calls), 0) AS calls FROM minutes WHERE run = ? AND minute >= ?",
        run["id"],
        began[:16],
    )[0]["calls"]
    seconds = max((at - datetime.fromisoformat(f"{began[:16]}:00+00:00")).total_seconds(), 1.0)
    failures = reader.rows(
        "SELECT r.id, r.failure, substr(r.message, 1, 500) AS message, r.status, r.received_at AS at, r.about "
        "FROM calls INDEXED BY calls_run_failed JOIN book.replies AS r ON r.id = calls.id WHERE calls.failed = 1 AND calls.run = ? "
        "ORDER BY calls.id DESC LIMIT 10",
        run["id"],
    )
    for one in failures:
        one["about"] = json.loads(one["about"])
    return {
        "state": state,
        "note": note is not None,
        "last_at": last,
        "arms": arms,
        "steps": steps,
        "roles": roles,
        "usd": usd,
        "calls": sum(one["calls"] for one in roles),
        "failed": sum(one["failed"] for one in roles),
        "retried": sum(one["retried"] for one in roles),
        "rate": 60 * recent / seconds if state == "running" else 0.0,
        "minutes": _minutes(reader, run["id"], at),
        "done": 1.0 if state == "reported" and done is None else done,
        "left": left if state == "running" else None,
        "failures": failures,
        "asked": (note or {}).get("asked"),
    }


def _latest(reader: LedgerReader, run: Value) -> str:
    row = reader.rows("SELECT max(minute) AS minute FROM minutes WHERE run = ?", run["id"])[0]["minute"]
    replies = f"{row}:00.000+00:00" if row else ""
    return max(str(run["last_at"]), replies)


def _arms(reader: LedgerReader, run: Value, note: Value | None) -> list[Value]:
    found: dict[tuple[str, str], Value] = {}
    for one in (note or {}).get("work", ()):
        found[one["cell"], one["arm"]] = _arm(one["cell"], one["arm"], one["trials"], one["calls"])
    for row in reader.rows(
        "SELECT cell, arm, count(*) AS begun, sum(ended) AS ended, sum(tested) AS tested, sum(steps) AS steps, "
        "sum(unparsed) AS unparsed, avg(score) AS score FROM trials WHERE run = ? GROUP BY cell, arm",
        run["id"],
    ):
        own = found.setdefault((row["cell"], row["arm"]), _arm(row["cell"], row["arm"], None, 0))
        own.update({name: row[name] for name in ("begun", "ended", "tested", "steps", "unparsed", "score")})
    for row in reader.rows(
        "SELECT c.word AS cell, a.word AS arm, sum(calls) AS calls, sum(failed) AS failed FROM totals "
        "JOIN words AS c ON c.id = totals.cell JOIN words AS a ON a.id = totals.arm WHERE totals.run = ? "
        "GROUP BY totals.cell, totals.arm",
        run["id"],
    ):
        if (row["cell"], row["arm"]) in found:
            found[row["cell"], row["arm"]].update(calls=row["calls"], failed=row["failed"])
    return [found[key] for key in sorted(found)]


def _arm(cell: str, arm: str, trials: int | None, weight: int) -> Value:
    return {
        "cell": cell, "arm": arm, "trials": trials, "weight": weight, "begun": 0, "ended": 0, "tested": 0, "steps": 0,
        "unparsed": 0, "score": None, "calls": 0, "failed": 0,
    }  # fmt: skip


def _course(
    reader: LedgerReader, run: int, arms: list[Value], steps: int, note: Value, at: datetime
) -> tuple[float | None, float | None]:
    """Share of the work done, and seconds left at the pace since the command began (30 minutes at most).

    Work is counted in steps and test readings, each as heavy as the calls of its arm's trial; what is replayed from the ledger
    was done before.
    """
    per_trial = steps + 1
    unit = {one["arm"]: one["weight"] / per_trial for one in arms}
    total = sum((one["trials"] or 0) * one["weight"] for one in arms)
    if not total:
        return None, None
    done = sum(
        min(
            (one["steps"] if one["arm"] != "seed" else one["tested"] * steps) + one["tested"],
            (one["trials"] or 0) * per_trial,
        )
        * unit[one["arm"]]
        for one in arms
    )
    since = max(note["began_at"], (at - timedelta(minutes=30)).isoformat(timespec="milliseconds"))
    fresh = sum(
        row["n"] * unit.get(row["arm"], 0) * (per_trial if row["arm"] == "seed" else 1)
        for row in reader.rows(
            "SELECT arm, count(*) AS n FROM marks WHERE run = ? AND at >= ? GROUP BY arm", run, since
        )
    )
    seconds = (at - datetime.fromisoformat(since)).total_seconds()
    left = (total - done) / (fresh / seconds) if fresh > 0 and seconds > 0 else None
    return min(1.0, done / total), left


def _roles(reader: LedgerReader, run: int, note: Value | None) -> tuple[list[Value], float | None]:
    known = (note or {}).get("models", {})
    rows = reader.rows(
        "SELECT r.word AS role, m.word AS model, sum(calls) AS calls, sum(failed) AS failed, sum(retried) AS retried, "
        "sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, "
        "sum(uncounted) AS uncounted FROM totals JOIN words AS r ON r.id = totals.role JOIN words AS m ON m.id = totals.model "
        "WHERE run = ? GROUP BY totals.role, totals.model ORDER BY calls DESC",
        run,
    )
    total: Decimal | None = Decimal(0)
    for row in rows:
        name, base = known.get(row["model"]) or _named(row["model"])
        row["model"] = name
        usd = _usd(name, base, row)
        row["usd"] = None if usd is None else float(usd)
        total = None if usd is None or total is None else total + usd
    return rows, None if total is None else float(total)


def _usd(name: str, base: str, row: Value) -> Decimal | None:
    """At the list's rates for short requests; calls whose endpoint counted no tokens leave the sum unknown."""
    table = price_table()
    rates = table.per_million(name, base)
    if rates is None or row["uncounted"] > row["failed"]:
        return None
    cached = table.price(name, base, Usage(1000, 0, 1000))
    per_cached = rates[0] if cached is None else cached * 1000
    plain = row["prompt_tokens"] - row["cached_tokens"]
    return (
        plain * rates[0] + row["cached_tokens"] * per_cached + row["completion_tokens"] * rates[1]
    ) / 1_000_000


def _named(identity: str) -> tuple[str, str]:
    """Name and base URL by a model's identity, as far as it tells."""
    try:
        value = json.loads(identity)
    except ValueError:
        return identity, ""
    if not isinstance(value, dict):
        return identity, ""
    if "litellm" in value:
        return f"litellm/{value['litellm']}", str(value.get("endpoint", ""))
    return f"openai/{value.get('model', identity)}", str(value.get("endpoint", ""))


def _minutes(reader: LedgerReader, run: int, at: datetime) -> list[Value]:
    since = (at - timedelta(hours=1)).isoformat()[:16]
    return reader.rows(
        "SELECT minute, calls, failed FROM minutes WHERE run = ? AND minute >= ? ORDER BY minute", run, since
    )


def trajectory(reader: LedgerReader, run: int) -> list[Value]:
    """Means over the trials that have got there, step by step: while a run goes on, later steps rest on fewer trials."""
    grouped: dict[tuple[str, str, str, int], list[float]] = {}
    for row in reader.rows(
        "SELECT cell, arm, measure, at, value FROM points WHERE run = ? ORDER BY cell, arm, measure, at, trial",
        run,
    ):
        grouped.setdefault((row["cell"], row["arm"], row["measure"], row["at"]), []).append(row["value"])
    found = []
    for (cell, arm, measure, at), values in grouped.items():
        over = mean_over(values)
        known = None if isinstance(over.interval, NotEstimable) else over.interval
        found.append(
            {
                "cell": cell, "arm": arm, "measure": measure, "unit": "step", "at": at, "n": over.n,
                "mean": None if isinstance(over.mean, NotEstimable) else over.mean,
                "low": known.low if known else None, "high": known.high if known else None,
            }
        )  # fmt: skip
    return found
