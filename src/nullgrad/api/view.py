"""`view`: what a ledger holds, page by page, while a run writes to it or afterwards.

A thread takes up new rows into the view's index; pages read. Everything is returned as plain values, with keys hidden by whoever shows
them; nothing here writes to the ledger.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nullgrad.api.view_compare import comparison, known_tasks, said_by_both, shipped_task
from nullgrad.api.view_progress import overview, trajectory
from nullgrad.core.task import Task
from nullgrad.edges.ledger.read import PAGE, Found, LedgerReader, Transcript
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.view.index import Indexer
from nullgrad.errors import UserError

Value = dict[str, Any]

EVERY = 0.5
"""Seconds between two looks for new rows."""

MOST_PROMPTS = 2_000
"""Prompts whose texts one page of a search reads."""


class LedgerView:
    """A ledger to look around in.

    Args:
        ledger: the file.
        tasks: task files or names, so that examples can be shown beside answers; shipped tasks are found by their name.

    Raises:
        UserError: there is no such ledger, it is none, or a task cannot be loaded.
    """

    def __init__(self, ledger: Path, tasks: Sequence[str] = ()) -> None:
        if not ledger.exists():
            raise UserError(
                f"There is no ledger at {ledger}.", "There is nothing to view.", "Give --ledger FILE."
            )
        self.ledger = ledger
        self._given = known_tasks(tasks)
        self._tasks: dict[str, Task | None] = {}
        self._trajectories: dict[str, tuple[int, list[Value]]] = {}
        self._indexer = Indexer(ledger)
        self._reader = LedgerReader(self._indexer.address, self._indexer.path)
        self._end = threading.Event()
        self._woken = threading.Event()
        self.taken, self.total = 0, 0
        self.trouble = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what is there, first the runs and facts, then replies in the background."""
        self._update(0)
        price_table()
        self._thread = threading.Thread(target=self._keep_up, name="nullgrad-view-index", daemon=True)
        self._thread.start()

    def catch_up(self) -> None:
        """Take up everything that is there now; for callers without the thread."""
        self._update(None)

    def close(self) -> None:
        """Stop the thread and close the index; safe to call twice."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
        self._reader.close()
        self._indexer.close()

    def _keep_up(self) -> None:
        while not self._end.is_set():
            behind = self._update(20_000)
            self._end.wait(0.02 if behind else EVERY)

    def _update(self, most: int | None) -> bool:
        try:
            self.taken, self.total = self._indexer.update(most)
            self.trouble = ""
        except (sqlite3.Error, ValueError, KeyError) as error:
            if self._end.is_set():
                return False
            # A writer may hold the file for a moment; what stays wrong is said on every page.
            self.trouble = f"The ledger cannot be read just now: {error}."
            return False
        return self.taken < self.total

    @property
    def state(self) -> Value:
        """How far the index is: replies taken up and replies in the ledger, and what is wrong."""
        return {"taken": self.taken, "total": self.total, "trouble": self.trouble}

    def runs(self, before: int | None = None) -> list[Value]:
        """Runs, the last begun first."""
        return self._reader.rows(
            "SELECT id, run, verb, name, created_at, last_at, reported, facts, "
            "(SELECT coalesce(sum(calls), 0) FROM totals WHERE totals.run = runs.id) AS calls, "
            "(SELECT coalesce(sum(failed), 0) FROM totals WHERE totals.run = runs.id) AS failed "
            "FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?",
            before if before is not None else 1 << 62,
            PAGE,
        )

    def run(self, run: str) -> Value:
        """One run as it is listed, by its identity.

        Raises:
            UserError: there is none.
        """
        found = self._reader.rows("SELECT * FROM runs WHERE run = ?", run)
        if not found:
            raise UserError(f"The ledger holds no run {run!r}.")
        return found[0]

    def overview(self, run: str) -> Value:
        """Progress by arm, rate, spend, time left and the last failures; see `view_progress.overview`."""
        return overview(self._reader, self.ledger, self.run(run))

    def trajectory(self, run: str) -> list[Value]:
        """Rows of trajectories in the form of a study's table `trajectory`."""
        own = self.run(run)
        known = self._trajectories.get(run)
        if known is None or known[0] != own["facts"]:
            known = self._trajectories[run] = (own["facts"], trajectory(self._reader, own["id"]))
        return known[1]

    def report(self, run: str) -> Mapping[str, Any] | None:
        """What the run reported, None where it has not."""
        last = self.run(run)["reported"]
        body = self._reader.event_body(last) if last else ""
        if not body:
            return None
        value: Mapping[str, Any] = json.loads(json.loads(body)[2]["result"])
        return value

    def spec(self, run: str) -> Value:
        """The specification that a run was begun with."""
        text = self._reader.spec(run)
        return json.loads(text) if text else {}

    def facets(self, run: str) -> dict[str, list[str]]:
        """Cells, arms and roles of a run's replies, for lists to choose from."""
        id_ = self.run(run)["id"] if run else None
        found: dict[str, list[str]] = {}
        for name in ("cell", "arm", "role"):
            where, values = ("WHERE run = ?", (id_,)) if id_ is not None else ("", ())
            rows = self._reader.rows(
                f"SELECT word FROM words WHERE id IN (SELECT DISTINCT {name} FROM totals {where}) ORDER BY word",
                *values,
            )
            found[name] = [row["word"] for row in rows if row["word"]]
        return found

    def search(
        self, filters: Mapping[str, Any], text: str = "", where: str = "reply", before: int | None = None
    ) -> Found:
        """Replies by filters and text; see `LedgerReader.search` for what bounds it."""
        return self._reader.search(filters, text=text, where=where, before=before)

    def transcript(self, id_: int) -> Transcript:
        """One request with its answer.

        Raises:
            UserError: there is none of that number.
        """
        found = self._reader.transcript(id_)
        if found is None:
            raise UserError(f"The ledger holds no reply number {id_}.")
        return found

    def examples(
        self, run: str, split: str = "", prefix: str = "", after: tuple[str, str] | None = None
    ) -> list[Value]:
        """Examples that replies are about, by split and id, with how many there are; `after` is the last row's place."""
        id_ = self.run(run)["id"]
        splits = [split] if split else ["test", "train", "validation"]
        found: list[Value] = []
        for name in splits:
            number = self._reader.word(name)
            if number is None or (after is not None and name < after[0]):
                continue
            start = after[1] if after is not None and name == after[0] else None
            found += self._reader.rows(
                "SELECT ? AS split, example, calls, failed, first, last FROM examples WHERE run = ? AND split = ? "
                "AND example >= ? AND example < ? AND (? IS NULL OR example > ?) ORDER BY example LIMIT ?",
                name, id_, number, prefix, prefix + "\U0010ffff", start, start, PAGE - len(found),
            )  # fmt: skip
            if len(found) >= PAGE:
                break
        return found

    def prompts(
        self,
        run: str,
        text: str = "",
        *,
        arm: str = "",
        chosen: bool = False,
        before: int | None = None,
    ) -> tuple[list[Value], int]:
        """Candidates of a run, the newest first, and the id to go on from (0 at the end).

        Args:
            run: the run.
            text: what must occur in the prompt; at most `MOST_PROMPTS` texts are read for a page.
            arm: only of this arm.
            chosen: only those that became the current prompt.
            before: only candidates of smaller ids.
        """
        id_, place, needle = self.run(run)["id"], before or 1 << 62, text.casefold()
        found: list[int] = []
        step, read, ends = (500 if needle else PAGE), 0, False
        while not ends and len(found) < PAGE and read < MOST_PROMPTS:
            rows = self._reader.rows(
                f"SELECT c.id, {'p.body' if needle else 'NULL'} AS body FROM candidates AS c JOIN prompts AS p ON p.id = c.prompt "
                "WHERE c.run = ? AND c.id < ? AND (? = '' OR c.scope GLOB ?) AND (? = 0 OR c.chosen) ORDER BY c.id DESC LIMIT ?",
                id_, place, arm, _glob(arm) + "#*", int(chosen), step,
            )  # fmt: skip
            read += len(rows)
            ends = len(rows) < step
            for row in rows:
                place = row["id"]
                if not needle or needle in row["body"].casefold():
                    found.append(row["id"])
                    if len(found) == PAGE:
                        ends = ends and row is rows[-1]
                        break
        shown = self._reader.rows(
            "SELECT c.id, c.scope, c.step, c.variant, c.chosen, c.validation, c.test, p.key, p.body FROM candidates AS c "
            f"JOIN prompts AS p ON p.id = c.prompt WHERE c.id IN ({','.join('?' * len(found))}) ORDER BY c.id DESC",
            *found,
        )
        return shown, 0 if ends else place

    def prompt(self, run: str, key: str) -> Value:
        """One prompt of a run: its text, where it arose, from what, what came of it, and its readings.

        Raises:
            UserError: the run has none of that key.
        """
        id_ = self.run(run)["id"]
        rows = self._reader.rows("SELECT id, key, body FROM prompts WHERE key = ?", key)
        arose = self._reader.rows(
            "SELECT c.scope, c.step, c.variant, c.chosen, c.validation, c.test, p.key AS parent, p.body AS parent_body "
            "FROM candidates AS c LEFT JOIN prompts AS p ON p.id = c.parent WHERE c.run = ? AND c.prompt = ? "
            "ORDER BY c.id LIMIT 200",
            id_, rows[0]["id"] if rows else 0,
        )  # fmt: skip
        if not rows or not arose:
            raise UserError(f"The run {run} has no prompt {key!r}.")
        children = self._reader.rows(
            "SELECT DISTINCT p.key, c.scope, c.step, c.chosen FROM candidates AS c JOIN prompts AS p ON p.id = c.prompt "
            "WHERE c.run = ? AND c.parent = ? AND c.prompt <> c.parent ORDER BY c.id LIMIT 50",
            id_, rows[0]["id"],
        )  # fmt: skip
        readings = self._reader.rows(
            "SELECT event, scope, split, step, purpose, mean, n FROM readings WHERE run = ? AND prompt = ? "
            "ORDER BY event LIMIT 200",
            id_, rows[0]["id"],
        )  # fmt: skip
        calls = self._reader.rows(
            "SELECT w.word AS split, count(*) AS calls FROM calls JOIN words AS w ON w.id = calls.split "
            "WHERE prompt = ? GROUP BY calls.split",
            rows[0]["id"],
        )
        return {
            "key": key,
            "text": rows[0]["body"],
            "arose": arose,
            "children": children,
            "readings": readings,
            "calls": calls,
        }

    def ends(self, run: str) -> list[Value]:
        """The seed prompt and each trial's last prompt, for choosing two to compare; at most 400."""
        return self._reader.rows(
            "SELECT c.scope, p.key, max(c.step) AS step, c.validation, c.test FROM candidates AS c "
            "JOIN prompts AS p ON p.id = c.prompt WHERE c.run = ? AND c.chosen GROUP BY c.scope, c.step > 0 "
            "ORDER BY c.scope, step LIMIT 400",
            self.run(run)["id"],
        )

    def compare(self, run: str, first: str, second: str, readings: tuple[int, int] | None = None) -> Value:
        """Two prompts on the examples where their answers or scores differ; see `view_compare.comparison`.

        Raises:
            UserError: the run has no such prompt.
        """
        sides = self.prompt(run, first), self.prompt(run, second)
        value = comparison(self._reader, sides, readings, lambda scope: self.task_of(run, scope))
        if value["pair"] and value["examples"]:
            self._link(value)
        return value

    def said(self, first: str, second: str, split: str, after: str = "") -> tuple[list[Value], str]:
        """Examples on which two prompts' replies differ, both beginnings beside each other; and where to go on."""
        return said_by_both(self._reader, first, second, split, after)

    def _link(self, value: Value) -> None:
        """Numbers of the transcripts behind the rows of a comparison."""
        trial = value["pair"][0]["scope"].partition("#")[2].partition("@")[0]
        ids = [row["example"] for row in value["rows"]]
        for side in ("first", "second"):
            number = self._reader.rows("SELECT id FROM prompts WHERE key = ?", value[side]["key"])[0]["id"]
            split = self._reader.word(value["pair"][0]["split"])
            for row, example in zip(value["rows"], ids, strict=True):
                word = self._reader.word(example)
                found = self._reader.rows(
                    "SELECT id FROM calls WHERE example = ? AND prompt = ? AND split = ? ORDER BY trial = ? DESC, id LIMIT 1",
                    word, number, split, int(trial or 0),
                )  # fmt: skip
                row[f"{side}_call"] = found[0]["id"] if found else None

    def task_of(self, run: str, scope: str) -> Task | None:
        """The task of a trial, where it was given or can be found by its name and is the very same; else None."""
        spec = self.spec(run)
        cell = scope.rpartition("@")[2] if "@" in scope else ""
        named = spec["cells"].get(cell, {}).get("task") if "cells" in spec else spec.get("task")
        if not named:
            return None
        digest = named["digest"]
        if digest not in self._tasks:
            self._tasks[digest] = self._given.get(digest) or shipped_task(named["name"], digest)
        return self._tasks[digest]


def _glob(text: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in text)


def open_view(ledger: Path, tasks: Sequence[str] = ()) -> LedgerView:
    """A view of a ledger that keeps up with it in a thread of its own; close it when done.

    Raises:
        UserError: as `LedgerView`.
    """
    view = LedgerView(ledger, tasks)
    view.start()
    return view
