"""What conformance looks through: models that watch what they are asked, and a task whose labels tell where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from nullgrad.core.chat import Message, Reply, Request, Usage
from nullgrad.core.conformance import Labels
from nullgrad.core.effects import Effect
from nullgrad.core.scoring import make_scorer
from nullgrad.core.task import LAYOUTS, Example, Judge, Outcome, Scorer, Task, TaskView, UnparsedAnswer
from nullgrad.edges.sim.forms import read_request
from nullgrad.edges.tasks.build import task_digest
from nullgrad.errors import CallError
from nullgrad.ports import Model

LABELS = Labels("QXTRAINLABEL", "QXVALIDLABEL", "QXOTHERLABEL")
"""Words that stand in no task and no library; the probe answers with them in small letters, which score the same."""

SEED_PROMPT = "Look at the entry and say which mark it bears."


class Watching:
    """A model that passes everything on and keeps what it was asked.

    Args:
        model: answers.
        role: part of its identity, so that what is asked of two roles can be told apart.
        on_call: told of each call before it is answered, for whoever wants to end the run at one.

    Attributes:
        asked: every request that arrived, in order.
        failed: how many of them got no reply.
    """

    def __init__(self, model: Model, role: str, on_call: Callable[[], None] | None = None) -> None:
        self._model = model
        self._on_call = on_call
        self.identity = f"{model.identity}#{role}"
        self.name = model.name
        self.simulated = model.simulated
        self.constrains = model.constrains
        self.max_concurrency = model.max_concurrency
        self.max_logprobs = model.max_logprobs
        self.asked: list[Request] = []
        self.failed = 0

    async def open(self) -> None:
        """As the model's."""
        await self._model.open()

    async def close(self) -> None:
        """As the model's."""
        await self._model.close()

    async def call(self, request: Request) -> Reply:
        """The model's reply.

        Raises:
            CallError: the model's.
        """
        self.asked.append(request)
        if self._on_call is not None:
            self._on_call()
        try:
            return await self._model.call(request)
        except CallError:
            self.failed += 1
            raise

    def holding(self, texts: Sequence[str]) -> int:
        """How many requests hold any of these texts."""
        return sum(any(text in said for text in texts) for said in map(said_in, self.asked))


def said_in(request: Request) -> str:
    """All that a request says."""
    return "\n".join(one.content for one in request.messages)


class ProbeModel:
    """Plays a role in the probe's task: any label as an answer, a numbered rule as an improvement.

    Replies are a function of the request and its draw; an improvement has the form that is asked for.

    Args:
        role: `generator` or `optimizer`.
    """

    simulated = True
    constrains = False
    max_concurrency: int | None = None
    max_logprobs = 0
    name = "sim:probe"

    def __init__(self, role: str) -> None:
        self._role = role
        self.identity = f"sim:probe/{role}"

    async def open(self) -> None:
        """Nothing to get ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """The reply; usage counts words."""
        text = self.reply(request.messages, request.draw)
        words = sum(len(one.content.split()) for one in request.messages)
        return Reply(text, "stop", Usage(words, len(text.split())), self.name)

    def reply(self, messages: Sequence[Message], draw: int) -> str:
        """The reply's text."""
        number = int.from_bytes(hashlib.sha256(f"{draw}\n{messages!r}".encode()).digest()[:4], "big")
        if self._role == "generator":
            return (LABELS.train, LABELS.validation, LABELS.other)[number % 3].lower()
        sought = read_request(messages)
        improved = f"{SEED_PROMPT} Rule {number % 99_991}: look twice."
        if sought is None:
            return improved
        return sought.write(
            f"Entries bear marks ({number % 9_973})." if sought.kind == "describe" else improved
        )


@dataclass(frozen=True)
class WatchedScorer:
    """A scorer that keeps the targets by which it scored.

    Attributes:
        scorer: scores.
        targets: in order.
    """

    scorer: Scorer
    targets: list[str] = field(default_factory=list)

    @property
    def spec(self) -> str:
        """The scorer's."""
        return self.scorer.spec

    @property
    def asks(self) -> bool:
        """The scorer's."""
        return self.scorer.asks

    def read(self, text: str) -> str | UnparsedAnswer:
        """The scorer's."""
        return self.scorer.read(text)

    def score(self, answer: str, target: str) -> float:
        """The scorer's, whose target is kept."""
        self.targets.append(target)
        return self.scorer.score(answer, target)

    def grade(
        self, answer: str, example: Example, target: str, judge: Judge
    ) -> Generator[Effect, None, Outcome]:
        """The scorer's."""
        return self.scorer.grade(answer, example, target, judge)


def probe_task(sizes: Mapping[str, int]) -> tuple[Task, WatchedScorer]:
    """A task in which every training row has one label and every row of validation another, and its scorer.

    Neither prompt nor format names a label, so that a label in a request came from a row.

    Args:
        sizes: rows by split.
    """
    own = {"train": LABELS.train, "validation": LABELS.validation, "test": LABELS.other}
    known = (LABELS.train, LABELS.validation, LABELS.other)
    rows = {
        split: tuple(
            Example(f"{split}-{number}", f"Entry {split} {number:03d} of the register.", own[split])
            for number in range(size)
        )
        for split, size in sizes.items()
    }
    scorer = WatchedScorer(make_scorer("exact", labels=known))
    view = TaskView(
        name="probe",
        train=rows["train"],
        validation=rows["validation"],
        seed_prompt=SEED_PROMPT,
        format="Answer with one word.",
        labels=known,
        slots=1,
        scorer=scorer,
        layout=LAYOUTS["system-user"],
        unparsed="wrong",
        wrong="label",
    )
    return Task(view, rows["test"], task_digest(view, rows["test"])), scorer
