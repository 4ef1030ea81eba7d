"""Reads YAML with the line of every value, so that an error can name it.

Scalars keep the text that was written: `labels: [yes, no]` are the words yes and no, not two booleans.
"""

from __future__ import annotations

import difflib
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nullgrad.edges.tasks.datasets import read_text
from nullgrad.errors import UserError

Kind = Literal["text", "number", "boolean", "nothing", "list", "mapping"]

_KINDS: dict[str, Kind] = {
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "nothing",
}
_EXPONENT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+")
_TRUE = frozenset(("yes", "true", "on"))


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them where none is near."""
    words = list(dict.fromkeys(known))
    lowered = {known_word.lower(): known_word for known_word in words}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.5)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(repr(known_word) for known_word in words[:20])
    return f"Known: {shown}{' and more' if len(words) > 20 else ''}." if words else "None is known."


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a YAML file with its place.

    Attributes:
        file: name of the file, for messages; "" for a value given in a call.
        name: the key or keys that lead to it (`split.train`), for messages.
        node: the node of PyYAML.
    """

    file: str
    name: str
    node: Node

    @classmethod
    def given(cls, name: str, value: object) -> Value:
        """A value that was given in a call or on the command line instead of in a file."""
        return cls("", name, yaml.SafeDumper(io.StringIO()).represent_data(value))

    @property
    def place(self) -> str:
        """File and line as messages name them, or the name of the option."""
        mark = self.node.start_mark
        return f"{self.file}, line {mark.line + 1}" if mark else f"Option {self.name}"

    @property
    def kind(self) -> Kind:
        if isinstance(self.node, MappingNode):
            return "mapping"
        if isinstance(self.node, SequenceNode):
            return "list"
        # YAML 1.1 takes 1e-6 for a text; nobody else does.
        if isinstance(self.node, ScalarNode) and not self.node.style and _EXPONENT.fullmatch(self.node.value):
            return "number"
        return _KINDS.get(self.node.tag, "text")

    def error(self, problem: str, ways_out: str) -> UserError:
        """An error at this place."""
        return UserError(f"{self.place}: {problem}.", "Nothing was run.", ways_out)

    def _wrong_kind(self, wanted: str) -> UserError:
        found = {"nothing": "empty", "text": "text", "mapping": "a mapping"}.get(self.kind, f"a {self.kind}")
        what = repr(self.name) if self.name else "the file"
        return self.error(f"{what} must be {wanted}, and is {found}", f"Write {wanted} there.")

    def text(self, wanted: str = "text") -> str:
        """A scalar as it is written; numbers and booleans too, for they may be a column or a label.

        Raises:
            UserError: it is empty, a list or a mapping.
        """
        if self.kind in ("list", "mapping", "nothing"):
            raise self._wrong_kind(wanted)
        return str(self.node.value)

    def word(self, known: Iterable[str]) -> str:
        """One of several words.

        Raises:
            UserError: it is another one.
        """
        words = tuple(known)
        text = self.text("one of " + ", ".join(words))
        if text not in words:
            raise self.error(
                f"{self.name!r} is {text!r}, which is none of {', '.join(words)}", nearest(text, words)
            )
        return text

    def integer(self, minimum: int) -> int:
        """A whole number of at least `minimum`.

        Raises:
            UserError: it is something else.
        """
        number = self.number()
        if not isinstance(number, int) or number < minimum:
            raise self.error(
                f"{self.name!r} must be a whole number of at least {minimum}, and is {self.node.value}",
                "Write such a number.",
            )
        return number

    def number(self) -> int | float:
        """A number: whole if it is written so.

        Raises:
            UserError: it is something else, or not finite.
        """
        written = self.node.value
        if self.kind == "number":
            for read in (int, float):
                try:
                    number = read(written)
                except ValueError:
                    continue
                if math.isfinite(number):
                    return number
        raise self._wrong_kind("a number")

    def boolean(self) -> bool:
        """True or false.

        Raises:
            UserError: it is something else.
        """
        if self.kind != "boolean":
            raise self._wrong_kind("true or false")
        return str(self.node.value).lower() in _TRUE

    def items(self, wanted: str = "a list") -> tuple[Value, ...]:
        """The items of a list.

        Raises:
            UserError: it is no list.
        """
        if self.kind != "list":
            raise self._wrong_kind(wanted)
        return tuple(
            Value(self.file, f"{self.name}[{place}]", item) for place, item in enumerate(self.node.value, 1)
        )

    def texts(self, wanted: str = "a list of texts") -> tuple[str, ...]:
        """A list of scalars as they are written."""
        return tuple(item.text() for item in self.items(wanted))

    def mapping(self, known: Iterable[str] | None = None, wanted: str = "a mapping") -> dict[str, Value]:
        """The values by key; with `known`, only those keys may occur.

        Raises:
            UserError: it is no mapping, a key occurs twice or is unknown.
        """
        if self.kind != "mapping":
            raise self._wrong_kind(wanted)
        found: dict[str, Value] = {}
        words = None if known is None else tuple(known)
        for key_node, node in self.node.value:
            key = Value(self.file, f"a key of {self.name}" if self.name else "a key", key_node)
            word = key.text("a word")
            if word in found:
                raise key.error(f"the key {word!r} occurs twice", "Keep one of them.")
            if words is not None and word not in words:
                inside = f" in {self.name!r}" if self.name else ""
                raise key.error(f"unknown key {word!r}{inside}", nearest(word, words))
            found[word] = Value(self.file, f"{self.name}.{word}" if self.name else word, node)
        return found


def read_yaml(path: Path, what: str = "task") -> Value:
    """The root of a YAML file; `what` it should hold, for messages.

    Raises:
        UserError: the file cannot be read or is no YAML, with the line.
    """
    text = read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path.name}, line {mark.line + 1}" if mark else path.name
        problem = str(error.problem or error.context)
        if problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        tab = "'\\t'" in problem
        raise UserError(
            f"{where}: this is not valid YAML: {'there is a tab in the indentation' if tab else problem}.",
            "Nothing was run.",
            "Indent with spaces."
            if tab
            else "Mind the indentation, and put texts with a colon or a brace between quotes.",
        ) from None
    except RecursionError:
        raise _too_deep(path) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path.name} is not valid YAML: {reason}.", "Nothing was run.", "Mend the file."
        ) from None
    if node is None:
        raise UserError(f"The file {path.name} is empty.", "Nothing was run.", f"Write the {what} into it.")
    try:
        loops = _holds_itself(node, set(), set())
    except RecursionError:
        loops = True
    if loops:
        raise _too_deep(path)
    return Value(path.name, "", node)


def _too_deep(path: Path) -> UserError:
    return UserError(
        f"The YAML of {path.name} is nested too deeply, or an alias (*) in it holds itself.",
        "Nothing was run.",
        "Write a flat mapping of keys; see nullgrad init for an example.",
    )


def _holds_itself(node: Node, above: set[int], known: set[int]) -> bool:
    """Whether a node is inside of itself, which YAML's aliases allow."""
    if isinstance(node, ScalarNode) or id(node) in known:
        return False
    if id(node) in above:
        return True
    above.add(id(node))
    parts = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
    if any(_holds_itself(part, above, known) for part in parts):
        return True
    above.remove(id(node))
    known.add(id(node))
    return False
