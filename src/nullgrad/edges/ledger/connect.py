"""Connections to a ledger's file, and SQLite's errors in words."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from nullgrad.errors import LedgerError

_CACHE_SIZE = -8192
"""Pages kept by a connection: 8 MiB (SQLite counts KiB as negative)."""


def connect(path: Path, *, read_only: bool = False, busy_seconds: float = 30.0) -> sqlite3.Connection:
    """A connection in WAL mode that begins and ends transactions only where it is told to.

    synchronous=NORMAL: a commit is in the operating system's hands, so it outlives a killed process; a power
    failure can lose the commits since the last checkpoint, and leaves a consistent file.

    A process writes and checkpoints on one connection only, and no file is mapped into memory: SQLite before 3.51.3
    can damage a file when two connections checkpoint at the same instant (sqlite.org/wal.html#walresetbug).

    Raises:
        sqlite3.Error, OSError: see `ledger_error`.
        LedgerError: the file system cannot hold a ledger.
    """
    if read_only:
        return _connect_to_read(path, busy_seconds)
    connection = _open(path, "mode=rwc", busy_seconds)
    try:
        mode = _write_ahead(connection, busy_seconds)
        if mode != "wal":
            raise LedgerError(
                f"The file system of {path} does not support SQLite's write-ahead log.",
                "Nothing was written.",
                "Put the ledger on a local disk.",
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        # The log is folded into the file where whoever writes can wait for the disk.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        _try_writing(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> str:
    """Ask for the write-ahead log; returns the mode that the file is in.

    Where several processes ask for it at the same instant, SQLite may refuse one at once, whatever its timeout: of
    commands begun together on a new ledger, one would end.
    """
    until = time.monotonic() + busy_seconds
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _try_writing(connection: sqlite3.Connection) -> None:
    """Fail now if the file is read-only, and not after the first reply was paid for.

    SQLite opens such a file without a word, and even BEGIN IMMEDIATE succeeds.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("PRAGMA user_version = 0")
    finally:
        connection.execute("ROLLBACK")


def _connect_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Read, also from a medium where SQLite cannot create its shared memory."""
    if not path.exists():
        raise LedgerError(
            f"There is no ledger at {path}.", "Nothing was read.", "Check the path; nullgrad run creates one."
        )
    connection = _open(path, "mode=ro", busy_seconds)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(path.name + "-wal")
        unwritable = _code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        # With commits left in the log, `immutable` would show an older state as if it were all.
        if not unwritable or not _may(path, os.R_OK) or (log.exists() and log.stat().st_size):
            raise
        connection = _open(path, "mode=ro&immutable=1", busy_seconds)
    connection.execute("PRAGMA query_only = 1")
    connection.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")
    return connection


def _open(path: Path, options: str, busy_seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
    )


def engine_of(connection: sqlite3.Connection, *, writes: bool) -> Engine:
    """SQLAlchemy over one open connection; a writing transaction takes its lock at the beginning, never midway."""
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: connection, poolclass=StaticPool, pool_reset_on_return=None
    )
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def ledger_error(path: Path, error: BaseException, *, opening: bool = False) -> LedgerError:
    """What a failure of SQLite or of the file system means to a user.

    Args:
        path: the ledger.
        error: what was raised.
        opening: whether it was being opened, so that no reply of this command can be lost.
    """
    if isinstance(error, LedgerError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code, name = _code(cause), getattr(cause, "sqlite_errorname", "")
    stays = "What was committed before stays."
    lost = f"Nothing was asked. {stays}" if opening else f"The last group of replies is not recorded. {stays}"
    if code == sqlite3.SQLITE_FULL or name == "SQLITE_IOERR_SHMSIZE" or _is_full(cause):
        return LedgerError(
            f"The disk of the ledger {path} is full.",
            lost,
            "Free some space, then run the same command again to go on.",
        )
    if is_busy(cause):
        return LedgerError(
            f"The ledger {path} stayed locked by another process.",
            f"Nothing was written just now. {stays}",
            "Let the other process finish or end it, then run the same command again.",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH) or _is_forbidden(cause):
        return LedgerError(
            f"The ledger {path} cannot be written: the file or its directory is read-only.",
            f"Nothing was written. {stays}",
            "Give yourself the right to write there, or choose another place with --ledger.",
        )
    if path.is_dir() or code == sqlite3.SQLITE_CANTOPEN or isinstance(cause, OSError):
        return LedgerError(
            f"The ledger {path} cannot be opened: {_why_not_opened(path, cause)}.",
            "Nothing was read or written.",
            "Check the path and the rights on its directory, or choose another place with --ledger.",
        )
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerError(
            f"{path} is no ledger: it is not an SQLite database.",
            "Nothing was read or written.",
            "Give the path of a ledger, or of a file that does not exist yet.",
        )
    if code == sqlite3.SQLITE_CORRUPT or isinstance(cause, (ValueError, TypeError)):
        return LedgerError(
            f"The ledger {path} is damaged: {_plain(cause)}.",
            "It cannot be trusted, and nothing more was written to it.",
            "Go back to a copy of it, or begin another with --ledger; nullgrad verify says what can be read of it.",
        )
    return LedgerError(
        f"The ledger {path} failed: {_plain(cause)}.",
        lost,
        "Check the disk and the file with nullgrad verify, then run the same command again.",
    )


def is_busy(error: BaseException) -> bool:
    """Whether another process holds what was asked for."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: BaseException) -> int:
    """SQLite's primary result code, -1 for other errors."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _is_forbidden(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def _why_not_opened(path: Path, error: BaseException) -> str:
    if path.is_dir():
        return "it is a directory"
    if isinstance(error, OSError):
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    if path.parent.is_dir() and not _may(path.parent, os.W_OK):
        return "its directory is read-only"
    return _plain(error)


def _may(path: Path, mode: int) -> bool:
    """`os.access` as the user that opens files, which is the effective one."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _plain(error: BaseException) -> str:
    return str(error).strip().rstrip(".")
