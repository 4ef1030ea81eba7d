"""A scripted model: a list of rules, a function or a recording, deterministic, for tests and docs.

An unknown request is an error, never a made-up reply.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.errors import UserError

PREFIX = "script:"

Answer = Callable[[Request], "str | Reply | None"]
"""From a request to its reply; None where it is unknown."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a script.

    Attributes:
        match: pattern searched in the last message; `.` matches newlines too.
        replies: one of them is taken by the request's draw.
    """

    match: re.Pattern[str]
    replies: tuple[str, ...]


def rules(rows: Sequence[Mapping[str, Any]], where: str) -> Answer:
    """Rules in order, the first that matches answers: `{"match": "…", "reply": "…"}` or `"replies": ["…", …]`.

    Raises:
        UserError: a row is no rule.
    """
    made: list[Rule] = []
    for number, row in enumerate(rows, 1):
        replies = row.get("replies", [row["reply"]] if "reply" in row else None)
        unknown = set(row) - {"match", "reply", "replies"}
        if (
            not isinstance(replies, list)
            or not replies
            or not all(isinstance(one, str) for one in replies)
            or unknown
        ):
            raise UserError(
                f"{where}, row {number}, is no rule of a script.",
                "Nothing was run.",
                'A rule is {"match": "pattern", "reply": "text"} or {"match": "pattern", "replies": ["one", "two"]}.',
            )
        try:
            made.append(Rule(re.compile(str(row.get("match", "")), re.DOTALL), tuple(replies)))
        except re.error as error:
            raise UserError(
                f"{where}, row {number}: {row.get('match')!r} is no pattern ({error}).",
                "Nothing was run.",
                "Escape what is meant literally.",
            ) from None

    def answer(request: Request) -> str | None:
        text = request.messages[-1].content if request.messages else ""
        for rule in made:
            if rule.match.search(text):
                return rule.replies[request.draw % len(rule.replies)]
        return None

    return answer


def recording(replies: Mapping[str, Reply]) -> Answer:
    """Replies by the request's identity."""
    return lambda request: replies.get(request.identity())


class ScriptModel:
    """A scripted model, as a `Model`.

    Args:
        source: a function, a list of rules, or a mapping from identities to replies.
        name: for display.
        digest: hash of the script's content, part of the identity.
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
    ) -> None:
        if callable(source):
            self._answer: Answer = source
        elif isinstance(source, Mapping):
            self._answer = recording(source)
        else:
            self._answer = rules(source, name)
        self.name = name
        self.identity = f"script:{digest}" if digest else name

    async def open(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """The scripted reply.

        Raises:
            UserError: the script does not know the request, or its function failed.
        """
        try:
            found = self._answer(request)
        except Exception as error:
            raise UserError(
                f"The script {self.name} failed: {type(error).__name__}: {error}.",
                "The run stopped; what was answered is in the ledger.",
                "Mend the script.",
            ) from error
        if found is None:
            start = (request.messages[-1].content if request.messages else "")[:200]
            raise UserError(
                f"The script {self.name} does not know a request that begins {start!r}.",
                "The run stopped: a scripted model makes nothing up.",
                "Add a rule that matches it.",
            )
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
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(source.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise UserError(
                f"{path.name}, line {number}, is no JSON object.",
                "Nothing was run.",
                'Write one rule a line: {"match": "pattern", "reply": "text"}.',
            )
        rows.append(row)
    return ScriptModel(rules(rows, path.name), name, digest)


def _function(path: Path, source: bytes) -> Answer:
    namespace: dict[str, Any] = {"__name__": "nullgrad_script", "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), namespace)
    except Exception as error:
        raise UserError(
            f"The script {path} cannot be loaded: {type(error).__name__}: {error}.",
            "Nothing was run.",
            "Mend the script.",
        ) from error
    function = namespace.get("reply")
    if not callable(function):
        raise UserError(
            f"The script {path} has no function reply(request).",
            "Nothing was run.",
            "Define reply(request) -> text.",
        )
    answer: Answer = function
    return answer
