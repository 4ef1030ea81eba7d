"""`rate`: blind rating of a run's prompts by people, kept beside the ledger, and what comes of it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nullgrad.api.rate_session import (
    ABSOLUTE,
    MOST_PAIRS,
    NOTHING,
    PAIRWISE,
    Mode,
    Session,
    build_session,
    of_spec,
)
from nullgrad.api.rate_summary import RatingSummary, export_rows, summarize
from nullgrad.api.rate_verdicts import verdicts_of
from nullgrad.api.view_compare import known_tasks, shipped_task
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import SqlLedger, open_ledger
from nullgrad.edges.ratings import SUFFIX, RatingRow, RatingStore
from nullgrad.errors import UserError

MOST_COMMENT = 10_000
"""Characters of a comment."""

_NAME = re.compile(r"[^\W_](?:[\w .-]{0,38}[\w.])?")


class Rating:
    """An open session: what is shown to whom, and where it is kept. Made by `open_rating`; close it when done."""

    def __init__(self, session: Session, store: RatingStore, raters: Sequence[str]) -> None:
        self.session = session
        self.raters = tuple(dict.fromkeys(map(rater_name, raters)))
        self._store = store
        store.begin(session.id, session.run, session.spec)

    @property
    def path(self) -> Path:
        """The file that ratings are kept in."""
        return self._store.path

    @property
    def questions(self) -> tuple[tuple[str, ...], ...]:
        """Name and words of each question, in `absolute` what 1 and 5 mean as well."""
        return PAIRWISE if self.session.mode == "pairwise" else ABSOLUTE

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def known(self, name: str) -> str:
        """A rater's name as it is kept.

        Raises:
            UserError: it is none, or not among the raters that the session is for.
        """
        kept = rater_name(name)
        if self.raters and kept not in self.raters:
            raise UserError(f"{kept!r} is not among the raters.", NOTHING, "Choose one of the names given.")
        return kept

    def done(self, rater: str) -> dict[int, RatingRow]:
        """What a rater has rated, by task."""
        return {row.task: row for row in self._store.ratings(self.session.id) if row.rater == rater}

    def next(self, rater: str) -> int | None:
        """The task that a rater sees next, None at the end."""
        done = self.done(rater)
        return next((task for task in self.session.order(rater) if task not in done), None)

    def before(self, rater: str, task: int) -> int | None:
        """The task rated before that one in a rater's order, None for the first."""
        order = self.session.order(rater)
        place = order.index(task)
        return order[place - 1] if place else None

    def shown(self, rater: str, task: int) -> tuple[str, ...]:
        """Texts of a task as a rater sees them.

        Raises:
            UserError: there is no such task.
        """
        texts = [self.session.items[number].text for number in self._task(task)]
        return tuple(reversed(texts)) if self._swaps(rater, task) else tuple(texts)

    def examples(self, task: int) -> tuple[tuple[str, str], ...]:
        """Examples shown beside a task: input, and the right answer or ""."""
        return self.session.examples.get(self.session.items[self._task(task)[0]].cell, ())

    def answers(self, rater: str, task: int) -> Mapping[str, str]:
        """What a rater answered before, as the page has it."""
        row = self.done(rater).get(task)
        if row is None:
            return {}
        if self.session.mode == "absolute":
            return {name: str(value) for name, value in row.answers.items()}
        return {name: self._turned(rater, task, value) for name, value in row.answers.items()}

    def rate(
        self, rater: str, task: int, answers: Mapping[str, str], comment: str = "", seconds: float = 0.0
    ) -> None:
        """Keep a rating.

        Args:
            rater: a name that `known` gave.
            task: its number.
            answers: by question: `1` to `5`, or of a pair `left`, `right` or `tie`, as the rater saw it.
            comment: free text.
            seconds: from the page shown to the rating sent.

        Raises:
            UserError: an answer is missing or none, or the file cannot be written.
        """
        self._task(task)
        kept: dict[str, Any] = {}
        for name, words, *_ in self.questions:
            given = answers.get(name, "")
            allowed = (
                ("left", "right", "tie") if self.session.mode == "pairwise" else ("1", "2", "3", "4", "5")
            )
            if given not in allowed:
                raise UserError(
                    f"The question {words!r} has no answer.",
                    "This rating is not kept.",
                    "Answer every question.",
                )
            kept[name] = self._turned(rater, task, given) if self.session.mode == "pairwise" else int(given)
        if len(comment) > MOST_COMMENT:
            raise UserError(
                f"The comment has {len(comment):,} characters.",
                "This rating is not kept.",
                f"Give {MOST_COMMENT:,} at most.",
            )
        self._store.add(self.session.id, rater, task, kept, comment, min(max(seconds, 0.0), 86_400.0))

    def _task(self, task: int) -> tuple[int, ...]:
        if not 0 <= task < len(self.session.tasks):
            raise UserError(f"There is no task {task}.", NOTHING)
        return self.session.tasks[task]

    def _swaps(self, rater: str, task: int) -> bool:
        return self.session.mode == "pairwise" and self.session.swapped(rater, task)

    def _turned(self, rater: str, task: int, value: str) -> str:
        """From left and right to first and second, and back."""
        names = {"left": "first", "right": "second", "first": "left", "second": "right", "tie": "tie"}
        other = {"left": "second", "right": "first", "first": "right", "second": "left", "tie": "tie"}
        return (other if self._swaps(rater, task) else names)[value]


