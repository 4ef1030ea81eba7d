"""Examples as arrays, and the key of a prompt as the generator sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nullgrad.core.chat import Message as ChatMessage
from nullgrad.core.task import Example, TaskView
from nullgrad.edges.sim.mix import Keys, text_key
from nullgrad.edges.sim.signal import Ints
from nullgrad.edges.sim.vocabulary import LABELS, TOPICS, Message, read_messages
from nullgrad.errors import UserError

_PROBE = "Hello, the parcel made my week. I wrote on Monday from Ghent. My reference is 100000."


@dataclass(frozen=True)
class Batch:
    """Examples as a world reads them, one entry each.

    Attributes:
        labels, topics: places of class and topic.
        numbers: references.
        keys: of the messages' texts.
    """

    labels: Ints
    topics: Ints
    numbers: Ints
    keys: Keys

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def rows(self) -> Ints:
        """0, 1, …"""
        return np.arange(len(self.labels))

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Batch:
        """From messages."""
        return cls(
            np.array([one.label for one in messages], dtype=np.int64),
            np.array([one.topic for one in messages], dtype=np.int64),
            np.array([one.number for one in messages], dtype=np.int64),
            np.array([one.key for one in messages], dtype=np.uint64),
        )

    @classmethod
    def population(cls, size: int) -> Batch:
        """One example of every class and topic, class by class."""
        labels, topics = np.divmod(np.arange(size * len(TOPICS)), len(TOPICS))
        return cls(labels, topics, np.full(len(labels), -1), np.zeros(len(labels), dtype=np.uint64))


def read_message(text: str) -> Message | None:
    """The only message in a text, None where there is none or more than one."""
    found = read_messages(text)
    return found[0] if len(found) == 1 else None


def read_batch(examples: Sequence[Example], size: int, world: str) -> Batch:
    """Examples as a world of `size` classes reads them.

    Raises:
        UserError: one holds no message, or one of a class that the world does not have.
    """
    messages = []
    for one in examples:
        message = read_message(one.input)
        if message is None:
            raise unreadable(world, one.input)
        check_class(message, size, world)
        messages.append(message)
    return Batch.of(messages)


def check_class(message: Message, size: int, world: str) -> None:
    """Refuse a class that a world does not have.

    Raises:
        UserError: it does not.
    """
    if message.label >= size:
        raise UserError(
            f"{world} has {size} classes, and an input is a {LABELS[message.label]}.",
            "It could not be answered; nothing is made up.",
            f"Use the same number of classes for model and task, such as {world.partition('?')[0]}?classes=3.",
        )


def unreadable(world: str, text: str) -> UserError:
    """The error about a text of another task."""
    shown = " ".join(text[:400].split())[:120]
    return UserError(
        f"{world} cannot read what it is asked about: {shown!r}.",
        "A simulated world knows the truth of its own task's examples alone and makes nothing up; the run stopped.",
        f"Use the task {world.partition('?')[0].replace('sim:', 'sim/')}, or a real model.",
    )


def rest_text(messages: Sequence[ChatMessage], place: int, message: Message) -> str:
    """A forward request without its example: the prompt with format and layout."""
    texts = [
        one.content[: message.start] + " " + one.content[message.stop :] if number == place else one.content
        for number, one in enumerate(messages)
    ]
    return "\n".join(texts)


def rest_key(messages: Sequence[ChatMessage], place: int, message: Message) -> int:
    """Key of a forward request without its example, apart from white space."""
    return text_key(rest_text(messages, place, message))


def forward_text(view: TaskView, prompt: str) -> str:
    """`rest_text` of a task's forward requests with a prompt."""
    messages = view.layout.render(prompt, view.format, _PROBE)
    place, message = find_message(messages)
    assert message is not None
    return rest_text(messages, place, message)


def forward_key(view: TaskView, prompt: str) -> int:
    """`rest_key` of a task's forward requests with a prompt."""
    return text_key(forward_text(view, prompt))


def find_message(messages: Sequence[ChatMessage]) -> tuple[int, Message | None]:
    """The last message of a customer in the last chat message that holds one, and the place of that."""
    for place in range(len(messages) - 1, -1, -1):
        found = read_messages(messages[place].content)
        if found:
            return place, found[-1]
    return -1, None
