"""The gain of one prompt over another, and what is recommended: by hand and by exact enumeration."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb

import pytest

from nullgrad.analysis.gain import Gain, paired_gain, prompt_score
from nullgrad.analysis.recommendation import recommend
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.core.chat import Failed
from nullgrad.core.facts import Tally
from nullgrad.core.task import Scored, UnparsedAnswer


def test_gain_pairs_and_leaves_out_what_is_missing() -> None:
    gain = paired_gain([1.0, 0.0, None, 0.0, 1.0], [1.0, 1.0, 1.0, None, 0.0])
    assert gain is not None
    assert (gain.pairs, gain.missing, gain.gained, gain.lost, gain.mean) == (3, 2, 1, 1, 0.0)
    assert gain.worst.low + gain.worst.high == pytest.approx(0.0)
    assert gain.best_case.low > gain.worst.low
    assert paired_gain([None], [1.0]) is None


def test_graded_scores_have_no_mcnemar() -> None:
    gain = paired_gain([0.2, 0.5, 0.9], [0.4, 0.5, 1.0])
    assert gain is not None
    assert gain.p is None and gain.worst_p is None
    assert gain.mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ([0.0] * 30 + [1.0] * 10, [1.0] * 40, "switch"),
        ([1.0] * 40, [0.0] * 30 + [1.0] * 10, "keep"),
        ([1.0, 0.0] * 20, [0.0, 1.0] * 20, "keep"),
        ([0.0] * 3 + [1.0] * 37, [1.0] * 40, "cannot tell"),
        ([0.0] * 12 + [1.0] * 28, [1.0] * 30 + [None] * 10, "cannot tell"),
        ([0.1, 0.2, 0.3, 0.4] * 10, [0.6, 0.7, 0.8, 0.8] * 10, "switch"),
    ],
)
def test_recommendation(before: list[float | None], after: list[float | None], word: str) -> None:
    assert recommend(paired_gain(before, after))[0] == word


def rows(gained: int, lost: int, n: int) -> tuple[list[float | None], list[float | None]]:
    rest: list[float | None] = [1.0] * (n - gained - lost)
    return [*[0.0] * gained, *[1.0] * lost, *rest], [*[1.0] * gained, *[0.0] * lost, *rest]


def test_an_interval_above_zero_is_not_enough_where_mcnemar_does_not_agree() -> None:
    gain = paired_gain(*rows(25, 13, 50))
    assert gain is not None and gain.p is not None
    assert gain.interval.low > 0
    assert gain.p == pytest.approx(0.073, abs=5e-4)
    word, reason = recommend(gain)
    assert word == "cannot tell"
    assert "interval" in reason and "McNemar" in reason and "0.073" in reason


def test_mcnemar_is_not_enough_where_the_interval_includes_zero() -> None:
    wide = Interval(-0.1, 0.3)
    word, reason = recommend(Gain(0.1, wide, 0.04, 60, 0, 12, 4, wide, wide, 0.04))
    assert word == "cannot tell"
    assert "interval" in reason and "McNemar" in reason and "0.04" in reason


@pytest.mark.parametrize("n", [6, 10, 25, 50, 120])
def test_the_size_of_a_switch_by_enumeration(n: int) -> None:
    """Of two equal prompts, the new one is recommended in at most 2.5 % of all cases, whatever the discordance."""
    switches = [
        (gained, lost)
        for gained, lost in product(range(n + 1), repeat=2)
        if lost < gained <= n - lost and recommend(paired_gain(*rows(gained, lost, n)))[0] == "switch"
    ]
    for discordance in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0):
        size = sum(
            comb(n, gained)
            * comb(n - gained, lost)
            * (discordance / 2) ** (gained + lost)
            * (1 - discordance) ** (n - gained - lost)
            for gained, lost in switches
        )
        assert size <= 0.025, discordance
    up, down = 0.3, 0.05
    power = sum(
        comb(n, gained)
        * comb(n - gained, lost)
        * up**gained
        * down**lost
        * (1 - up - down) ** (n - gained - lost)
        for gained, lost in switches
    )
    assert power > 0.95 or n < 120, "the rule still finds what is there"


def holes(scores: Sequence[float | None], places: Sequence[int]) -> list[float | None]:
    return [None if place in places else score for place, score in enumerate(scores)]


def test_keep_needs_the_missing_answers_to_leave_it_so() -> None:
    """Half the answers of the new prompt are missing: had they all been right, it would be the better one."""
    before: list[float | None] = [1.0] * 30 + [0.0] * 90
    word, reason = recommend(paired_gain(before, holes(before, range(60, 120))))
    assert word == "cannot tell"
    assert "60" in reason and "missing" in reason
    assert recommend(paired_gain(before, holes(before, range(119, 120))))[0] == "keep"
    right: list[float | None] = [1.0] * 120
    assert recommend(paired_gain(right, holes(right, range(60, 120))))[0] == "keep", "nothing to gain"


def test_a_switch_needs_mcnemar_in_the_worst_case_too() -> None:
    before, after = rows(23, 10, 50)
    assert recommend(paired_gain(before, after))[0] == "switch"
    gain = paired_gain([*before, 1.0], [*after, None])
    assert gain is not None
    assert gain.worst.low > 0 and gain.worst_p is not None and gain.worst_p > 0.05
    assert recommend(gain)[0] == "cannot tell"


def test_no_pair_is_no_gain() -> None:
    assert recommend(None)[0] == "cannot tell"


def test_a_score_of_nothing_is_unknown_and_not_zero() -> None:
    outcomes = [UnparsedAnswer("empty", ""), UnparsedAnswer("empty", ""), Failed("server", "x")]
    score = prompt_score(outcomes, "exclude")
    assert (score.score, score.interval, score.outcomes) == (None, None, Tally(0, 2, 1))
    wrong = prompt_score([*outcomes, Scored(1.0, "a")], "wrong")
    assert wrong.score == pytest.approx(1 / 3)
    assert wrong.interval is not None
