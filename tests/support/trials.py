"""Small tasks, a scripted asking, and the words that tests look for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from nullgrad.core.arms import Arm, parse_arm
from nullgrad.core.chat import Failed, Reply, Usage
from nullgrad.core.draws import DrawPath
from nullgrad.core.effects import Ask
from nullgrad.core.events import Event
from nullgrad.core.scoring import make_scorer
from nullgrad.core.setting import Cast, RoleModel, Setting
from nullgrad.core.task import LAYOUTS, Example, Task, TaskView
from nullgrad.core.words import Pack
from nullgrad.edges.packs import load_pack
from nullgrad.run.drive import Deliver, Driver

Responder = Callable[[Ask], Reply | Failed]


def reply(text: str, finish: str = "stop") -> Reply:
    """A reply with a usage."""
    return Reply(text, finish, Usage(10, 2))


def examples(split: str, n: int, labels: tuple[str, ...], start: int = 0) -> tuple[Example, ...]:
    """`n` examples whose targets cycle through the labels."""
    return tuple(
        Example(f"{split}{number}", f"{split} input {number}", labels[(start + number) % len(labels)])
        for number in range(n)
    )


def make_view(
    *,
    labels: tuple[str, ...] = ("yes", "no"),
    train: int = 7,
    validation: int = 4,
    seed_prompt: str = "Say yes or no.",
) -> TaskView:
    """A task without its test split."""
    return TaskView(
        name="small",
        train=examples("train", train, labels),
        validation=examples("validation", validation, labels),
        seed_prompt=seed_prompt,
        format="Answer with one word.",
        labels=labels,
        slots=1,
        scorer=make_scorer("exact", labels=labels),
        layout=LAYOUTS["system-user"],
        unparsed="wrong",
        wrong="label",
    )


def make_task(*, test: int = 6, **options: Any) -> Task:
    """The same with a sealed test split."""
    view = make_view(**options)
    return Task(view, examples("test", test, view.labels), "digest-of-the-small-task")


def make_setting(
    arm: Arm | str,
    *,
    view: TaskView | None = None,
    steps: int = 2,
    batch_size: int = 3,
    trial: int = 0,
    seed: int = 0,
    pack: Pack | None = None,
) -> Setting:
    """What one trial is given, with one model for every role."""
    player = RoleModel("test-model")
    return Setting(
        view or make_view(),
        parse_arm(arm) if isinstance(arm, str) else arm,
        trial,
        DrawPath(seed, trial),
        steps,
        batch_size,
        Cast(player, RoleModel("test-optimizer"), player, player),
        pack or load_pack("standard"),
    )


def obliging(ask: Ask) -> Reply:
    """Answers that always parse: a label by the input, a new prompt by the draw."""
    stage = ask.about.stage
    if stage == "forward":
        return reply(("yes", "no")[ask.request.draw % 2])
    if stage in ("judge", "critic-smooth"):
        return reply(f"It is so-so. Score: {ask.request.draw % 101}")
    if stage == "critic-binary":
        return reply(f"It is so-so. Verdict: {('correct', 'incorrect')[ask.request.draw % 2]}")
    if stage in ("gradient-output", "gradient-prompt"):
        return reply(f"Change it like {ask.request.draw % 1000}.")
    return reply(f"<prompt>Rewritten prompt number {ask.request.draw % 100_000}.</prompt>")


class Recorder:
    """An asking that answers at once and keeps what was asked and stated."""

    def __init__(self, responder: Responder = obliging) -> None:
        self.responder = responder
        self.asks: list[Ask] = []
        self.events: list[Event] = []

    def submit(self, asks: list[tuple[Ask, Deliver]]) -> None:
        """Answer."""
        for ask, deliver in asks:
            self.asks.append(ask)
            deliver(self.responder(ask))

    def state(self, event: Event) -> None:
        """Keep."""
        self.events.append(event)

    def roles(self) -> dict[str, int]:
        """Calls asked by role."""
        counts = {"generator": 0, "optimizer": 0, "critic": 0, "judge": 0}
        for ask in self.asks:
            counts[ask.about.role] += 1
        return counts

    def texts(self, stage: str) -> list[str]:
        """Everything sent at a stage, one text per request."""
        return [
            "\n".join(message.content for message in ask.request.messages)
            for ask in self.asks
            if ask.about.stage == stage
        ]


def run(generator: Generator[Any, Any, Any], recorder: Recorder) -> Any:
    """Drive a generator to its end."""
    return asyncio.run(Driver(recorder).drive(generator))
