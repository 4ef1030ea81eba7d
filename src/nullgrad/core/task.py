"""A task: examples with targets, a scorer, a seed prompt, a fixed format suffix, and a sealed test split."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol

from nullgrad.core.chat import Failed, Message, MessageRole
from nullgrad.core.effects import Effect
from nullgrad.core.words import Template

SplitName = Literal["train", "validation", "test"]

UnparsedPolicy = Literal["wrong", "exclude"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    Attributes:
        id: unique in the task.
        input: the text that the model sees.
        target: the right answer, in the form in which the scorer takes it.
        group: related examples share it and stay in one split; "" for none.
    """

    id: str
    input: str
    target: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """The model answered and the answer was read.

    Attributes:
        score: 0 to 1.
        answer: the answer as read, canonical (a label, a number, slots joined by ", ").
    """

    score: float
    answer: str


@dataclass(frozen=True, slots=True)
class UnparsedAnswer:
    """The model answered but no answer could be read: its own fault, wrong by default, counted apart."""

    reason: str
    text: str


Outcome = Scored | UnparsedAnswer | Failed


class Scorer(Protocol):
    """Reads an answer out of a reply and scores it against a target.

    Attributes:
        spec: canonical JSON-able description, part of the task's identity.
        asks: whether `grade` asks a model (a judge); pure scorers never yield.
    """

    @property
    def spec(self) -> str: ...

    @property
    def asks(self) -> bool: ...

    def read(self, text: str) -> str | UnparsedAnswer:
        """The answer in a reply; never an exception."""
        ...

    def score(self, answer: str, target: str) -> float:
        """0 to 1 for an answer that `read` returned; a scorer that asks raises `TypeError` here."""
        ...

    def grade(
        self, answer: str, example: Example, target: str, judge: Judge
    ) -> Generator[Effect, None, Outcome]:
        """Score with questions to a model; pure scorers need not be called here."""
        ...


class Judge(Protocol):
    """How a scorer that asks reaches its model: builds and yields the question."""

    def __call__(self, messages: tuple[Message, ...]) -> Generator[Effect, None, str | Failed]:
        """The reply's text, or `Failed`."""
        ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Which message carries what: templates over `prompt`, `format` and `input`. Hashed and exported.

    Attributes:
        messages: (role, template) in order.
    """

    messages: tuple[tuple[MessageRole, Template], ...]

    def render(self, prompt: str, format_: str, input_: str) -> tuple[Message, ...]:
        """The messages of a forward call; a message that comes out empty is left out."""
        values = {"prompt": prompt, "format": format_, "input": input_}
        rendered = ((role, template.render(values).strip()) for role, template in self.messages)
        return tuple(Message(role, content) for role, content in rendered if content)


def layout(*messages: tuple[MessageRole, str]) -> Layout:
    """A layout from role and text with the placeholders `{prompt}`, `{format}`, `{input}`."""
    return Layout(
        tuple((role, Template.parse(text, ("prompt", "format", "input"))) for role, text in messages)
    )


LAYOUTS: dict[str, Layout] = {
    "system-user": layout(("system", "{prompt}\n\n{format}"), ("user", "{input}")),
    "user": layout(("user", "{prompt}\n\n{format}\n\n{input}")),
}
"""Named layouts: the prompt first and the example last, so that engines can share the prefix."""


MOST_ANSWERS = 256
"""Tuples that an engine is held to at most."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a trial holds of a task: everything but the test split.

    Attributes:
        labels: the closed label set in its order, () for open answers.
        slots: number of slots of a tuple answer, 1 for a single answer.
        wrong: the rule of wrong labels: `choice`, `label`, `slots`, `number`, `other-example`.
        constrain: whether an engine that can is to hold replies to the closed answers; None for single answers alone, since a
            tuple is often worth reasoning about first.
    """

    name: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    seed_prompt: str
    format: str
    labels: tuple[str, ...]
    slots: int
    scorer: Scorer
    layout: Layout
    unparsed: UnparsedPolicy
    wrong: str
    constrain: bool | None = None

    def messages(self, prompt: str, example: Example) -> tuple[Message, ...]:
        """The messages of a forward call."""
        return self.layout.render(prompt, self.format, example.input)

    @property
    def constrained(self) -> tuple[str, ...]:
        """The texts to which a constraining engine may hold a reply: the labels, or all tuples of them; () for none."""
        wanted = self.slots == 1 if self.constrain is None else self.constrain
        if not wanted or len(self.labels) ** self.slots > MOST_ANSWERS:
            return self.labels if wanted and self.slots == 1 else ()
        return tuple(", ".join(answer) for answer in itertools.product(self.labels, repeat=self.slots))


@dataclass(frozen=True, slots=True)
class Made:
    """How the examples of a procedural task were made, so that more of them can be.

    Attributes:
        generator: its name.
        seed: of the items.
        dials: (name, value) of those that were set.
    """

    generator: str
    seed: int
    dials: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its sealed test split.

    Attributes:
        view: what trials get.
        test: the sealed split; read once per reported prompt, after selection.
        digest: hash of everything above, examples included.
        notes: what loading noticed (near-duplicates across splits, dropped rows), for the user.
        made: how its examples were generated, None where they are data.
    """

    view: TaskView
    test: tuple[Example, ...]
    digest: str
    notes: tuple[str, ...] = ()
    made: Made | None = None
