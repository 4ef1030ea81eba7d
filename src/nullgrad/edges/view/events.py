"""Facts as the view counts them: trials, prompts with their scores, readings, points of trajectories."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from nullgrad.core.candidate import GENERATOR
from nullgrad.core.chat import text_hash
from nullgrad.core.events import (
    AuditStarted,
    BatchRun,
    CandidateScored,
    ForeignCandidate,
    ForeignDone,
    ForeignStarted,
    ProposalUnparsed,
    Proposed,
    Reported,
    StepDone,
    TestScored,
    TrialDone,
    TrialStarted,
    parse_event,
)
from nullgrad.core.rows import mean_known
from nullgrad.core.study_facts import parse_scope
from nullgrad.edges.ledger.schema import from_sql, to_sql


class EventFold:
    """Folds facts into an index, in their order; its caller holds the transaction.

    Args:
        index: the index.
        words: numbers of the words known so far; shared with the caller.
    """

    def __init__(self, index: sqlite3.Connection, words: dict[str, int]) -> None:
        self._index = index
        self._words = words
        self._runs: dict[str, int] = {}
        self._models: dict[int, frozenset[str]] = {}
        self._begun: list[tuple[str, int]] = []
        self._spans: dict[str, list[tuple[str, int]]] = {}
        self._current: dict[tuple[int, str], int] = {}
        for scope, at, run in index.execute("SELECT scope, at, run FROM spans ORDER BY rowid"):
            self._spans.setdefault(scope, []).append((at, run))

    def word(self, text: str) -> int:
        """Number of a word, made where it is new."""
        known = self._words.get(text)
        if known is None:
            self._index.execute("INSERT INTO words (word) VALUES (?) ON CONFLICT DO NOTHING", (to_sql(text),))
            known = int(
                self._index.execute("SELECT id FROM words WHERE word = ?", (to_sql(text),)).fetchone()[0]
            )
            self._words[text] = known
        return known

    def runs(self, book: sqlite3.Connection) -> None:
        """Take up runs that are new."""
        for run, spec, created in book.execute(
            "SELECT run, spec, created_at FROM runs ORDER BY rowid LIMIT -1 OFFSET ?", (len(self._begun),)
        ).fetchall():
            value = json.loads(spec)
            tasks = [one["task"]["name"] for one in value.get("cells", {}).values()] or [
                value.get("task", {}).get("name", "")
            ]
            casts = [one["cast"] for one in value.get("cells", {}).values()] or [value.get("cast", {})]
            # Runs of foreign programs hold a model's identity where others hold who plays the role, and how.
            played = [
                one if isinstance(one, str) else one["model"] for cast in casts for one in cast.values()
            ]
            models = sorted({model for model in played if model})
            what = value.get("arm") or value.get("optimizer") or value.get("verb", "")
            name = value.get("name") or f"{what} on {', '.join(sorted(set(tasks)))}"
            self._index.execute(
                "INSERT INTO runs (run, verb, name, created_at, last_at, models) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                (from_sql(run), value.get("verb", ""), name, created, created, json.dumps(models)),
            )
            id_ = self._index.execute("SELECT id FROM runs WHERE run = ?", (from_sql(run),)).fetchone()[0]
            self._runs[from_sql(run)] = id_
            self._models[id_] = frozenset(models)
            self._begun.append((created, id_))

    def run_of(self, scope: str, model: str, at: str) -> int:
        """The run that paid for a reply, 0 where none was begun."""
        found = [run for began, run in reversed(self._spans.get(scope, ())) if began <= at]
        found = found or [run for began, run in reversed(self._begun) if began <= at]
        for run in found:
            if model in self._models.get(run, ()):
                return run
        return found[0] if found else 0

    def take(self, id_: int, run_name: str, scope: str, body: str, at: str) -> None:
        """Take up one fact. One of a later nullgrad is counted and otherwise left alone."""
        run = self._runs.get(run_name)
        if run is None:
            return
        index = self._index
        spans = self._spans.setdefault(scope, [])
        if scope and (not spans or spans[-1][1] != run):
            spans.append((at, run))
            index.execute("INSERT INTO spans VALUES (?,?,?)", (scope, at, run))
        index.execute("UPDATE runs SET last_at = ?, facts = facts + 1 WHERE id = ?", (at, run))
        try:
            event = parse_event(body)
        except ValueError:
            return
        if isinstance(event, Reported):
            index.execute("UPDATE runs SET reported = ? WHERE id = ?", (id_, run))
            return
        key = parse_scope(scope)
        if key is None:
            return
        cell, arm, trial = key
        index.execute(
            "INSERT INTO trials (run, scope, cell, arm, trial, started_at, last_at) VALUES (?,?,?,?,?,?,?) "
            "ON CONFLICT DO UPDATE SET last_at = excluded.last_at",
            (run, scope, cell, arm, trial, at, at),
        )
        place = (run, scope)

        def point(measure: str, step: int, value: float | None) -> None:
            if value is not None:
                index.execute(
                    "INSERT OR REPLACE INTO points VALUES (?,?,?,?,?,?,?)",
                    (run, cell, arm, measure, step, trial, value),
                )

        def mark(kind: str) -> None:
            index.execute("INSERT INTO marks VALUES (?,?,?,?)", (run, arm, at, kind))

        match event:
            case TrialStarted():
                self._candidate(run, scope, event.candidate, event.texts, 0, -1, None)
                self._current[place] = self._prompt_id(event.texts)
            case Proposed():
                parent = self._current.get(place) or self._parent(run, scope)
                self._candidate(run, scope, event.candidate, event.texts, event.step, event.variant, parent)
            case ForeignStarted():
                self._candidate(run, scope, event.candidate, event.texts, 0, -1, None)
                self._current[place] = self._prompt_id(event.texts)
            case ForeignCandidate():
                # What it came from is numbers of the library's own; the seed is what all of them go back to.
                parent = self._current.get(place) or self._parent(run, scope)
                self._candidate(run, scope, event.candidate, event.texts, event.number, 0, parent)
            case ForeignDone():
                index.execute("UPDATE trials SET ended = 1 WHERE run = ? AND scope = ?", place)
                index.execute(
                    "UPDATE candidates SET chosen = 1 WHERE run = ? AND scope = ? AND candidate = ?",
                    (run, scope, event.candidate),
                )
            case AuditStarted():
                parent = None
                for step, digest in enumerate((event.before, event.after)):
                    texts = ((GENERATOR, dict(event.texts).get(digest, "")),)
                    self._candidate(run, scope, digest, texts, step, -1, parent)
                    parent = self._prompt_id(texts)
                index.execute("UPDATE candidates SET chosen = 1 WHERE run = ? AND scope = ?", place)
            case ProposalUnparsed():
                index.execute("UPDATE trials SET unparsed = unparsed + 1 WHERE run = ? AND scope = ?", place)
            case BatchRun():
                point("train true", event.step, mean_known(event.scores))
            case CandidateScored():
                mean = mean_known(event.scores)
                index.execute(
                    "UPDATE candidates SET validation = ? WHERE run = ? AND scope = ? AND candidate = ?",
                    (mean, run, scope, event.candidate),
                )
                self._reading(
                    id_,
                    run,
                    scope,
                    event.candidate,
                    "validation",
                    event.step,
                    "selection",
                    mean,
                    event.scores,
                )
            case StepDone():
                index.execute(
                    "UPDATE trials SET steps = max(steps, ?) WHERE run = ? AND scope = ?",
                    (event.step, *place),
                )
                index.execute(
                    "UPDATE candidates SET chosen = 1 WHERE run = ? AND scope = ? AND candidate = ?",
                    (run, scope, event.candidate),
                )
                row = index.execute(
                    "SELECT validation, prompt FROM candidates WHERE run = ? AND scope = ? AND candidate = ? "
                    "ORDER BY id DESC LIMIT 1",
                    (run, scope, event.candidate),
                ).fetchone()
                if row is not None:
                    point("validation", event.step, row[0])
                    self._current[place] = row[1]
                mark("step")
            case TrialDone():
                index.execute("UPDATE trials SET ended = 1 WHERE run = ? AND scope = ?", place)
            case TestScored():
                self._tested(id_, run, scope, arm, event, point, mark)

    def _tested(
        self, id_: int, run: int, scope: str, arm: str, event: TestScored, point: Any, mark: Any
    ) -> None:
        index, mean = self._index, mean_known(event.scores)
        steps = index.execute(
            "SELECT steps FROM trials WHERE run = ? AND scope = ?", (run, scope)
        ).fetchone()[0]
        at = event.step if event.purpose == "curve" else 0 if event.purpose == "seed" else steps
        point("test", at, mean)
        if event.purpose in ("final", "best") or (event.purpose == "seed" and arm == "seed"):
            index.execute(
                "UPDATE trials SET tested = 1, score = ? WHERE run = ? AND scope = ?", (mean, run, scope)
            )
            mark("test")
        index.execute(
            "UPDATE candidates SET test = ? WHERE run = ? AND scope = ? AND candidate = ?",
            (mean, run, scope, event.candidate),
        )
        self._reading(id_, run, scope, event.candidate, "test", at, event.purpose, mean, event.scores)

    def _reading(
        self,
        id_: int,
        run: int,
        scope: str,
        candidate: str,
        split: str,
        step: int,
        purpose: str,
        mean: Any,
        row: Any,
    ) -> None:
        found = self._index.execute(
            "SELECT prompt FROM candidates WHERE run = ? AND candidate = ? ORDER BY scope = ? DESC LIMIT 1",
            (run, candidate, scope),
        ).fetchone()
        if found is None:
            return
        self._index.execute(
            "INSERT OR REPLACE INTO readings VALUES (?,?,?,?,?,?,?,?,?)",
            (id_, run, scope, found[0], split, step, purpose, mean, len(row)),
        )

    def _candidate(
        self, run: int, scope: str, candidate: str, texts: Any, step: int, variant: int, parent: int | None
    ) -> None:
        self._index.execute(
            "INSERT INTO candidates (run, scope, candidate, prompt, step, variant, parent, chosen) VALUES (?,?,?,?,?,?,?,?)",
            (run, scope, candidate, self._prompt_id(texts), step, variant, parent, int(step == 0)),
        )

    def _prompt_id(self, texts: Any) -> int:
        text = dict(texts).get(GENERATOR, "")
        key = text_hash(text)[:16]
        self._index.execute(
            "INSERT INTO prompts (key, body) VALUES (?,?) ON CONFLICT DO NOTHING", (key, to_sql(text))
        )
        return int(self._index.execute("SELECT id FROM prompts WHERE key = ?", (key,)).fetchone()[0])

    def _parent(self, run: int, scope: str) -> int | None:
        """What the trial's current prompt was, after the index was opened anew."""
        row = self._index.execute(
            "SELECT prompt FROM candidates WHERE run = ? AND scope = ? AND chosen ORDER BY step DESC, id DESC LIMIT 1",
            (run, scope),
        ).fetchone()
        return None if row is None else int(row[0])
