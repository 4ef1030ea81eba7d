"""What a simulated task consists of: customers' messages of one class about one topic, and how they are read.

The class is a matter of the words alone, so that a world can read the truth off any text that holds a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nullgrad.core.draws import stream
from nullgrad.edges.sim.mix import text_key

LABELS = ("complaint", "praise", "question")
"""Classes; a world of two has the first two. The last one in use is the rare one."""

TOPICS = ("delivery", "billing", "accounts", "products")

_SUBJECTS = (
    ("the parcel", "the delivery", "the courier's visit", "the shipment", "the pickup", "the delivery slot"),
    ("the invoice", "the refund", "the payment", "the bill", "the monthly charge", "the receipt"),
    ("the login", "the password reset", "the profile page", "the account page", "the sign-up", "the security code"),
    ("the kettle", "the lamp", "the blender", "the headset", "the toaster", "the vacuum cleaner"),
)  # fmt: skip

_PHRASES = (
    (
        "was a disappointment from start to finish", "went wrong once more", "cost me a whole afternoon of trouble",
        "was not what you had promised", "has failed me again", "left me angry", "was worse than the last time",
        "is still not put right",
    ),
    (
        "was better than I had hoped", "made my week", "went without a hitch", "was everything you had promised",
        "has won me over", "left me smiling", "was a pleasure this time", "is simply excellent",
    ),
    (
        "is something that I would like explained", "leaves me with one open point", "can be changed until when, please",
        "is part of which plan, please", "works in which way, please", "is looked after by whom, please",
        "takes how long as a rule, please", "counts from which day, please",
    ),
)  # fmt: skip

_OPENERS = (
    "Hello,", "Good morning,", "Dear team,", "Hi there,", "Good evening,", "To whom it may concern,", "Dear support,",
    "Hello again,",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CITIES = (
    "Aachen", "Bergen", "Cork", "Delft", "Evora", "Fribourg", "Ghent", "Haarlem", "Innsbruck", "Jena", "Kiel", "Lucca",
)  # fmt: skip

FIRST_NUMBER = 100_000
MOST = 900_000
"""How many messages can be told apart by their reference."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is read.

    Attributes:
        label: place of its class in `LABELS`.
        topic: place of its topic in `TOPICS`.
        number: its reference, which no other message of a task has.
        key: of its text.
        start, stop: where it stands in the text that was read.
    """

    label: int
    topic: int
    number: int
    key: int
    start: int
    stop: int


def _any(*texts: str) -> str:
    longest = sorted(texts, key=len, reverse=True)
    return "|".join(r"\s+".join(map(re.escape, text.split())) for text in longest)


_MESSAGE = re.compile(
    rf"(?:{_any(*_OPENERS)})\s+(?P<subject>{_any(*(one for group in _SUBJECTS for one in group))})\s+"
    rf"(?P<phrase>{_any(*(one for group in _PHRASES for one in group))})\.\s+"
    rf"I\s+wrote\s+on\s+(?:{_any(*_DAYS)})\s+from\s+(?:{_any(*_CITIES)})\.\s+My\s+reference\s+is\s+(?P<number>\d{{6}})\.",
    re.IGNORECASE,
)
_TOPIC_OF = {one.lower(): topic for topic, group in enumerate(_SUBJECTS) for one in group}
_LABEL_OF = {one.lower(): label for label, group in enumerate(_PHRASES) for one in group}


@lru_cache(maxsize=16384)
def read_messages(text: str) -> tuple[Message, ...]:
    """Every message that stands in a text, in order."""
    return tuple(
        Message(
            _LABEL_OF[" ".join(match["phrase"].lower().split())],
            _TOPIC_OF[" ".join(match["subject"].lower().split())],
            int(match["number"]),
            text_key(match[0]),
            *match.span(),
        )
        for match in _MESSAGE.finditer(text)
    )


def write_message(number: int, label: int, topic: int, seed: int) -> str:
    """The message with a number (0 to `MOST` - 1) of a task's seed."""
    rng = stream("sim-message", seed, number)
    reference = FIRST_NUMBER + (number * 617_717 + seed * 7_919) % MOST
    return (
        f"{rng.choice(_OPENERS)} {rng.choice(_SUBJECTS[topic])} {rng.choice(_PHRASES[label])}. "
        f"I wrote on {rng.choice(_DAYS)} from {rng.choice(_CITIES)}. My reference is {reference}."
    )
