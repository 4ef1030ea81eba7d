"""A rating session: which prompts of a run people see, in what order, with which examples; nothing in it says which is which."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import text_hash
from nullgrad.core.rows import mean_known
from nullgrad.core.study_facts import TrialFacts, fold_trials
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import SqlLedger
from nullgrad.errors import UserError

Mode = Literal["absolute", "pairwise"]
NOTHING = "Nothing was rated."

ABSOLUTE = (
    ("soundness", "Is it logically sound?", "not at all", "entirely"),
    ("relevance", "Is it relevant to the task?", "not at all", "entirely"),
    ("misleading", "Would it mislead whoever follows it?", "not at all", "certainly"),
)
"""Questions of one prompt: name, words, and what 1 and 5 mean."""

PAIRWISE = (
    ("soundness", "Which is logically sounder?"),
    ("relevance", "Which is more relevant to the task?"),
    ("misleading", "Which would rather mislead whoever follows it?"),
)
"""Questions of two prompts."""

MOST_PAIRS = 60
"""Pairs of a session; of more prompts as many are drawn, each prompt about equally often."""

MOST_READ = 5_000
"""Replies that are looked through for examples where the task is not given."""


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt that is rated.

    Attributes:
        key: first 16 hexadecimal digits of the text's hash.
        text: what raters see.
        cell: the study's cell, "" outside studies; only prompts of one cell are set against each other.
        origins: (arm, trial) that ended with it, `seed` for the seed prompt.
    """

    key: str
    text: str
    cell: str
    origins: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Session:
    """What is rated.

    Attributes:
        run: the run.
        mode: each prompt by itself, or two at a time.
        seed: of every order.
        items: in an order of its own, so that a number says nothing.
        tasks: numbers of the items of each task: one, or two.
        examples: by cell: (input, right answer or "").
    """

    run: str
    mode: Mode
    seed: int
    items: tuple[Item, ...]
    tasks: tuple[tuple[int, ...], ...]
    examples: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def spec(self) -> dict[str, Any]:
        """As JSON values; `of_spec` reads them."""
        return {
            "run": self.run, "mode": self.mode, "seed": self.seed,
            "items": [[one.key, one.text, one.cell, [list(origin) for origin in one.origins]] for one in self.items],
            "tasks": [list(task) for task in self.tasks],
            "examples": {cell: [list(one) for one in own] for cell, own in self.examples.items()},
        }  # fmt: skip

    @property
    def id(self) -> str:
        """Identity: the same command resumes the same session."""
        text = json.dumps(self.spec, ensure_ascii=True, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def order(self, rater: str) -> list[int]:
        """Numbers of the tasks in the order of one rater."""
        order = list(range(len(self.tasks)))
        random.Random(f"{self.seed}:{self.id}:order:{rater}").shuffle(order)
        return order

    def swapped(self, rater: str, task: int) -> bool:
        """Whether a rater sees the second prompt of a pair first."""
        return random.Random(f"{self.seed}:{self.id}:side:{rater}:{task}").random() < 0.5


def of_spec(value: Mapping[str, Any]) -> Session:
    """The session that `Session.spec` describes."""
    return Session(
        value["run"], value["mode"], value["seed"],
        tuple(
            Item(key, text, cell, tuple((arm, trial) for arm, trial in origins))
            for key, text, cell, origins in value["items"]
        ),
        tuple(tuple(task) for task in value["tasks"]),
        {cell: tuple((one, other) for one, other in own) for cell, own in value["examples"].items()},
    )  # fmt: skip


def build_session(
    book: SqlLedger,
    run: str,
    *,
    mode: Mode,
    seed: int = 0,
    per_arm: int = 1,
    pairs: int = MOST_PAIRS,
    examples: int = 2,
    task_of: Mapping[str, Task],
) -> Session:
    """A session of a run's seed prompt and the prompts with which its arms ended.

    Of each arm the trials with the best validation mean are taken (the test chooses nothing); arms that score nothing on validation
    give their first trials. Prompts of one text are one item.

    Args:
        book: the ledger, open for reading.
        run: the run.
        mode: `absolute` or `pairwise`.
        seed: of the choice of examples, and of every order.
        per_arm: trials of each arm.
        pairs: most pairs.
        examples: shown beside the prompts of a cell, 0 to 5.
        task_of: tasks by cell, where they are known; else inputs are taken from recorded calls, without right answers.

    Raises:
        UserError: fewer than two prompts, or a number out of range.
    """
    for name, value, low, high in (
        ("--per-arm", per_arm, 1, 1000),
        ("--pairs", pairs, 1, 10_000),
        ("--examples", examples, 0, 5),
    ):
        if not low <= value <= high:
            raise UserError(f"{name} is {value}.", NOTHING, f"Give {low} to {high:,}.")
    trials = list(fold_trials(book.events(run)).values())
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    seeds: dict[str, str] = {}
    for facts in trials:
        if facts.seed and facts.cell not in seeds:
            seeds[facts.cell] = facts.texts[facts.seed].prompt
    for cell, text in seeds.items():
        found.setdefault((cell, text), []).append(("seed", 0))
    for facts in _chosen(trials, per_arm):
        assert facts.final is not None
        found.setdefault((facts.cell, facts.final.prompt), []).append((facts.arm, facts.trial))
    if len(found) < 2:
        raise UserError(
            f"The run {run} has {len(found)} prompt{'' if len(found) == 1 else 's'} to rate.",
            NOTHING,
            "Let its trials end first, or choose a run whose prompts differ.",
        )
    items = [
        Item(text_hash(text)[:16], text, cell, tuple(own)) for (cell, text), own in sorted(found.items())
    ]
    stream = random.Random(f"nullgrad-rate:{run}:{seed}")
    stream.shuffle(items)
    if mode == "absolute":
        tasks: list[tuple[int, ...]] = [(number,) for number in range(len(items))]
    else:
        tasks = _pairs(items, pairs, stream)
        if not tasks:
            raise UserError(f"No task of the run {run} has two prompts.", NOTHING, "Take --absolute.")
    shown = {
        cell: _examples(
            book, cell, [text for one, text in found if one == cell], examples, task_of.get(cell), stream
        )
        for cell in sorted({one.cell for one in items})
    }
    return Session(run, mode, seed, tuple(items), tuple(tasks), shown)


def _chosen(trials: Sequence[TrialFacts], per_arm: int) -> list[TrialFacts]:
    by_arm: dict[tuple[str, str], list[TrialFacts]] = {}
    for facts in trials:
        if facts.final is not None:
            by_arm.setdefault((facts.cell, facts.arm), []).append(facts)
    found = []
    for key in sorted(by_arm):
        own = sorted(by_arm[key], key=lambda one: (-(_validation(one) or -1.0), one.trial))
        found += own[:per_arm]
    return found


def _validation(facts: TrialFacts) -> float | None:
    """Mean of the final candidate's last validation row as selection saw it."""
    digest = facts.final.digest if isinstance(facts.final, Candidate) else ""
    for number in sorted(facts.steps, reverse=True):
        for scored in facts.steps[number].scored.values():
            if scored.candidate == digest:
                return mean_known(scored.shown)
    return None


def _pairs(items: Sequence[Item], most: int, stream: random.Random) -> list[tuple[int, ...]]:
    """Pairs within cells; where they are too many, each prompt takes part about equally often."""
    every = [(a, b) for a, b in combinations(range(len(items)), 2) if items[a].cell == items[b].cell]
    stream.shuffle(every)
    if len(every) > most:
        used = [0] * len(items)
        kept: list[tuple[int, int]] = []
        left = list(every)
        while len(kept) < most:
            best = min(
                left, key=lambda pair: (used[pair[0]] + used[pair[1]], max(used[pair[0]], used[pair[1]]))
            )
            left.remove(best)
            kept.append(best)
            for one in best:
                used[one] += 1
        every = kept
    return [pair if stream.random() < 0.5 else (pair[1], pair[0]) for pair in every]


def _examples(
    book: SqlLedger, cell: str, prompts: Sequence[str], most: int, task: Task | None, stream: random.Random
) -> tuple[tuple[str, str], ...]:
    """Training examples, so that nothing of the sealed test is shown."""
    if not most:
        return ()
    if task is not None:
        own = stream.sample(list(task.view.train), min(most, len(task.view.train)))
        return tuple((one.input, one.target) for one in own)
    inputs: dict[str, str] = {}
    texts = sorted({prompt.strip() for prompt in prompts}, key=len, reverse=True)
    for number, row in enumerate(book.replies(stage="forward", split="train")):
        if number >= MOST_READ or len(inputs) >= 40:
            break
        if row.about.cell != cell or row.about.example in inputs:
            continue
        request = book.request_of(row.identity)
        bodies = [message.content for message in request.messages] if request else []
        if not bodies or not (own_prompt := next((one for one in texts if bodies[0].startswith(one)), None)):
            continue
        # In a single message the prompt stands before the input: it would give away whose example this is.
        inputs[row.about.example] = bodies[-1] if len(bodies) > 1 else bodies[0][len(own_prompt) :].strip()
    chosen = stream.sample(sorted(inputs), min(most, len(inputs)))
    return tuple((inputs[one], "") for one in chosen)


__all__ = ["ABSOLUTE", "MOST_PAIRS", "PAIRWISE", "Item", "Mode", "Session", "build_session", "of_spec"]
