"""The signal-detection model: label scores of a message, answers, and the exact chance of each answer.

For a message of class c and topic t, the score of label k is

    evidence[c, k, t] + bias[k] + noise_k,    answer = argmax,

with normal noise scaled so that the difference of two labels has variance 1. The noise of one message under one prompt is
√ρ·u + √((1−ρ)(1−r))·f + √((1−ρ)r)·w: u belongs to the message (its difficulty), f to prompt and message, w to prompt,
message and draw. Its variance does not depend on ρ and r: a Gaussian copula over prompts with the same marginals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nullgrad.edges.sim.mix import Floats, Keys, mix, mix_many, normal, normal_many

SHARPNESS = 2.0
"""Log-odds of two labels per unit of score: log-probabilities are the log-softmax of the noisy scores times this. A bias
per label added to them thus moves the threshold, and does nothing else."""

DIFFICULTY, FIXED, DRAWN = 1, 2, 3
"""Purposes of the three kinds of noise."""

_HALF = math.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a prompt does.

    Attributes:
        evidence: by class and topic, for the right label.
        bias: by label.
        singles: by reference of a message, the label and what its rule adds to that label's score.
    """

    evidence: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    singles: tuple[tuple[int, int, float], ...] = ()

    def scores(self, label: int, topic: int, number: int) -> list[float]:
        """Scores without noise."""
        found = list(self.bias)
        found[label] += self.evidence[label][topic]
        for named, favoured, more in self.singles:
            if named == number:
                found[favoured] += more
        return found


@dataclass(frozen=True)
class Noise:
    """How much of the noise is whose.

    Attributes:
        rho: share of the message, 0 to 1.
        redraw: of the rest, the share that is drawn anew, 0 to 1.
        size: number of classes, 2 or 3.
        key: of the world's seed.
    """

    rho: float
    redraw: float
    size: int
    key: int

    @cached_property
    def weights(self) -> tuple[float, float, float]:
        """Of message, prompt and draw; their squares sum to 1."""
        rest = 1.0 - self.rho
        return math.sqrt(self.rho), math.sqrt(rest * (1.0 - self.redraw)), math.sqrt(rest * self.redraw)

    @property
    def dimensions(self) -> int:
        """Independent normal numbers a message."""
        return 1 if self.size == 2 else self.size

    def of_message(self, message: int) -> list[float]:
        """Weighted difficulty of a message, by dimension."""
        weight = self.weights[0]
        if weight == 0.0:
            return [0.0] * self.dimensions
        state = mix(mix(self.key, DIFFICULTY), message)
        return [weight * normal(mix(state, place)) for place in range(self.dimensions)]

    def of_call(self, prompt: int, message: int, draw: int) -> list[float]:
        """All of the noise of one call, by dimension."""
        found = self.of_message(message)
        _, fixed, drawn = self.weights
        for purpose, weight in ((FIXED, fixed), (DRAWN, drawn)):
            if weight == 0.0:
                continue
            state = mix(mix(mix(self.key, purpose), prompt), message)
            if purpose == DRAWN:
                state = mix(state, draw)
            for place in range(self.dimensions):
                found[place] = found[place] + weight * normal(mix(state, place))
        return found

    def of_messages(self, messages: Keys) -> Floats:
        """`of_message` for many: (n, dimensions)."""
        weight = self.weights[0]
        found = np.zeros((len(messages), self.dimensions))
        if weight != 0.0:
            state = mix_many(np.uint64(mix(self.key, DIFFICULTY)), messages)
            for place in range(self.dimensions):
                found[:, place] = weight * normal_many(mix_many(state, np.uint64(place)))
        return found

    def given(self, prompt: int, messages: Keys, shared: Floats) -> Floats:
        """What is fixed for all draws: difficulty (`shared`, from `of_messages`) and the prompt's own part."""
        fixed = self.weights[1]
        if fixed == 0.0:
            return shared
        return self._add(shared, FIXED, fixed, prompt, messages, None)

    def of_calls(self, prompt: int, messages: Keys, shared: Floats, draws: Keys | None) -> Floats:
        """`of_call` for many: (n, dimensions); `draws` are not looked at where nothing is drawn anew."""
        found = self.given(prompt, messages, shared)
        drawn = self.weights[2]
        return found if drawn == 0.0 else self._add(found, DRAWN, drawn, prompt, messages, draws)

    def _add(
        self, found: Floats, purpose: int, weight: float, prompt: int, messages: Keys, draws: Keys | None
    ) -> Floats:
        state = mix_many(np.uint64(mix(mix(self.key, purpose), prompt)), messages)
        if draws is not None:
            state = mix_many(state, draws)
        if self.dimensions == 1:
            return found + weight * normal_many(mix_many(state, np.uint64(0)))[:, None]
        result = np.empty_like(found)
        for place in range(self.dimensions):
            result[:, place] = found[:, place] + weight * normal_many(mix_many(state, np.uint64(place)))
        return result

    def spread(self, noise: list[float]) -> list[float]:
        """Noise by label, from noise by dimension: two labels differ by variance 1."""
        if self.size == 2:
            return [-0.5 * noise[0], 0.5 * noise[0]]
        return [_HALF * one for one in noise]

    def spread_many(self, noise: Floats) -> Floats:
        """`spread` for many: (n, classes)."""
        if self.size == 2:
            half = 0.5 * noise[:, 0]
            return np.stack([-half, half], axis=1)
        return _HALF * noise


def log_softmax(scores: Floats) -> Floats:
    """Log-probabilities of labels from noisy scores (n, classes)."""
    scaled = SHARPNESS * scores
    top = scaled.max(axis=1, keepdims=True)
    result: Floats = scaled - top - np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
    return result


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    """Nodes and weights of the expectation over a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return nodes, weights / weights.sum()


def chances(scores: Floats, scale: float) -> Floats:
    """Exact chance of each answer from scores without the noise that is left, whose share of the standard deviation is `scale`.

    Two classes: Φ of the difference. Three: the integral over the winner's noise of the product of the others' Φ,
    by Gauss–Hermite quadrature with 80 nodes (error below 1e-9). Without noise, the argmax.

    Args:
        scores: (n, classes).
        scale: 0 to 1.
    """
    size = scores.shape[1]
    if scale == 0.0:
        sure: Floats = np.eye(size)[scores.argmax(axis=1)]
        return sure
    if size == 2:
        first = ndtr((scores[:, 0] - scores[:, 1]) / scale)
        return np.stack([first, 1.0 - first], axis=1)
    nodes, weights = _nodes()
    found = np.empty_like(scores)
    unit = scale * _HALF
    for label in range(size):
        others = [one for one in range(size) if one != label]
        product: Any = np.ones((len(scores), len(nodes)))
        for other in others:
            product = product * ndtr(nodes[None, :] + ((scores[:, label] - scores[:, other]) / unit)[:, None])
        found[:, label] = product @ weights
    total: Floats = found / found.sum(axis=1, keepdims=True)
    return total


Ints = NDArray[np.int64]
