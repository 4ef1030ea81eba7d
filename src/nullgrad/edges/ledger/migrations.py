"""Numbered migrations of the ledger's file: migration n takes version n to n + 1, in one transaction.

A migration is frozen once shipped: it is SQL text and not made from `ledger_schema`, which moves on. One that
must change rows drops the triggers that it needs and creates them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from nullgrad.edges.ledger.schema import APPLICATION_ID
from nullgrad.errors import LedgerError

Migration = Callable[[Connection], None]

_VERSION_1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
    """CREATE TABLE texts (
        hash BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
        body TEXT NOT NULL
    )""",
    """CREATE TABLE replies (
        id INTEGER PRIMARY KEY NOT NULL,
        identity BLOB NOT NULL UNIQUE CHECK (length(identity) = 32),
        request TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('reply', 'failed')),
        text TEXT, finish_reason TEXT,
        prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, reasoning_tokens INTEGER,
        served_model TEXT, fingerprint TEXT, logprobs TEXT,
        failure TEXT, message TEXT, status INTEGER, failure_attempts INTEGER,
        about TEXT NOT NULL, attempts INTEGER NOT NULL, seconds REAL NOT NULL, received_at TEXT NOT NULL,
        seal BLOB NOT NULL
    )""",
    "CREATE INDEX replies_failed ON replies (id) WHERE kind = 'failed'",
    """CREATE TABLE runs (
        run TEXT PRIMARY KEY NOT NULL,
        spec TEXT NOT NULL, created_at TEXT NOT NULL, version TEXT NOT NULL,
        seal BLOB NOT NULL
    )""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY NOT NULL,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        run TEXT NOT NULL, scope TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL,
        seal BLOB NOT NULL
    )""",
    "CREATE INDEX events_run ON events (run, id)",
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: {table}'); END"
        for table in ("texts", "replies", "runs", "events")
        for verb in ("update", "delete")
    ),
    "CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: meta'); END",
    "CREATE TRIGGER meta_only_grows BEFORE UPDATE ON meta "
    "WHEN NEW.key IS NOT OLD.key OR CAST(NEW.value AS INTEGER) <= CAST(OLD.value AS INTEGER) "
    "BEGIN SELECT RAISE(ABORT, 'the ledger''s schema version can only grow'); END",
)


def _create(connection: Connection) -> None:
    """Version 0, an empty file, to version 1."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _VERSION_1:
        connection.exec_driver_sql(statement)


MIGRATIONS: tuple[Migration, ...] = (_create,)
"""In order; their number is the schema version of this nullgrad."""


def migrate(connection: Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file to the newest version; each step is one transaction, so that a kill leaves a whole version.

    The version is read inside the writing transaction: of two processes that open one file, one migrates.

    Raises:
        LedgerError: the file is no ledger, or of a newer version.
    """
    while True:
        with connection.begin():
            version = schema_version(connection, path)
            require_known(version, path, len(migrations))
            if version == len(migrations):
                return
            migrations[version](connection)
            connection.exec_driver_sql(
                "INSERT INTO meta (key, value) VALUES ('schema_version', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (str(version + 1),),
            )
            # Twice, so that a version changed by hand is seen: a wrong one would let rows be misread.
            connection.exec_driver_sql(f"PRAGMA user_version = {version + 1}")


def schema_version(connection: Connection, path: Path) -> int:
    """The file's version, 0 for an empty one.

    Raises:
        LedgerError: it is another program's database, or does not say its version reliably.
    """
    stated, header = stated_versions(connection, path)
    if stated != header:
        raise LedgerError(
            f"The ledger {path} contradicts itself about its schema version: it was changed from outside.",
            "Nothing was read or written.",
            "Run nullgrad verify to see what else differs, and go back to a copy.",
        )
    return int(stated)


def stated_versions(connection: Connection, path: Path) -> tuple[str, str]:
    """The version as `meta` and as the file's header state it, both "0" for an empty file.

    Raises:
        LedgerError: it is another program's database.
    """

    def scalar(sql: str) -> object:
        return connection.exec_driver_sql(sql).scalar()

    if not scalar("SELECT count(*) FROM sqlite_master"):
        return "0", "0"
    if scalar("PRAGMA application_id") != APPLICATION_ID:
        raise LedgerError(
            f"{path} is an SQLite database, but no ledger of nullgrad.",
            "Nothing was read or written.",
            "Give the path of a ledger, or of a file that does not exist yet.",
        )
    stated = scalar("SELECT value FROM meta WHERE key = 'schema_version'")
    return str(stated), str(scalar("PRAGMA user_version"))


def require_known(version: int, path: Path, known: int = len(MIGRATIONS)) -> None:
    """Refuse a newer version.

    Raises:
        LedgerError: `version` is greater than `known`.
    """
    if version > known:
        raise LedgerError(
            f"The ledger {path} was written by a newer nullgrad (schema version {version}, this one knows {known}).",
            "Nothing was read or written.",
            "Upgrade nullgrad (pip install --upgrade nullgrad), or use another ledger.",
        )


def require_current(connection: Connection, path: Path) -> None:
    """For reading only, where nothing can be migrated.

    Raises:
        LedgerError: the file is no ledger, or of another version.
    """
    version = schema_version(connection, path)
    require_known(version, path)
    if version < len(MIGRATIONS):
        state = f"of the older schema version {version}" if version else "still empty"
        raise LedgerError(
            f"The ledger {path} is {state}, and it is open for reading only.",
            "Nothing was read.",
            "Open it once for writing: any nullgrad run brings it up to date.",
        )