def rater_name(text: str) -> str:
    """A name: letters, digits, blanks, dots and hyphens, 40 at most.

    Raises:
        UserError: it is none.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name[:60]!r} is no name of a rater.",
            NOTHING,
            "Give letters, digits, blanks, dots and hyphens, 40 at most.",
        )
    return name


def open_rating(
    run: str,
    ledger: Path,
    *,
    mode: Mode = "absolute",
    raters: Sequence[str] = (),
    seed: int = 0,
    per_arm: int = 1,
    pairs: int = MOST_PAIRS,
    examples: int = 2,
    tasks: Sequence[str] = (),
    ratings: Path | None = None,
) -> Rating:
    """Begin a session over a run's prompts, or resume it: the same options mean the same session.

    Args:
        run: identity of the run or its beginning, or `last`.
        ledger: where runs are kept.
        mode: `absolute` or `pairwise`.
        raters: the only names allowed, () for any.
        seed: of every order.
        per_arm: trials of each arm whose prompts are rated.
        pairs: most pairs.
        examples: shown with each prompt.
        tasks: task files or names, for right answers beside the examples.
        ratings: the file for ratings; None takes the ledger's name with `.ratings`.

    Raises:
        UserError: there is no such run, or too little to rate.
    """
    with _open(ledger) as book:
        name, spec = _run(book, run, ledger)
        session = build_session(
            book,
            name,
            mode=mode,
            seed=seed,
            per_arm=per_arm,
            pairs=pairs,
            examples=examples,
            task_of=_tasks(spec, tasks),
        )
    return Rating(session, RatingStore(ratings or ratings_path(ledger)), raters)


def ratings_path(ledger: Path) -> Path:
    """Where ratings of a ledger's runs are kept."""
    return ledger.with_name(ledger.name + SUFFIX)


def rating_summary(
    run: str,
    ledger: Path,
    *,
    mode: Mode | None = None,
    tasks: Sequence[str] = (),
    ratings: Path | None = None,
) -> RatingSummary | None:
    """What people's ratings of a run say: of the session with the most ratings; None where there are none.

    Args:
        run: identity of the run or its beginning, or `last`.
        ledger: where runs are kept.
        mode: only sessions of this mode.
        tasks: task files or names, for verdicts that the run did not report.
        ratings: the file with the ratings.

    Raises:
        UserError: there is no such run.
    """
    found = _sessions(run, ledger, tasks, ratings)
    kept = [
        (session, rows, verdicts)
        for session, rows, verdicts in found
        if rows and mode in (None, session.mode)
    ]
    return summarize(*max(kept, key=lambda one: len(one[1]))) if kept else None


def rating_rows(
    run: str, ledger: Path, *, tasks: Sequence[str] = (), ratings: Path | None = None
) -> list[dict[str, Any]]:
    """Every rating of a run, one row for each question, with what was hidden: for `--export`.

    Raises:
        UserError: there is no such run.
    """
    return [row for found in _sessions(run, ledger, tasks, ratings) for row in export_rows(*found)]


def _sessions(
    run: str, ledger: Path, tasks: Sequence[str], ratings: Path | None
) -> list[tuple[Session, list[RatingRow], dict[tuple[str, str, int], str]]]:
    path = ratings or ratings_path(ledger)
    with _open(ledger) as book:
        name, spec = _run(book, run, ledger)
        if not path.exists():
            return []
        verdicts = verdicts_of(book, name, _tasks(spec, tasks))
    store = RatingStore(path)
    try:
        return [(of_spec(value), store.ratings(session), verdicts) for session, value in store.sessions(name)]
    finally:
        store.close()


def _open(ledger: Path) -> SqlLedger:
    if not ledger.exists():
        raise UserError(f"There is no ledger at {ledger}.", NOTHING, "Give --ledger FILE.")
    return open_ledger(ledger, read_only=True)


def _run(book: SqlLedger, run: str, ledger: Path) -> tuple[str, Mapping[str, Any]]:
    """Identity and specification of the run that is meant."""
    rows = [row for row in book.runs() if run == "last" or row.run.startswith(run)]
    rows = [row for row in rows if json.loads(row.spec).get("verb") in ("optimize", "study")]
    if not rows:
        which = "no run with prompts" if run == "last" else f"no run {run!r} with prompts"
        raise UserError(f"The ledger {ledger} holds {which}.", NOTHING, "nullgrad view lists its runs.")
    if run != "last" and len(rows) > 1 and rows[-1].run != run:
        raise UserError(f"{len(rows)} runs begin with {run!r}.", NOTHING, "Give more of its identity.")
    return rows[-1].run, json.loads(rows[-1].spec)


def _tasks(spec: Mapping[str, Any], names: Sequence[str]) -> dict[str, Task]:
    """Tasks by cell: of those named, or shipped, the ones that are the very same."""
    known = known_tasks(names)
    cells = (
        {cell: one["task"] for cell, one in spec["cells"].items()} if "cells" in spec else {"": spec["task"]}
    )
    found = {
        cell: known.get(one["digest"]) or shipped_task(one["name"], one["digest"])
        for cell, one in cells.items()
    }
    return {cell: task for cell, task in found.items() if task is not None}
