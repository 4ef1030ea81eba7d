"""Loads packs of words from Markdown files with a front matter."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any, cast, get_args

import yaml

from nullgrad.core.chat import MessageRole
from nullgrad.core.words import PIECES, STAGES, Pack, ReplyForm, Template, TemplateError, Words
from nullgrad.errors import UserError

PACKS = ("standard", "compact")
"""Names of the packs shipped: `compact` is for models under about two billion parameters."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYS = {"variables", "reply", "stop", "max_tokens"}


def parse_words(name: str, source: str) -> Words:
    """One template file.

    Raises:
        UserError: the front matter or a section cannot be read, or declared and used variables differ.
    """

    def bad(problem: str) -> UserError:
        return UserError(
            f"The template {name}.md cannot be used: {problem}.",
            "Nothing was run.",
            "Mend the template file.",
        )

    if not source.startswith("---\n"):
        raise bad("it does not begin with a front matter between --- lines")
    head, separator, body = source[4:].partition("\n---\n")
    if not separator:
        raise bad("its front matter does not end")
    front: dict[str, Any] = yaml.load(head, Loader=_LOADER) or {}
    unknown = set(front) - _KEYS
    if unknown:
        raise bad(f"unknown key {sorted(unknown)[0]!r} (known: {', '.join(sorted(_KEYS))})")
    declared = tuple(front.get("variables") or ())
    if front.get("reply") not in get_args(ReplyForm):
        raise bad(f"reply is {front.get('reply')!r}, not one of {', '.join(get_args(ReplyForm))}")
    messages: list[tuple[MessageRole, Template]] = []
    role, lines = "", list[str]()

    def close() -> None:
        if role:
            try:
                messages.append(
                    (cast(MessageRole, role), Template.parse("\n".join(lines).strip("\n"), declared))
                )
            except TemplateError as error:
                raise bad(str(error)) from None

    for line in body.splitlines():
        if line.strip() in ("# system", "# user", "# assistant"):
            close()
            role, lines = line.strip()[2:], []
        else:
            lines.append(line)
    close()
    if not messages:
        raise bad("it has no section (# system, # user or # assistant)")
    words = Words(
        name, tuple(messages), front["reply"], tuple(front.get("stop") or ()), front.get("max_tokens")
    )
    unused = set(declared) - words.variables
    if unused:
        raise bad(f"variable {sorted(unused)[0]!r} is declared and not used")
    return words


@lru_cache(maxsize=8)
def load_pack(name: str) -> Pack:
    """A pack shipped with the package.

    Raises:
        UserError: there is no such pack, or a file of it cannot be used.
    """
    if name not in PACKS:
        raise UserError(
            f"There is no pack of words {name!r}.", "Nothing was run.", f"Known: {', '.join(PACKS)}."
        )
    words: dict[str, Words] = {}
    digest = hashlib.sha256()
    for stem in (*STAGES, *PIECES):
        source = (resources.files("nullgrad") / "templates" / name / f"{stem}.md").read_text("utf-8")
        words[stem] = parse_words(stem, source)
        digest.update(f"{stem}\n{source}\n".encode())
    return Pack(name, digest.hexdigest(), words)
