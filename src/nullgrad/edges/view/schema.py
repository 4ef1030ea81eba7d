"""Tables of the view's index. It is made anew where its format differs: there are no migrations."""

from __future__ import annotations

FORMAT = 3
"""SQLite's `user_version` of an index of this form."""

SCHEMA = (
    "CREATE TABLE taken (source TEXT PRIMARY KEY, last INTEGER NOT NULL, mark BLOB) WITHOUT ROWID",
    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, verb TEXT NOT NULL, name TEXT NOT NULL, created_at TEXT NOT NULL,
        last_at TEXT NOT NULL, reported INTEGER NOT NULL DEFAULT 0, models TEXT NOT NULL, facts INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE TABLE spans (scope TEXT NOT NULL, at TEXT NOT NULL, run INTEGER NOT NULL)",
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, cell INTEGER NOT NULL, arm INTEGER NOT NULL, trial INTEGER NOT NULL,
        role INTEGER NOT NULL, stage INTEGER NOT NULL, split INTEGER NOT NULL, example INTEGER, step INTEGER NOT NULL,
        variant INTEGER NOT NULL, failed INTEGER NOT NULL, prompt INTEGER
    )""",
    "CREATE INDEX calls_run ON calls (run)",
    "CREATE INDEX calls_trial ON calls (run, arm, trial)",
    "CREATE INDEX calls_role ON calls (run, role, arm)",
    "CREATE INDEX calls_example ON calls (example)",
    "CREATE INDEX calls_prompt ON calls (prompt, split) WHERE prompt IS NOT NULL",
    "CREATE INDEX calls_failed ON calls (failed) WHERE failed = 1",
    "CREATE INDEX calls_run_failed ON calls (run) WHERE failed = 1",
    """CREATE TABLE totals (
        run INTEGER, cell INTEGER, arm INTEGER, role INTEGER, model INTEGER, calls INTEGER, failed INTEGER, retried INTEGER,
        prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, uncounted INTEGER, seconds REAL,
        PRIMARY KEY (run, cell, arm, role, model)
    ) WITHOUT ROWID""",
    "CREATE TABLE minutes (run INTEGER, minute TEXT, calls INTEGER, failed INTEGER, PRIMARY KEY (run, minute)) WITHOUT ROWID",
    """CREATE TABLE examples (
        run INTEGER, split INTEGER, example TEXT, calls INTEGER, failed INTEGER, first INTEGER, last INTEGER,
        PRIMARY KEY (run, split, example)
    ) WITHOUT ROWID""",
    """CREATE TABLE trials (
        run INTEGER, scope TEXT, cell TEXT, arm TEXT, trial INTEGER, steps INTEGER NOT NULL DEFAULT 0,
        ended INTEGER NOT NULL DEFAULT 0, tested INTEGER NOT NULL DEFAULT 0, unparsed INTEGER NOT NULL DEFAULT 0,
        score REAL, started_at TEXT NOT NULL, last_at TEXT NOT NULL,
        PRIMARY KEY (run, scope)
    ) WITHOUT ROWID""",
    """CREATE TABLE marks (
        run INTEGER, arm TEXT, at TEXT, kind TEXT
    )""",
    "CREATE INDEX marks_run ON marks (run, at)",
    "CREATE TABLE prompts (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL)",
    """CREATE TABLE candidates (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, scope TEXT NOT NULL, candidate TEXT NOT NULL, prompt INTEGER NOT NULL,
        step INTEGER NOT NULL, variant INTEGER NOT NULL, parent INTEGER, chosen INTEGER NOT NULL DEFAULT 0,
        validation REAL, test REAL
    )""",
    "CREATE INDEX candidates_run ON candidates (run, scope)",
    "CREATE INDEX candidates_prompt ON candidates (prompt, run)",
    """CREATE TABLE readings (
        event INTEGER PRIMARY KEY, run INTEGER NOT NULL, scope TEXT NOT NULL, prompt INTEGER NOT NULL, split TEXT NOT NULL,
        step INTEGER NOT NULL, purpose TEXT NOT NULL, mean REAL, n INTEGER NOT NULL
    )""",
    "CREATE INDEX readings_prompt ON readings (run, prompt)",
    """CREATE TABLE points (
        run INTEGER, cell TEXT, arm TEXT, measure TEXT, at INTEGER, trial INTEGER, value REAL,
        PRIMARY KEY (run, cell, arm, measure, at, trial)
    ) WITHOUT ROWID""",
)
