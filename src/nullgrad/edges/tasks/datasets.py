"""Reads rows of text out of CSV, TSV, JSON, JSON Lines and Parquet files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nullgrad.errors import UserError

Row = dict[str, str]
"""From the name of a column to its text. A value that is null or absent in the file has no key."""

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
"""Endings of the files that `read_rows` reads."""

_NOTHING = "Nothing was run."


def read_rows(path: Path) -> list[Row]:
    """The rows of a data file, in their order; at least one.

    Values become text: numbers as they are written in the file, booleans `true` and `false`, lists and
    objects as JSON, null left out. `.json` is a list of objects, or an object with such a list under
    `examples`, which is how BIG-Bench Hard and BIG-Bench Extra Hard are published.

    Raises:
        UserError: the file is missing, unreadable, empty, no UTF-8, malformed, or of an unknown kind; the
            message names the file and the line.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise _directory(path)
    if suffix not in SUFFIXES:
        ending = f"its name ends in {suffix!r}" if suffix else "its name has no ending"
        raise UserError(
            f"The data file {path.name} is of no kind that can be read ({ending}).",
            _NOTHING,
            f"Save it as one of {', '.join(SUFFIXES)}.",
        )
    if suffix == ".parquet":
        rows = _parquet(path)
    else:
        text = read_text(path)
        if suffix in (".csv", ".tsv"):
            rows = _csv(text, path.name, "," if suffix == ".csv" else "\t")
        elif suffix == ".json":
            rows = _json(text, path.name)
        else:
            rows = list(_json_lines(text, path.name))
    if not rows:
        raise UserError(
            f"The data file {path.name} holds no rows.", _NOTHING, "Give a file with one example per row."
        )
    return rows


def columns(rows: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The names of the columns, in order of their first occurrence."""
    return tuple(dict.fromkeys(name for row in rows for name in row))


def separated(known: Sequence[str]) -> str:
    """What to do about a file whose only column looks like several, "" for another file."""
    if len(known) != 1 or not any(mark in known[0] for mark in (";", "\t")):
        return ""
    separator = "semicolons" if ";" in known[0] else "tabs"
    return f"The file seems to be separated by {separator}: save it with commas, or as .tsv with tabs."


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises:
        UserError: it is missing, cannot be opened, is empty, holds a NUL byte or is no UTF-8.
    """
    data = read_bytes(path)
    if not data.strip():
        raise UserError(
            f"The file {path.name} is empty.",
            _NOTHING,
            "Check that it was written out, or name another file.",
        )
    nul = data.find(b"\0")
    if nul >= 0:
        raise UserError(
            f"The file {path.name} has a NUL byte in line {_line(data, nul)}, at byte {nul}.",
            "It is no UTF-8 text and would reach the model damaged; nothing was run.",
            "Save it as UTF-8 (a file saved as UTF-16 looks like this), or remove the byte.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind a byte order mark.
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise UserError(
            f"The file {path.name} is not valid UTF-8 in line {_line(data, at)}, at byte {at}"
            f" (0x{data[at]:02x}).",
            _NOTHING,
            "Save it as UTF-8.",
        ) from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: it is missing, a directory, or cannot be opened.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"There is no file {path}.",
            _NOTHING,
            "Check the path; in a task file it is relative to that file.",
        ) from None
    except IsADirectoryError:
        raise _directory(path) from None
    except OSError as error:
        raise UserError(
            f"The file {path} cannot be read: {error.strerror or error}.", _NOTHING, "Check its permissions."
        ) from None


def _directory(path: Path) -> UserError:
    return UserError(f"{path} is a directory, not a file.", _NOTHING, "Name a file in it.")


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _malformed(name: str, problem: str, ways_out: str) -> UserError:
    return UserError(f"The data file {name} cannot be read: {problem}.", _NOTHING, ways_out)


def _csv(text: str, name: str, delimiter: str) -> list[Row]:
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    # Strict, because a lenient reader takes everything behind an unclosed quote for one field.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        _check_header(header, name)
        rows: list[Row] = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) > len(header):
                raise _malformed(
                    name,
                    f"line {reader.line_num} has {len(cells)} fields and the header {len(header)}",
                    f"Put fields that hold a {'comma' if delimiter == ',' else 'tab'} between double quotes.",
                )
            rows.append(dict(zip(header, cells, strict=False)))
        return rows
    except csv.Error as error:
        raise _malformed(
            name,
            f"{error} (line {reader.line_num})",
            "Close every quoted field, and double the quotes inside it.",
        ) from None
    finally:
        csv.field_size_limit(limit)


def _check_header(header: list[str], name: str) -> None:
    seen: set[str] = set()
    for column in header:
        if column in seen:
            raise _malformed(name, f"two columns are named {column!r}", "Rename one of them.")
        seen.add(column)


class _Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


def _load_json(text: str, name: str, line: int | None = None) -> Any:
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except json.JSONDecodeError as error:
        at = f"line {line if line is not None else error.lineno}, column {error.colno}"
        raise _malformed(name, f"{error.msg} ({at})", "Mend the JSON there.") from None
    except RecursionError:
        raise _malformed(name, "its JSON is nested too deeply", "Give a flat object per example.") from None


def _json(text: str, name: str) -> list[Row]:
    value = _load_json(text, name)
    if isinstance(value, dict) and isinstance(value.get("examples"), list):
        value = value["examples"]
    if not isinstance(value, list):
        raise _malformed(
            name,
            "it is neither a list of objects nor an object with such a list under 'examples'",
            "Write it as [{...}, {...}], or one object per line in a .jsonl file.",
        )
    return [_row(item, name, f"item {number}") for number, item in enumerate(value, 1)]


def _json_lines(text: str, name: str) -> Iterator[Row]:
    if text.lstrip().startswith("["):
        raise _malformed(
            name,
            "it is one JSON list, and not one object per line",
            "Let its name end in .json, or write one object per line.",
        )
    # Only these end a line of JSON Lines: str.splitlines would also cut at U+2028 inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _row(_load_json(line.strip("\r"), name, number), name, f"line {number}")


def _row(item: Any, name: str, where: str) -> Row:
    if not isinstance(item, dict):
        raise _malformed(name, f"{where} is no object", 'Write every example as {"column": "text", ...}.')
    return {key: as_text(value) for key, value in item.items() if value is not None}


def as_text(value: Any) -> str:
    """A value of a row as text; see `read_rows`."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inside = (f"{json.dumps(str(key), ensure_ascii=False)}: {_nested(value[key])}" for key in value)
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_nested(item) for item in value) + "]"
    return str(value)


def _nested(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str) and not isinstance(value, _Number):
        return json.dumps(value, ensure_ascii=False)
    return as_text(value)


def _parquet(path: Path) -> list[Row]:
    data = read_bytes(path)
    try:
        import pyarrow  # type: ignore[import-untyped, unused-ignore]
        from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise UserError(
            f"Reading {path.name} needs the package pyarrow, which is not installed.",
            _NOTHING,
            "Install nullgrad[parquet], or save the data as CSV or JSON Lines.",
        ) from None
    try:
        items = parquet.read_table(pyarrow.BufferReader(data)).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        problem = " ".join(str(error).split())
        raise _malformed(path.name, problem, "Check that it is a Parquet file.") from None
    return [_row(item, path.name, f"row {number}") for number, item in enumerate(items, 1)]
