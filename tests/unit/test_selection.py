"""Which variant becomes the current prompt, above all where answers are missing."""

from __future__ import annotations

import random

import pytest

from nullgrad.core.selection import KEEP, choose_best, choose_blindly, common_means

LOST = (None,) * 4


@pytest.mark.parametrize(
    ("variants", "current", "chosen"),
    [
        ({0: (1, 1, 0, 0), 1: (1, 1, 1, 0)}, (1, 0, 0, 0), 1),
        ({0: (1, 0, 0, 0), 1: (0, 1, 0, 0)}, (0, 0, 1, 0), KEEP),  # ties keep the current prompt
        ({0: (0, 0, 0, 0), 1: (0, 0, 0, 0)}, None, 0),  # best@n takes a variant, the lowest of equals
        ({}, (1, 1, 1, 1), KEEP),
        ({}, None, KEEP),
        ({0: (1, 1, 1, 1), 1: LOST}, (0, 0, 0, 0), 0),  # a lost rival takes no evidence away
        ({0: LOST, 1: (0, 0, 0, 0)}, None, 1),
        ({0: (1, 1, 1, 1)}, LOST, KEEP),  # nothing can be shown to be better than an unknown
        ({0: LOST}, (0, 0, 0, 0), KEEP),
        ({0: LOST}, None, KEEP),
        ({0: (1, 1, 1, None), 1: (1, 1, 0, 1)}, (1, 1, 0, 0), 0),  # compared where all were answered
        ({0: (None, 1, 1, 0), 1: (1, 1, None, None)}, (0, 1, 0, 0), 0),  # a half-known row is set aside
    ],
)
def test_the_best_is_chosen_among_those_that_can_be_compared(variants, current, chosen):
    assert choose_best(variants, current) == chosen


def test_means_are_over_common_examples_alone():
    assert common_means([(1.0, None, 0.0), (0.0, 1.0, 1.0)]) == [0.5, 0.5]
    assert common_means([(1.0, None), (None, 1.0)]) is None
    assert common_means([]) is None


def test_a_blind_choice_is_uniform_and_its_streams_own():
    stream = random.Random(1)
    drawn = [choose_blindly([2, 0, 1], stream) for _ in range(3000)]
    assert all(900 < drawn.count(number) < 1100 for number in (0, 1, 2))
    assert choose_blindly([], stream) == KEEP
