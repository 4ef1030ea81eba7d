"""What the vectorized executor knows of one cell: its examples as arrays, its prompts, its draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nullgrad.core.arms import Labels
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Reply
from nullgrad.core.evaluation import shown_targets
from nullgrad.core.prompt import Parsed, Unparsed, parse_prompt
from nullgrad.core.study import Cell
from nullgrad.core.task import Example, TaskView
from nullgrad.edges.packs import PACKS, load_pack
from nullgrad.edges.sim.messages import Batch, check_class, forward_key, forward_text, unreadable
from nullgrad.edges.sim.mix import Floats, mix, normal, text_key
from nullgrad.edges.sim.optimizer import framed
from nullgrad.edges.sim.prompts import Parts, read_prompt
from nullgrad.edges.sim.signal import DRAWN, FIXED, Effect, Ints
from nullgrad.edges.sim.splits import Draws, Split
from nullgrad.edges.sim.vocabulary import read_messages
from nullgrad.edges.sim.worlds import World
from nullgrad.errors import UserError

_NOTHING = "Nothing was run."
_MOST_KEPT = 4000
"""Prompts and changes kept at a time: beyond, they are made anew, which costs little."""


@dataclass(eq=False)
class Prompt:
    """One candidate's prompt, with what follows from it.

    Attributes:
        candidate, digest: as the facts name it.
        parts: taken apart.
        effect: what it does.
        text: key of its text.
        forward: key of forward requests with it.
        fixed: state of the noise that belongs to it, and of the one that is drawn anew.
        clean: by split, scores without noise.
    """

    candidate: Candidate
    digest: str
    parts: Parts
    effect: Effect
    text: int
    forward: int
    fixed: tuple[int, int]
    clean: dict[str, Floats] = field(default_factory=dict)


class Space:
    """One cell under one world.

    Args:
        cell: of a study.
        world: plays generator and optimizer.

    Raises:
        UserError: the cell is not one that this world answers for.
    """

    def __init__(self, cell: Cell, world: World) -> None:
        _check(cell, world)
        self.cell, self.world, self.view = cell, world, cell.task.view
        self.labels = world.labels
        self.train = self._split("train", self.view.train)
        self.validation = self._split("validation", self.view.validation)
        self.test = self._split("test", cell.task.test)
        self._prompts: dict[str, Prompt] = {}
        self._read: dict[tuple[bool, str, bool, str], Parsed | Unparsed | None] = {}
        self._key = _forward_keys(self.view)
        self._changes: dict[tuple[str, ...], int] = {}
        self._told: dict[tuple[str, str], Ints] = {}
        self.seed = self.prompt(self.view.seed_prompt)

    def _split(self, name: str, examples: tuple[Example, ...]) -> Split:
        world = self.world
        messages = []
        for one in examples:
            found = read_messages(one.input)
            if len(found) != 1 or one.input[found[0].start : found[0].stop] != one.input.strip():
                raise unreadable(world.spec, one.input)
            check_class(found[0], world.size, world.spec)
            if one.target != world.labels[found[0].label]:
                raise _refuse(world, f"the target of {one.id!r} is not the class of its message")
            messages.append(found[0])
        batch = Batch.of(messages)
        ids = tuple((json.dumps(one.id, ensure_ascii=True) + ",").encode() for one in examples)
        return Split(name, examples, tuple(messages), batch, world.noise.of_messages(batch.keys), ids)

    def prompt(self, text: str, parts: Parts | None = None) -> Prompt:
        """A prompt by its text; `parts` where they are known."""
        found = self._prompts.get(text)
        if found is None:
            if len(self._prompts) >= _MOST_KEPT:
                self._prompts.clear()
            world, candidate = self.world, Candidate.of(text)
            parts = parts or read_prompt(text)
            forward = self._key(text, parts)
            states = tuple(mix(mix(world.noise.key, purpose), forward) for purpose in (FIXED, DRAWN))
            found = self._prompts[text] = Prompt(
                candidate,
                candidate.digest,
                parts,
                world.effect_of(parts),
                text_key(text),
                forward,
                (states[0], states[1]),
            )
        return found

    def read_reply(self, parts: Parts, stage: str) -> Prompt | str:
        """What comes of a proposal: the prompt, or the reason why none does.

        Whether a reply is read as it stands is a matter of its beginning and of what is not a rule, so that one reading
        goes for all proposals that share these; where one is read otherwise, each is read by itself.
        """
        text = parts.text
        known = self._prompts.get(text)
        kind = (parts.opener is not None, parts.base, bool(parts.rules), stage)
        if kind not in self._read:
            parsed = self._parse(text, stage)
            self._read[kind] = None if isinstance(parsed, Parsed) and parsed.prompt == text else parsed
        if self._read[kind] is None:
            return known or self.prompt(text, parts)
        parsed = self._parse(text, stage)
        return self.prompt(parsed.prompt) if isinstance(parsed, Parsed) else parsed.reason

    def _parse(self, text: str, stage: str) -> Parsed | Unparsed:
        form = self.cell.pack[stage].reply
        return parse_prompt(Reply(framed(text, form), "stop"), form, self.labels)

    def changes_key(self, changes: tuple[str, ...]) -> int:
        """Key of the changes of a batch as stage three is shown them."""
        found = self._changes.get(changes)
        if found is None:
            if len(self._changes) >= _MOST_KEPT:
                self._changes.clear()
            pack = self.cell.pack
            joined = "\n\n".join(
                pack.piece("change", {"number": str(number), "change": change})
                for number, change in enumerate(changes, 1)
            )
            found = self._changes[changes] = text_key(joined)
        return found

    def answers(self, prompt: Prompt, split: Split, draws: Draws) -> Ints:
        """Places of the labels answered on a split."""
        noise = self.world.noise
        clean = prompt.clean.get(split.name)
        if clean is None:
            clean = prompt.clean[split.name] = self.world.scores(prompt.effect, split.batch)
        drawn = draws.of_split(split) if noise.weights[2] else None
        noisy = clean + noise.spread_many(
            noise.of_calls(prompt.forward, split.batch.keys, split.shared, drawn)
        )
        found: Ints = noisy.argmax(axis=1)
        return found

    def answer(self, prompt: Prompt, split: Split, place: int, draw: int) -> int:
        """The place of the label answered on one example, by plain numbers: quicker for a small batch."""
        noise, message = self.world.noise, split.messages[place]
        found: list[float] = split.shared[place].tolist()
        for state, weight, more in zip(prompt.fixed, noise.weights[1:], (None, draw), strict=True):
            if weight == 0.0:
                continue
            state = mix(state, message.key)
            if more is not None:
                state = mix(state, more)
            found = [one + weight * normal(mix(state, number)) for number, one in enumerate(found)]
        clean = prompt.effect.scores(message.label, message.topic, message.number)
        scores = [one + extra for one, extra in zip(clean, noise.spread(found), strict=True)]
        return scores.index(max(scores))

    def shown(self, labels: Labels, split: Split, draws: Draws) -> Ints:
        """Places of the labels shown for a split."""
        if labels == "correct":
            return split.batch.labels
        if labels == "shuffled":
            found = draws.shuffled.get(split.name)
            if found is None:
                found = draws.shuffled[split.name] = self._shown(labels, split, draws)
            return found
        known = self._told.get((labels, split.name))
        if known is None:
            known = self._told[labels, split.name] = self._shown(labels, split, draws)
        return known

    def _shown(self, labels: Labels, split: Split, draws: Draws) -> Ints:
        targets: Mapping[str, str] = shown_targets(self.view, labels, split.examples, draws.path, split.name)
        return np.array([self.labels.index(targets[one.id]) for one in split.examples], dtype=np.int64)


def _forward_keys(view: TaskView) -> Callable[[str, Parts], int]:
    """`forward_key` of one task: the layout is filled in once, where it has the prompt in one place."""
    mark, before = "\0prompt\0", "Say what it is."
    keys = {text: forward_text(view, text) for text in (mark, before)}
    head, found, tail = keys[mark].partition(mark)
    plain = bool(found) and mark not in tail and keys[before] == head + before + tail
    bases: dict[str, bool] = {}

    def key(text: str, parts: Parts) -> int:
        base = parts.base
        if base not in bases:
            bases[base] = plain and not read_messages(base)
        return text_key(head + text + tail) if bases[base] else forward_key(view, text)

    return key


def _refuse(world: World, what: str) -> UserError:
    return UserError(
        f"The vectorized executor cannot carry this study out under {world.spec}: {what}.",
        _NOTHING,
        "Make the study with `sim_study`, or run it in full.",
    )


def _check(cell: Cell, world: World) -> None:
    view, dials = cell.task.view, world.dials
    if dials.fail or dials.fail_for_good:
        raise _refuse(world, "its calls may fail, and which ones do depends on the requests themselves")
    if {cell.cast.generator.model, cell.cast.optimizer.model} != {world.identity}:
        raise _refuse(world, f"the cell {cell.name!r} is asked of another model")
    if view.labels != world.labels or view.slots != 1 or view.scorer.asks:
        raise _refuse(world, f"the task {view.name!r} is not one of its own")
    if any(
        view.scorer.read(one) != one or view.scorer.score(one, other) != float(one == other)
        for one in view.labels
        for other in view.labels
    ):
        raise _refuse(world, f"the task {view.name!r} scores in another way")
    if cell.pack.name not in PACKS or load_pack(cell.pack.name).digest != cell.pack.digest:
        raise _refuse(world, "its words are not those of a shipped pack")
