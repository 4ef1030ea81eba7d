"""A scripted model: rules, a function or a recording, deterministic, for tests and docs.

An unknown request is an error, never a made-up reply. Whatever the source, the reply is a function of the request
(with its draw) alone, and the identity holds a hash of the source, so that a changed script is asked anew.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.errors import UserError

PREFIX = "script:"

Answer = Callable[[Request], "str | Reply | None"]
"""From a request to its reply; None where it is unknown."""

FORM = (
    'A rule is {"match": "pattern", "reply": "text"}, with "replies": ["one", "two"] to answer by the draw, '
    'with "in": "all" to search all messages, or with "messages": ["exact", "texts"] instead of "match".'
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a script; it answers a request that fits everything it says.

    Attributes:
        replies: one of them is taken by the request's draw.
        match: pattern searched in the text; `.` matches newlines too. None where `messages` decides.
        everywhere: whether all messages are searched, joined by newlines, or the last one alone.
        messages: the exact contents of a recorded request, None where `match` decides.
    """

    replies: tuple[str, ...]
    match: re.Pattern[str] | None = None
    everywhere: bool = False
    messages: tuple[str, ...] | None = None

    def fits(self, request: Request) -> bool:
        """Whether this rule answers the request."""
        texts = tuple(message.content for message in request.messages)
        if self.messages is not None:
            return texts == self.messages
        assert self.match is not None
        return self.match.search("\n".join(texts if self.everywhere else texts[-1:])) is not None


def rules(rows: Sequence[Mapping[str, Any]], where: str) -> Answer:
    """Rules in order, the first that fits answers; a row is as `FORM` says.

    Raises:
        UserError: a row is no rule, or there is none.
    """
    if not rows:
        raise UserError(f"{where} holds no rule.", "It could answer nothing, so nothing was run.", FORM)
    made = [_rule(row, f"{where}, row {number}") for number, row in enumerate(rows, 1)]

    def answer(request: Request) -> str | None:
        for rule in made:
            if rule.fits(request):
                return rule.replies[request.draw % len(rule.replies)]
        return None

    return answer


def _rule(row: Mapping[str, Any], where: str) -> Rule:
    replies = [row["reply"]] if "reply" in row else row.get("replies")
    match, messages = row.get("match"), row.get("messages")
    if (
        not isinstance(row, Mapping)
        or set(row) - {"match", "in", "messages", "reply", "replies"}
        or ("reply" in row) == ("replies" in row)
        or not _texts(replies)
        or (match is None) == (messages is None)
        or not (match is None or isinstance(match, str))
        or not (messages is None or _texts(messages))
        or row.get("in", "last") not in ("last", "all")
    ):
        raise UserError(f"{where}, is no rule of a script.", "Nothing was run.", FORM)
    assert replies is not None
    if messages is not None:
        return Rule(tuple(replies), messages=tuple(messages))
    try:
        pattern = re.compile(str(match), re.DOTALL)
    except re.error as error:
        raise UserError(
            f"{where}: {match!r} is no pattern ({error}).",
            "Nothing was run.",
            "Escape what is meant literally.",
        ) from None
    return Rule(tuple(replies), pattern, row.get("in") == "all")


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, str) for one in value)


def recording(replies: Mapping[str, Reply], recorded_from: str = "") -> Answer:
    """Replies by the identity that a request had when it was sent to the model with the identity `recorded_from`."""
    return lambda request: replies.get(replace(request, model=recorded_from).identity())


