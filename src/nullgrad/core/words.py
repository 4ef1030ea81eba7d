"""Templates with declared variables, and packs of them: every word that is sent to a model.

Substitution is one pass over the template, never over what was substituted: braces and template syntax in
data pass through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nullgrad.core.chat import Message, MessageRole

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_ -]*)\}|[{}]")


class TemplateError(ValueError):
    """A template uses an undeclared variable or has a stray brace."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders.

    Attributes:
        text: the source; `{name}` is a placeholder, `{{` and `}}` are literal braces.
        parts: literals and placeholders in turn: even places literal, odd places names.
    """

    text: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, variables: tuple[str, ...] | None = None) -> Template:
        """Read a template; with `variables`, only those may occur.

        Raises:
            TemplateError: a placeholder is not declared, or a brace stands alone.
        """
        parts: list[str] = []
        literal = ""
        position = 0
        for match in _TOKEN.finditer(text):
            literal += text[position : match.start()]
            position = match.end()
            token = match.group(0)
            if token in ("{{", "}}"):
                literal += token[0]
            elif match.group(1) is None:
                raise TemplateError(
                    f"a single {token!r} at character {match.start()}: double it to mean the brace"
                )
            else:
                if variables is not None and match.group(1) not in variables:
                    raise TemplateError(
                        f"variable {match.group(1)!r} is not declared (declared: {', '.join(variables)})"
                    )
                parts += [literal, match.group(1)]
                literal = ""
        parts.append(literal + text[position:])
        return cls(text, tuple(parts))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the placeholders, in order of occurrence, with repeats."""
        return self.parts[1::2]

    def render(self, values: Mapping[str, str]) -> str:
        """The text with every placeholder replaced, in one pass.

        Raises:
            KeyError: a value is missing.
        """
        return "".join(values[part] if place % 2 else part for place, part in enumerate(self.parts))


ReplyForm = Literal["prompt-fenced", "prompt-line", "text"]
"""How a reply is read: a prompt between tags, a prompt on one line, or free text."""


@dataclass(frozen=True, slots=True)
class Words:
    """One template file: messages, how the reply is read, and its limits.

    Attributes:
        name: the file's stem.
        messages: (role, template) in order; a last `assistant` message is a prefill.
        reply: how the reply is read.
        stop: texts that end the reply.
        max_tokens: limit of the reply in tokens, None for the role's own.
    """

    name: str
    messages: tuple[tuple[MessageRole, Template], ...]
    reply: ReplyForm
    stop: tuple[str, ...]
    max_tokens: int | None

    def render(self, values: Mapping[str, str]) -> tuple[Message, ...]:
        """The messages with every placeholder replaced.

        A prefill loses its trailing space: chat templates trim it, and a token must not begin with it.
        """
        return tuple(
            Message(
                role,
                template.render(values).rstrip() if role == "assistant" else template.render(values).strip(),
            )
            for role, template in self.messages
        )

    @property
    def variables(self) -> frozenset[str]:
        """Every placeholder used."""
        return frozenset(name for _, template in self.messages for name in template.names)


STAGES = ("rewrite", "improve", "one-step", "gradient-output", "gradient-prompt", "gradient-update")
"""The stages at which an optimizer is asked."""

PIECES = (
    "example", "evaluation-label", "change", "judge",
    "critic-seed", "critic-binary", "critic-smooth", "critic-case", "critic-label",
)  # fmt: skip
"""Templates that are parts of a message, and the questions to the judge and to the critic."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A complete set of words.

    Attributes:
        name: `standard` or `compact`.
        digest: hash over all files, recorded with the run.
        words: by name, every one of `STAGES` and `PIECES`.
    """

    name: str
    digest: str
    words: Mapping[str, Words]

    def __getitem__(self, name: str) -> Words:
        return self.words[name]

    def piece(self, name: str, values: Mapping[str, str]) -> str:
        """A piece rendered to plain text: the contents of its messages joined by newlines."""
        return "\n".join(message.content for message in self.words[name].render(values))
