"""Worlds and their dials, and what is true of a prompt in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nullgrad.core.task import Example, TaskView
from nullgrad.edges.sim.catalogue import CATALOGUE, PARTS, Part
from nullgrad.edges.sim.dials import Dials, parse_dials, split_spec, written
from nullgrad.edges.sim.messages import Batch, forward_key, read_batch
from nullgrad.edges.sim.mix import Floats, Keys, mix
from nullgrad.edges.sim.prompts import Parts, read_prompt
from nullgrad.edges.sim.rules import Rule
from nullgrad.edges.sim.signal import Effect, Noise, chances, log_softmax
from nullgrad.edges.sim.truth_of_prompt import Truth, truth_from
from nullgrad.edges.sim.vocabulary import LABELS, TOPICS
from nullgrad.errors import UserError

WORLDS = PARTS
"""Names of the worlds; mixtures are written `gradient+prevalence`."""

VERSION = 2
"""Raised when a reply of any world changes."""

MOST_RULES = 6
"""Rules with an effect that a prompt holds at most: an optimizer drops the oldest for a new one."""

MOST_SINGLES = 12
"""The same where rules name single examples (`overfit`)."""

_EFFECTS = 4096


@dataclass(frozen=True)
class World:
    """One world with its dials: a pure value.

    Attributes:
        parts: one or two of `WORLDS`.
        dials: what was set.
    """

    parts: tuple[str, ...]
    dials: Dials = field(default_factory=Dials)

    @property
    def name(self) -> str:
        """`gradient`, or `gradient+prevalence`."""
        return "+".join(self.parts)

    @cached_property
    def spec(self) -> str:
        """As the user writes it, dials at their default left out: `sim:gradient?rho=0.9`."""
        said = written(self.dials)
        return f"sim:{self.name}" + (f"?{said}" if said else "")

    @cached_property
    def identity(self) -> str:
        """World, version and every dial but `latency`, which no reply depends on: hashed into requests."""
        said = written(self.dials, every=True)
        return f"sim:{self.name}/v{VERSION}?{said}"

    @property
    def task_name(self) -> str:
        """The task that fits: `sim/gradient`, with the dials `classes` and `rare` where they are set."""
        said = written(self.dials, only=("classes", "rare"))
        return f"sim/{self.name}" + (f"?{said}" if said else "")

    @property
    def size(self) -> int:
        """Number of classes."""
        return self.dials.classes

    @property
    def labels(self) -> tuple[str, ...]:
        """The closed label set, in the order of the task."""
        return LABELS[: self.size]

    @cached_property
    def ground(self) -> Part:
        """The part that says how hard messages are and how the seed prompt leans: of two the one that leans."""
        found = [CATALOGUE[name] for name in self.parts]
        return next((one for one in found if one.lean[self.size]), found[0])

    @cached_property
    def prior(self) -> tuple[float, ...]:
        """Share of each class in the population; the last one is the rare one."""
        rare = self.dials.rare if self.dials.rare is not None else self.ground.rare[self.size]
        last = 1.0 / self.size if rare is None else rare
        return (*((1.0 - last) / (self.size - 1) for _ in range(self.size - 1)), last)

    @cached_property
    def key(self) -> int:
        """The seed as a key, which the world's name is no part of: worlds share their noise."""
        return mix(0x6E756C6C67726164, self.dials.seed)

    @cached_property
    def noise(self) -> Noise:
        """How much of the noise is whose."""
        return Noise(self.dials.rho, self.dials.redraw, self.size, self.key)

    @cached_property
    def pools(self) -> dict[str, tuple[Rule, ...]]:
        """By part, the rules that luck can find."""
        return {name: CATALOGUE[name].rules(self.size - 1) for name in self.parts}

    @property
    def most_rules(self) -> int:
        """Rules with an effect that a prompt holds at most."""
        return MOST_SINGLES if "overfit" in self.parts else MOST_RULES

    @cached_property
    def _effects(self) -> dict[str, Effect]:
        return {}

    def effect(self, prompt: str) -> Effect:
        """What a prompt does, whatever stands in it besides rules."""
        found = self._effects.get(prompt)
        if found is None:
            if len(self._effects) >= _EFFECTS:
                self._effects.clear()
            found = self._effects[prompt] = self.effect_of(read_prompt(prompt))
        return found

    def effect_of(self, prompt: Parts) -> Effect:
        """What a prompt that was taken apart does."""
        ground, size = self.ground, self.size
        evidence = [ground.evidence[size]] * len(TOPICS)
        lean = ground.lean[size]
        singles: list[tuple[int, int, float]] = []
        for rule in prompt.rules:
            for name in self.parts:
                amount = CATALOGUE[name].effects.get(rule.kind)
                if amount is None:
                    continue
                amount *= self.dials.effect
                if rule.kind == "single":
                    if rule.label < size:
                        singles.append((rule.number, rule.label, amount))
                elif rule.topic >= 0:
                    evidence[rule.topic] += amount
                elif rule.label < 0:
                    evidence = [one + amount for one in evidence]
                elif rule.label == size - 1:
                    lean += amount
                break
        return Effect((tuple(evidence),) * size, (*(0.0,) * (size - 1), lean), tuple(singles))

    def scores(self, effect: Effect, batch: Batch) -> Floats:
        """Scores without noise: (n, classes)."""
        found = np.tile(np.array(effect.bias), (len(batch), 1))
        table = np.array(effect.evidence)
        found[batch.rows, batch.labels] += table[batch.labels, batch.topics]
        for number, label, more in effect.singles:
            found[batch.numbers == number, label] += more
        return found

    def noisy(
        self,
        effect: Effect,
        prompt: int,
        batch: Batch,
        shared: Floats,
        draws: Keys | None,
        clean: Floats | None = None,
    ) -> Floats:
        """Scores with the noise of calls: (n, classes).

        Args:
            effect: of the prompt.
            prompt: key of the forward messages without the example.
            batch: the examples.
            shared: their difficulty, `noise.of_messages(batch.keys)`.
            draws: of the calls.
            clean: scores without noise where they are known.
        """
        if clean is None:
            clean = self.scores(effect, batch)
        return clean + self.noise.spread_many(self.noise.of_calls(prompt, batch.keys, shared, draws))

    def truth(self, prompt: str, examples: Sequence[Example] | None = None) -> Truth:
        """Exact accuracy, recalls and rates of a prompt: on the population, or over the draws on these examples.

        With `examples`, their classes, topics and texts count, but not their difficulty (see `expected`).

        Raises:
            UserError: the world cannot read an example.
        """
        effect = self.effect(prompt)
        if examples is None:
            batch = Batch.population(self.size)
            weights = np.repeat(np.array(self.prior) / len(TOPICS), len(TOPICS))
        else:
            batch = self.read(examples)
            weights = np.full(len(batch), 1.0 / max(len(batch), 1))
        return truth_from(self.labels, batch.labels, weights, chances(self.scores(effect, batch), 1.0))

    def accuracy(self, prompt: str, examples: Sequence[Example] | None = None) -> float:
        """`truth(...).accuracy`."""
        return self.truth(prompt, examples).accuracy

    def recalls(self, prompt: str, examples: Sequence[Example] | None = None) -> dict[str, float]:
        """`truth(...).recalls`."""
        return self.truth(prompt, examples).recalls

    def read(self, examples: Sequence[Example]) -> Batch:
        """The examples as the world reads them.

        Raises:
            UserError: one holds no message, or one of a class that this world does not have.
        """
        return read_batch(examples, self.size, self.spec)

    def expected(self, view: TaskView, prompt: str, examples: Sequence[Example]) -> Floats:
        """Chance of each label for each example over draws, given the example's difficulty: an array (n, K).

        What is fixed for all draws (`rho`, and of the rest what `redraw` leaves) is taken as it is, so that the mean of
        the right labels' column is the exact score of a prompt on a split: what repeated draws average to.
        """
        batch = self.read(examples)
        key = forward_key(view, prompt)
        fixed = self.noise.given(key, batch.keys, self.noise.of_messages(batch.keys))
        clean = self.scores(self.effect(prompt), batch) + self.noise.spread_many(fixed)
        return chances(clean, self.noise.weights[2])

    def split_truth(self, view: TaskView, prompt: str, examples: Sequence[Example]) -> Truth:
        """The exact truth of a prompt on a split, given the examples' difficulty (see `expected`)."""
        batch = self.read(examples)
        weights = np.full(len(batch), 1.0 / max(len(batch), 1))
        return truth_from(self.labels, batch.labels, weights, self.expected(view, prompt, examples))

    def log_probabilities(
        self, view: TaskView, prompt: str, examples: Sequence[Example], draws: Sequence[int]
    ) -> Floats:
        """Label log-probabilities (n, K) that the model's replies hold for these requests; their argmax is the answer.

        Args:
            draws: of the forward calls, `DrawPath(seed, trial, arm).forward(split, example.id)`.
        """
        batch = self.read(examples)
        shared = self.noise.of_messages(batch.keys)
        drawn = np.array(draws, dtype=np.uint64)
        return log_softmax(self.noisy(self.effect(prompt), forward_key(view, prompt), batch, shared, drawn))

    def answers(
        self, view: TaskView, prompt: str, examples: Sequence[Example], draws: Sequence[int]
    ) -> list[str]:
        """The labels that the model replies with."""
        found: Any = self.log_probabilities(view, prompt, examples, draws).argmax(axis=1)
        return [self.labels[place] for place in found]


