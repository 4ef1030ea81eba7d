"""Batches without replacement, by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nullgrad.core.draws import DrawPath
from nullgrad.core.task import Example


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Where a step stands: its epoch from 0, and its batch's slice of the shuffled split."""

    epoch: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def batch_place(step: int, size: int, batch_size: int) -> BatchPlace:
    """Place of a step (from 1) in epochs over `size` examples; the last batch of an epoch may be smaller."""
    per_epoch = -(-size // batch_size)
    epoch, number = divmod(step - 1, per_epoch)
    start = number * batch_size
    return BatchPlace(epoch, start, min(start + batch_size, size))


def batch_of(examples: Sequence[Example], place: BatchPlace, draws: DrawPath) -> tuple[Example, ...]:
    """The examples of a batch: each epoch is shuffled anew, the same for all arms of a block."""
    order = sorted(examples, key=lambda example: example.id)
    draws.stream("epoch", place.epoch).shuffle(order)
    return tuple(order[place.start : place.stop])
