"""Which stage a request is at, found by inverting the templates of the shipped packs.

A template is literal text with placeholders between; a request is at a stage where its messages are the literals with something
between them. What stands between may hold anything, tags and braces too: of several readings one is taken in which
every input holds a message that a world can read, and if there is one, in which outputs are labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from nullgrad.core.chat import Message as ChatMessage
from nullgrad.core.chat import MessageRole
from nullgrad.core.words import STAGES, Pack, ReplyForm, Words
from nullgrad.edges.packs import PACKS, load_pack
from nullgrad.edges.sim.vocabulary import LABELS, Message, read_messages

CRITICS = ("critic-binary", "critic-smooth")

_MOST_TRIED = 20_000
"""Ends of values tried for one template: hostile text must not make reading slow."""

_MOST_READINGS = 200
_MOST_EXAMPLES = 200

Accept = Callable[[str, str], bool]
"""Whether a value can be what a placeholder of this name stands for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of nullgrad's own, read.

    Attributes:
        pack: whose words it is in.
        stage: one of `STAGES`, or of `CRITICS`.
        reply: the form of the reply.
        values: by placeholder.
        shown: of `one-step` its examples, each by placeholder.
    """

    pack: Pack
    stage: str
    reply: ReplyForm
    values: Mapping[str, str]
    shown: tuple[Mapping[str, str], ...] = ()


def any_value(name: str, value: str) -> bool:
    """Accept everything."""
    return True


def has_message(text: str) -> Message | None:
    """The only message in a text."""
    found = read_messages(text)
    return found[0] if len(found) == 1 else None


def readable(name: str, value: str) -> bool:
    """Accept inputs that hold one message, and everything else."""
    return name != "input" or has_message(value) is not None


def solutions(parts: Sequence[str], text: str, accept: Accept = any_value) -> Iterator[dict[str, str]]:
    """Every way in which a text is literals with values between, shortest first values first.

    Args:
        parts: literals at even places, names at odd ones.
        text: the whole text.
        accept: prunes.
    """
    tried = 0

    def search(place: int, position: int, found: dict[str, str]) -> Iterator[dict[str, str]]:
        nonlocal tried
        literal = parts[place]
        if not text.startswith(literal, position):
            return
        position += len(literal)
        if place == len(parts) - 1:
            if position == len(text):
                yield found
            return
        name, after = parts[place + 1], parts[place + 2]
        last = place + 2 == len(parts) - 1
        end = len(text) - len(after) if last else text.find(after, position)
        while position <= end and tried < _MOST_TRIED:
            tried += 1
            value = text[position:end]
            if found.get(name, value) == value and accept(name, value):
                yield from search(place + 2, end, {**found, name: value})
            if last:
                return
            end = text.find(after, end + 1)

    yield from search(0, 0, {})


def likeliest(parts: Sequence[str], text: str, accept: Accept) -> dict[str, str] | None:
    """The first reading in which the input begins with its message and the output is a label; else the first of all."""
    first: dict[str, str] | None = None
    for found in islice(solutions(parts, text, accept), _MOST_READINGS):
        if _likely(found):
            return found
        first = first if first is not None else found
    return first


def _likely(found: Mapping[str, str]) -> bool:
    message = has_message(found.get("input", ""))
    begins = "input" not in found or (message is not None and not found["input"][: message.start].strip())
    return begins and found.get("output", LABELS[0]).strip().lower() in LABELS


def recognize(messages: Sequence[ChatMessage], accept: Accept = readable) -> Asked | None:
    """The stage of a request, None where it is none of the packs' (such as a forward call, or another tool's)."""
    for pack, words, ends in _by_roles().get(tuple(one.role for one in messages), ()):
        if all(
            one.content.startswith(head) and one.content.endswith(tail)
            for one, (head, tail) in zip(messages, ends, strict=True)
        ):
            found = _read(pack, words, messages, accept)
            if found is not None:
                return found
    return None


@lru_cache(maxsize=1)
def _by_roles() -> Mapping[tuple[MessageRole, ...], list[tuple[Pack, Words, list[tuple[str, str]]]]]:
    """Every template by the roles of its messages, with how each of these begins and ends."""
    found: dict[tuple[MessageRole, ...], list[tuple[Pack, Words, list[tuple[str, str]]]]] = {}
    for pack in map(load_pack, PACKS):
        for words in (pack[stage] for stage in (*STAGES, *CRITICS)):
            parts = [_stripped(template.parts) for _, template in words.messages]
            roles = tuple(role for role, _ in words.messages)
            found.setdefault(roles, []).append((pack, words, [(one[0], one[-1]) for one in parts]))
    return found


def _read(pack: Pack, words: Words, messages: Sequence[ChatMessage], accept: Accept) -> Asked | None:
    shown: tuple[Mapping[str, str], ...] = ()

    def accepted(name: str, value: str) -> bool:
        nonlocal shown
        if name == "examples":
            read = _examples(pack, value, accept)
            shown = read or ()
            return read is not None
        if name == "changes":
            return value.startswith(_numbered(pack["change"].messages[0][1].parts, 1))
        return accept(name, value)

    values: dict[str, str] = {}
    for (_, template), one in zip(words.messages, messages, strict=True):
        found = likeliest(_stripped(template.parts), one.content, accepted)
        if found is None:
            return None
        values |= found
    return Asked(pack, words.name, words.reply, values, shown)


def _stripped(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A template's parts as `Words.render` strips them."""
    if len(parts) == 1:
        return (parts[0].strip(),)
    return (parts[0].lstrip(), *parts[1:-1], parts[-1].rstrip())