def parse_world(spec: str) -> World:
    """The world that `sim:WORLD?dial=value&…` means (with or without `sim:`).

    Raises:
        UserError: there is no such world or dial, or a value is out of its range.
    """
    name, values = split_spec(spec.removeprefix("sim:"), spec)
    dials = parse_dials(values, spec)
    world = World(parse_parts(name, spec), dials)
    if len(world.parts) == 1 and "weight" in values:
        raise UserError(
            f"{spec}: weight has no meaning for one world.",
            "Nothing was run.",
            "Write two, such as gradient+null.",
        )
    if dials.rare is not None and not 0 < dials.rare <= 1 / dials.classes:
        raise UserError(
            f"{spec}: rare is {dials.rare:g}.",
            "Nothing was run.",
            f"Give a share above 0 and of at most 1/{dials.classes}.",
        )
    return world


def parse_parts(name: str, spec: str) -> tuple[str, ...]:
    """The worlds that a name means, one or two.

    Raises:
        UserError: there is no such world, or one stands twice.
    """
    parts = tuple(name.split("+"))
    for part in parts:
        if part not in WORLDS:
            raise UserError(
                f"{spec}: there is no simulated world {part!r}.",
                "Nothing was run.",
                f"Known: {', '.join(WORLDS)}; a mixture is written gradient+prevalence.",
            )
    if len(parts) > 2 or len(set(parts)) < len(parts):
        raise UserError(
            f"{spec}: a mixture is of two different worlds.", "Nothing was run.", "Write gradient+prevalence."
        )
    return parts
