"""A split as arrays, and the draws of one trial, each made once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from nullgrad.core.batches import BatchPlace
from nullgrad.core.candidate import GENERATOR
from nullgrad.core.draws import DrawPath
from nullgrad.core.task import Example
from nullgrad.edges.sim.messages import Batch
from nullgrad.edges.sim.mix import Floats, Keys
from nullgrad.edges.sim.signal import Ints
from nullgrad.edges.sim.vocabulary import Message


@dataclass(frozen=True, eq=False)
class Split:
    """One split.

    Attributes:
        name: of the split.
        examples: in the task's order.
        messages: as the world reads them.
        batch: the same as arrays.
        shared: difficulty of the messages (n, dimensions).
        ids: tails of the draw paths, without the pass.
    """

    name: str
    examples: tuple[Example, ...]
    messages: tuple[Message, ...]
    batch: Batch
    shared: Floats
    ids: tuple[bytes, ...]


class Draws:
    """Draws of one trial, or in the paired design of all arms of a block: each is made once."""

    def __init__(self, path: DrawPath) -> None:
        self.path = path
        self.epochs: dict[int, list[int]] = {}
        self._splits: dict[str, Keys] = {}
        self.shuffled: dict[str, Ints] = {}
        self._heads: dict[str, blake2b] = {}
        self._proposals: blake2b | None = None

    def of_split(self, split: Split) -> Keys:
        """Draws of the forward calls of a split, pass 0."""
        found = self._splits.get(split.name)
        if found is None:
            found = np.array(
                [self.forward(split, place, 0) for place in range(len(split.ids))], dtype=np.uint64
            )
            self._splits[split.name] = found
        return found

    def forward(self, split: Split, place: int, pass_: int) -> int:
        """`DrawPath.forward`, with the common head of the path hashed once."""
        head = self._heads.get(split.name)
        if head is None:
            path = ["forward", self.path.study_seed, self.path.trial, self.path.arm, split.name]
            text = json.dumps(path, ensure_ascii=True, separators=(",", ":"))[:-1] + ","
            head = self._heads[split.name] = blake2b(text.encode(), digest_size=8)
        one = head.copy()
        one.update(split.ids[place] + b"%d]" % pass_)
        return int.from_bytes(one.digest(), "big") >> 1

    def proposal(self, step: int, stage: str, example: str | None, variant: int) -> int:
        """`DrawPath.proposal` of the generator's prompt, with the common head hashed once."""
        if self._proposals is None:
            path = ["proposal", self.path.study_seed, self.path.trial, self.path.arm, GENERATOR]
            text = json.dumps(path, ensure_ascii=True, separators=(",", ":"))[:-1] + ","
            self._proposals = blake2b(text.encode(), digest_size=8)
        one = self._proposals.copy()
        name = "null" if example is None else json.dumps(example, ensure_ascii=True)
        one.update(f'{step},"{stage}",{name},{variant}]'.encode())
        return int.from_bytes(one.digest(), "big") >> 1

    def batch(self, split: Split, place: BatchPlace) -> list[int]:
        """`batches.batch_of`, as places in the split."""
        order = self.epochs.get(place.epoch)
        if order is None:
            order = sorted(range(len(split.examples)), key=lambda one: split.examples[one].id)
            self.path.stream("epoch", place.epoch).shuffle(order)
            self.epochs[place.epoch] = order
        return order[place.start : place.stop]
