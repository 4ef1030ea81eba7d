"""Two prompts side by side on the examples where they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

from nullgrad.core.task import Example, Task
from nullgrad.edges.ledger.read import LedgerReader
from nullgrad.errors import UserError

Value = dict[str, Any]

MOST_ROWS = 300
"""Differing examples of a comparison."""

MOST_CALLS = 20_000
"""Calls of one prompt that are looked at for what two prompts were both asked."""

SHOWN = 4_000
"""Characters of each of two replies shown beside each other."""


def known_tasks(names: Sequence[str]) -> dict[str, Task]:
    """Tasks by their digest.

    Raises:
        UserError: one cannot be loaded.
    """
    from nullgrad.edges.tasks.shipped import resolve_task

    tasks = [resolve_task(name) for name in names]
    return {task.digest: task for task in tasks}


def shipped_task(name: str, digest: str) -> Task | None:
    """The task that comes with nullgrad, or was fetched, under that name, if it is the very same; else None."""
    from nullgrad.edges.tasks.shipped import resolve_task

    with suppress(UserError, OSError, ValueError):
        task = resolve_task(name)
        return task if task.digest == digest else None
    return None


def comparison(
    reader: LedgerReader,
    sides: tuple[Value, Value],
    chosen: tuple[int, int] | None,
    task_of: Callable[[str], Task | None],
) -> Value:
    """What differs between a reading of one prompt and a reading of another on the same split.

    The ledger keeps answers and scores in the order of a split's examples and not the examples themselves; rows name them where
    the task is known, else by their place.

    Args:
        reader: of the ledger.
        sides: what `LedgerView.prompt` gives of both.
        chosen: events of two readings; None takes test before validation, and a trial that both were read in.
        task_of: the task of a scope, None where it is not known.

    Returns:
        `first`, `second`, `pairs` (readings that can be compared), `pair` (the two compared, None where there are none),
        `table` (right and wrong of both, counted), `rows`, `left_out`, `examples` (whether the task is known).
    """
    first, second = sides
    pairs = [
        (one, other)
        for one, other in product(first["readings"], second["readings"])
        if (one["split"], one["n"]) == (other["split"], other["n"]) and _cell(one) == _cell(other)
        and one["event"] != other["event"]
    ]  # fmt: skip
    pairs.sort(
        key=lambda pair: (pair[0]["split"] != "test", _trial(pair[0]) != _trial(pair[1]), -pair[1]["event"])
    )
    value: Value = {
        "first": first, "second": second, "pairs": pairs[:50], "pair": None, "rows": [], "left_out": 0, "examples": False,
        "table": {},
    }  # fmt: skip
    if chosen is not None:
        pairs = [pair for pair in pairs if (pair[0]["event"], pair[1]["event"]) == chosen]
    if not pairs:
        return value
    pair = value["pair"] = pairs[0]
    both = [one for side in pair if (one := reader.reading(side["event"])) is not None]
    if len(both) != 2:
        return value
    task = task_of(pair[0]["scope"])
    examples: tuple[Example, ...] = ()
    if task is not None:
        examples = task.test if pair[0]["split"] == "test" else task.view.validation
        if len(examples) != pair[0]["n"]:
            examples = ()
    table = {"both": 0, "first only": 0, "second only": 0, "neither": 0, "missing": 0}
    rows = []
    for place, (a, b) in enumerate(zip(both[0].scores, both[1].scores, strict=True)):
        answers = [one.answers[place] if one.answers else None for one in both]
        table[_outcome(a, b)] += 1
        if a == b and answers[0] == answers[1]:
            continue
        own = examples[place] if examples else None
        rows.append(
            {
                "place": place + 1, "first_score": a, "second_score": b, "first_answer": answers[0],
                "second_answer": answers[1], "example": own.id if own else "", "input": own.input if own else "",
                "target": own.target if own else "",
                "first_call": None,
                "second_call": None,
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["first_score"] == row["second_score"], row["place"]))
    value |= {
        "rows": rows[:MOST_ROWS],
        "left_out": len(rows[MOST_ROWS:]),
        "examples": bool(examples),
        "table": table,
    }
    return value


def _cell(reading: Value) -> str:
    return str(reading["scope"]).rpartition("@")[2] if "@" in reading["scope"] else ""


def _trial(reading: Value) -> str:
    return str(reading["scope"]).partition("#")[2]


def _outcome(first: float | None, second: float | None) -> str:
    """Where a score is graded, half a point or more counts as right."""
    if first is None or second is None:
        return "missing"
    right = first >= 0.5, second >= 0.5
    return {
        (True, True): "both",
        (True, False): "first only",
        (False, True): "second only",
        (False, False): "neither",
    }[right]


def said_by_both(
    reader: LedgerReader, first: str, second: str, split: str, after: str, page: int = 20
) -> tuple[list[Value], str]:
    """Examples that both prompts were asked about in one split and answered in other words, in the order of their ids.

    Returns:
        the rows, and the id to go on after ("" at the end).
    """
    keys = [reader.rows("SELECT id FROM prompts WHERE key = ?", key) for key in (first, second)]
    number = reader.word(split)
    if not keys[0] or not keys[1] or number is None:
        return [], ""
    calls = [
        {(row["example"], row["trial"]): row["id"] for row in reader.rows(
            "SELECT id, example, trial FROM calls WHERE prompt = ? AND split = ? AND example IS NOT NULL ORDER BY id DESC LIMIT ?",
            key[0]["id"], number, MOST_CALLS,
        )}
        for key in keys
    ]  # fmt: skip
    # Of several trials the first in which both were asked.
    both: dict[int, tuple[int, int]] = {}
    for example, trial in sorted(calls[0].keys() & calls[1].keys()):
        both.setdefault(example, (calls[0][example, trial], calls[1][example, trial]))
    named = [
        one
        for one in sorted((word, example) for example, word in _words(reader, list(both)))
        if one[0] > after
    ]
    found: list[Value] = []
    for start in range(0, len(named), 100):
        part = named[start : start + 100]
        texts = {
            one.id: one.text
            for one in reader.calls([id_ for _, example in part for id_ in both[example]], SHOWN)
        }
        for word, example in part:
            one, other = (texts.get(id_, "") for id_ in both[example])
            if one != other:
                found.append(
                    {
                        "example": word, "first_call": both[example][0], "second_call": both[example][1], "first_text": one,
                        "second_text": other,
                    }
                )  # fmt: skip
                if len(found) == page:
                    return found, word
    return found, ""


def _words(reader: LedgerReader, numbers: Sequence[int]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for start in range(0, len(numbers), 500):
        part = numbers[start : start + 500]
        rows = reader.rows(f"SELECT id, word FROM words WHERE id IN ({','.join('?' * len(part))})", *part)
        found += [(row["id"], row["word"]) for row in rows]
    return found