def _examples(pack: Pack, text: str, accept: Accept) -> tuple[Mapping[str, str], ...] | None:
    """The examples of a `one-step` request, None where the text is none."""
    found: list[Mapping[str, str]] = []
    return tuple(found) if _chain(_pieces(pack), text, 0, 1, accept, found) else None


def _pieces(pack: Pack) -> tuple[tuple[str, ...], ...]:
    """The parts of one example; a last placeholder that is empty leaves no trace in a stripped text."""
    parts = _stripped(pack["example"].messages[0][1].parts)
    if parts[-1] or len(parts) < 5:
        return (parts,)
    return parts, (*parts[:-3], parts[-3].rstrip())


def _chain(
    pieces: tuple[tuple[str, ...], ...],
    text: str,
    start: int,
    number: int,
    accept: Accept,
    found: list[Mapping[str, str]],
) -> bool:
    """Read examples from `start` on, each with the next number, until the text ends."""
    if number > _MOST_EXAMPLES:
        return False
    head = "\n\n" + _numbered(pieces[0], number + 1)
    end = text.find(head, start)
    while True:
        chunk = text[start : len(text) if end < 0 else end]
        ones = [one for parts in pieces if (one := likeliest(parts, chunk, accept)) is not None]
        for one in sorted(ones, key=_likely, reverse=True):
            if one.get("number") != str(number):
                continue
            found.append(one)
            if end < 0 or _chain(pieces, text, end + 2, number + 1, accept, found):
                return True
            found.pop()
        if end < 0:
            return False
        end = text.find(head, end + 1)


def _numbered(parts: tuple[str, ...], number: int) -> str:
    """How an example (or a change) begins."""
    place = parts.index("number") if "number" in parts else -1
    return parts[0] + str(number) + parts[2] if place == 1 else parts[0]


@lru_cache(maxsize=8192)
def expected_in(pack: str, evaluation: str) -> str | None:
    """The label that an evaluation by a label names, None where the text is none."""
    parts = _stripped(load_pack(pack)["evaluation-label"].messages[0][1].parts)
    found = next(solutions(parts, evaluation.strip()), None)
    return None if found is None else found["expected"]


def is_critic_case(pack: Pack, text: str) -> bool:
    """Whether an input is what a critic judged, so that the prompt at issue is a critic's."""
    parts = _stripped(pack["critic-case"].messages[0][1].parts)
    return next(solutions(parts, text, readable), None) is not None
