"""How results are written: as JSON, and as tables."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from nullgrad.analysis import serialize
from nullgrad.errors import UserError


class Written:
    """A result that has a form in JSON."""

    __slots__ = ()

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As JSON values: the contract of `--json`."""

    def to_json(self) -> str:
        """`to_dict` as text, the same bytes for the same result."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


class Recorded(Written):
    """A result of a run that is in the ledger."""

    __slots__ = ()

    def canonical(self) -> str:
        """What the ledger keeps: JSON without what this or that command paid, the same for every replay."""
        value = {key: part for key, part in self.to_dict().items() if key not in serialize.SPEND_KEYS}
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


class Tabled(Recorded):
    """One that is several tables.

    Attributes:
        MAIN: the one that is meant where none is named.
    """

    __slots__ = ()
    MAIN: ClassVar[str]

    @abstractmethod
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables, one dictionary a row: the contract of CSV and Parquet."""

    def to_pandas(self, table: str = "") -> Any:
        """One of the tables as a DataFrame; `MAIN` where none is named.

        Raises:
            UserError: there is no such table, or pandas is not installed.
        """
        found, name = self.tables(), table or self.MAIN
        if name not in found:
            raise UserError(
                f"There is no table {name!r}.", "Nothing is returned.", f"Known: {', '.join(found)}."
            )
        return frame(found[name])


def frame(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as a DataFrame.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise UserError(
            "pandas is not installed.", "There is no table to return.", "pip install pandas"
        ) from None
    return pandas.DataFrame(rows)
