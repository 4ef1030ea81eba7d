"""Rows of a data set on the Hugging Face Hub, through the package `datasets`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nullgrad.edges.tasks.datasets import Row, as_text
from nullgrad.errors import UserError

PREFIX = "hf:"
"""How a reference to the hub begins."""

_REFERENCE = re.compile(r"hf:([\w.-]+(?:/[\w.-]+)?)(?::([^@\s]+))?(?:@(\S+))?")


@dataclass(frozen=True, slots=True)
class HubReference:
    """`hf:owner/name[:config][@split]`.

    Attributes:
        dataset: `owner/name`, or the name alone for the hub's own.
        config: the configuration, None for the only one.
        split: the split, in the hub's slicing syntax (`train`, `test[:200]`).
    """

    dataset: str
    config: str | None
    split: str

    @classmethod
    def parse(cls, text: str) -> HubReference:
        """Read a reference; the split is `train` where none is named.

        Raises:
            UserError: it does not have the form.
        """
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise UserError(
                f"{text!r} is no reference to a data set on the Hugging Face Hub.",
                "Nothing was run.",
                "Write hf:owner/name, hf:owner/name:config or hf:owner/name:config@split.",
            )
        return cls(match[1], match[2], match[3] or "train")


def read_hub_rows(reference: str) -> list[Row]:
    """The rows of one split, values as text (class labels as their names); at least one.

    Raises:
        UserError: the package `datasets` is missing, or it cannot load the data set; its reason is quoted.
    """
    wanted = HubReference.parse(reference)
    try:
        import datasets  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise UserError(
            f"Reading {reference} needs the package datasets, which is not installed.",
            "Nothing was run.",
            "Install nullgrad[hf], or save the data as a CSV file and name that.",
        ) from None
    try:
        table = datasets.load_dataset(wanted.dataset, wanted.config, split=wanted.split)
        rows = [dict(row) for row in table]
    except (
        Exception
    ) as error:  # The package documents no closed set of what it raises: it is quoted, not hidden.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"The data set {reference} cannot be loaded: {reason}.",
            "Nothing was run.",
            "Check its name, configuration and split; a gated one needs its terms accepted and HF_TOKEN set.",
        ) from None
    if not rows:
        raise UserError(f"The data set {reference} holds no rows.", "Nothing was run.", "Name another split.")
    names = _class_names(table)
    return [
        {
            key: _named(value, names[key]) if key in names else as_text(value)
            for key, value in row.items()
            if value is not None
        }
        for row in rows
    ]


def _class_names(table: Any) -> dict[str, list[str]]:
    """Names of the classes of the columns that hold class numbers."""
    features = getattr(table, "features", None) or {}
    return {
        column: list(feature.names) for column, feature in features.items() if getattr(feature, "names", None)
    }


def _named(value: Any, names: list[str]) -> str:
    # The hub writes -1 for a hidden label (test parts of GLUE): it must not become the last class.
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else as_text(value)
