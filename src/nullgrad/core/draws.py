"""Draw paths: which independent sample is meant, as a number derived from where the call stands.

Forward calls leave step, variant and arm out, so that two arms that ask the same thing in one trial share
the reply; proposals name step, stage, example and variant. The arm enters only in the `independent` design.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass

from nullgrad.core.candidate import GENERATOR

_compact = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def draw_of(*path: str | int | None) -> int:
    """A number from 0 to 2**63 - 1 that depends on every part of the path and nothing else."""
    return int.from_bytes(hashlib.blake2b(_compact(path).encode(), digest_size=8).digest(), "big") >> 1


def stream(*path: str | int | None) -> random.Random:
    """A random stream of its own for a path: no global generator, no order of consumption."""
    return random.Random(draw_of("stream", *path))


@dataclass(frozen=True, slots=True)
class DrawPath:
    """The part of the path that a trial fixes.

    Attributes:
        study_seed: the study's seed.
        trial: trial number, from 0.
        arm: canonical arm in the `independent` design, None in the `paired` one.
    """

    study_seed: int
    trial: int
    arm: str | None = None

    def forward(self, split: str, example: str, pass_: int = 0) -> int:
        """Draw of a generator call on one example; `pass_` is the epoch on train, 0 elsewhere."""
        return draw_of("forward", self.study_seed, self.trial, self.arm, split, example, pass_)

    def critic(self, split: str, example: str, pass_: int = 0) -> int:
        """Draw of a critic's judgement of one output."""
        return draw_of("critic", self.study_seed, self.trial, self.arm, split, example, pass_)

    def proposal(
        self, step: int, stage: str, example: str | None, variant: int, text: str = GENERATOR
    ) -> int:
        """Draw of an optimizer call; `text` is the name of the candidate's text that is being proposed."""
        return draw_of("proposal", self.study_seed, self.trial, self.arm, text, step, stage, example, variant)

    def stream(self, purpose: str, *more: str | int) -> random.Random:
        """A random stream for a decision of the trial, the same for every arm of a block."""
        return stream(self.study_seed, self.trial, self.arm, purpose, *more)
