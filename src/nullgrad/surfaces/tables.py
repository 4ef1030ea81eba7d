"""Tables of a result as CSV, Parquet or JSON, and in a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def columns(rows: Sequence[Row]) -> list[str]:
    """Every column of a table, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def to_csv(rows: Sequence[Row]) -> str:
    """One header and a line for each row; what is unknown is empty, and lists are JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = columns(rows)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return out.getvalue()


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The same typed; lists and objects are JSON texts, as in CSV.

    Raises:
        UserError: the extra `parquet` is not installed.
    """
    from nullgrad.errors import UserError

    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(
            "Parquet needs pyarrow, which is not installed.",
            "Nothing was written.",
            "pip install 'nullgrad[parquet]', or take --format csv.",
        ) from None
    names = columns(rows)
    table = pyarrow.table({name: pyarrow.array(_typed([row.get(name) for row in rows])) for name in names})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def _typed(values: list[Any]) -> list[Any]:
    """A column of one type: numbers stay numbers, anything mixed becomes text."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known) or all(isinstance(value, str) for value in known):
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        whole = all(isinstance(value, int) for value in known)
        return values if whole else [None if value is None else float(value) for value in values]
    return [None if value is None else value if isinstance(value, str) else _json(value) for value in values]


def _cell(value: Any) -> Any:
    return "" if value is None else _json(value) if isinstance(value, bool | list | tuple | dict) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