class ScriptModel:
    """A scripted model, as a `Model`.

    Args:
        source: a function, a list of rules, or a mapping from identities to replies.
        name: for display.
        digest: hash of the script's content, part of the identity; "" derives it from the source. A function's is
            that of its text and of the plain values it closes over: give one where it depends on more.
        recorded_from: for a recording, the identity of the model whose requests are its keys.
    """

    simulated = True
    constrains = False
    max_concurrency: int | None = None
    max_logprobs = 0

    def __init__(
        self,
        source: Answer | Sequence[Mapping[str, Any]] | Mapping[str, Reply],
        name: str = "script:python",
        digest: str = "",
        recorded_from: str = "",
    ) -> None:
        if callable(source):
            self._answer: Answer = source
            digest = digest or _function_digest(source)
        elif isinstance(source, Mapping):
            self._answer = recording(source, recorded_from)
            digest = digest or _digest(repr((recorded_from, sorted(source.items(), key=lambda one: one[0]))))
        else:
            self._answer = rules(source, name)
            digest = digest or _digest(json.dumps(list(map(dict, source)), sort_keys=True))
        self.name = name
        self.identity = PREFIX + digest

    async def open(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """The scripted reply; its usage counts words, for want of tokens.

        Raises:
            UserError: the script does not know the request, or its function failed.
        """
        try:
            found = self._answer(request)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"The script {self.name} failed: {type(error).__name__}: {error}.",
                "The run stopped; what was answered is in the ledger.",
                "Mend the script.",
            ) from error
        if found is None:
            raise _unknown(self.name, request)
        if isinstance(found, Reply):
            return found
        if not isinstance(found, str):
            raise UserError(
                f"The script {self.name} returned {type(found).__name__}.",
                "The run stopped.",
                "Return a text, a Reply, or None for an unknown request.",
            )
        words = sum(len(message.content.split()) for message in request.messages)
        return Reply(found, "stop", Usage(words, len(found.split())), self.name)


def _unknown(name: str, request: Request) -> UserError:
    start = (request.messages[-1].content if request.messages else "")[:200]
    rule = json.dumps({"match": re.escape(start[:60]), "reply": "…"}, ensure_ascii=False)
    return UserError(
        f"The script {name} does not know a request whose last message begins {start!r}.",
        "The run stopped: a scripted model makes nothing up.",
        f"Add a rule that matches it, such as {rule}; in Python, let reply(request) return a text for it.",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _function_digest(function: Answer) -> str:
    """Hash of what a function says: its text, its defaults and the plain values that it closes over."""
    name = (
        f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
    )
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    values = [*cells, *(getattr(function, "__defaults__", None) or ())]
    plain = [repr(one) for one in values if isinstance(one, str | int | float | bool | tuple | list | dict)]
    return _digest("\x1f".join([name, text, *plain]))


def load_script(path: Path, name: str) -> ScriptModel:
    """`script:FILE`: JSON lines of rules, or Python with a function `reply(request)`.

    Raises:
        UserError: the file cannot be read or holds no script.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The script {path} cannot be read: {error.strerror}.",
            "Nothing was run.",
            "Check the path after script:.",
        ) from None
    digest = hashlib.sha256(source).hexdigest()
    if path.suffix == ".py":
        return ScriptModel(_function(path, source), name, digest)
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} is no UTF-8 text (byte {error.start}).",
            "Nothing was run.",
            "Save it as UTF-8.",
        ) from None
    rows: list[Mapping[str, Any]] = []
    # Not splitlines(): a line separator of Unicode may stand inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(
                f"{path.name}, line {number}, is no JSON object.",
                "Nothing was run.",
                f"Write one rule a line. {FORM}",
            )
        rows.append(row)
    return ScriptModel(rules(rows, path.name), name, digest)


def _function(path: Path, source: bytes) -> Answer:
    module = ModuleType(f"nullgrad_script_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses and pickling look their module up.
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The script {path} cannot be loaded: {type(error).__name__}: {error}.",
            "Nothing was run.",
            "Mend the script.",
        ) from error
    function = getattr(module, "reply", None)
    if not callable(function):
        raise UserError(
            f"The script {path} has no function reply(request).",
            "Nothing was run.",
            "Define reply(request) -> text.",
        )
    answer: Answer = function
    return answer
