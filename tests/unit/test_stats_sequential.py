"""Alpha spending against published boundaries; the rate of false stops over simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.differences import DifferenceInterval
from nullgrad.analysis.stats.permutation import paired_permutations
from nullgrad.analysis.stats.sequential import at_look, declared_looks, spending


def test_boundaries_against_ldbounds() -> None:
    """Lan–DeMets, O'Brien–Fleming type, two-sided 0.05 at five equal looks (Reboussin, DeMets, Kim and Lan 2000)."""
    looks = declared_looks([1, 2, 3, 4, 5], 0.025)
    assert [round(look.boundary, 4) for look in looks[:1]] == [4.8769]
    assert [look.boundary for look in looks] == pytest.approx(
        [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4
    )
    spent = [2 * look.spent for look in looks]
    assert spent == pytest.approx([0.00000108, 0.00078830, 0.00761613, 0.02442358, 0.05], abs=5e-8)


def test_boundaries_against_seqbounds() -> None:
    """SeqBounds.jl, one-sided 0.05 at four equal looks: z, and the alpha spent by each."""
    looks = declared_looks([1, 2, 3, 4], 0.05)
    assert [look.boundary for look in looks] == pytest.approx([3.74955, 2.53993, 2.01604, 1.72014], abs=5e-5)
    assert [look.spent for look in looks] == pytest.approx([8.85754e-5, 0.0055746, 0.0236251, 0.05], abs=5e-8)
    assert [look.nominal for look in looks] == pytest.approx(
        [8.85754e-5, 0.00554366, 0.0218979, 0.0427037], abs=5e-6
    )


def test_boundaries_against_a_multivariate_normal() -> None:
    """Unequal looks: the chance of having crossed by each look is the alpha spent by it."""
    looks = declared_looks([9, 14, 20], 0.05)
    t = np.array([look.information for look in looks])
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    for count in (1, 2, 3):
        inside = stats.multivariate_normal(cov=correlation[:count, :count], seed=1).cdf(
            [look.boundary for look in looks[:count]]
        )
        assert 1 - inside == pytest.approx(looks[count - 1].spent, abs=2e-5)


def test_alpha_is_split_over_the_family_before_it_is_spent() -> None:
    assert [look.nominal for look in declared_looks([10, 20], 0.05, family=4)] == pytest.approx(
        [look.nominal for look in declared_looks([10, 20], 0.0125)]
    )
    assert declared_looks([10, 20], 0.05, family=4)[-1].spent == pytest.approx(0.0125)
    assert spending(1.0, 0.05) == pytest.approx(0.05)


def test_one_look_is_the_plain_test() -> None:
    (look,) = declared_looks([12], 0.05)
    assert (look.nominal, look.information) == (pytest.approx(0.05), 1.0)


def test_looks_that_cannot_reject_are_told() -> None:
    """At a third of 30 blocks O'Brien and Fleming leave 0.0007, and ten blocks cannot have less than 1/1024."""
    assert [look.reachable for look in declared_looks([10, 20, 30], 0.05)] == [False, True, True]
    assert declared_looks([10, 20, 30], 0.05)[0].attainable == 1 / 1024
    assert [look.reachable for look in declared_looks([12, 30], 0.05, family=8)] == [False, True]


def test_mistakes_are_refused() -> None:
    for blocks in ([], [0, 5], [5, 5], [10, 5]):
        with pytest.raises(ValueError, match="rise"):
            declared_looks(blocks, 0.05)
    with pytest.raises(ValueError, match="family"):
        declared_looks([5], 0.05, family=0)
    with pytest.raises(ValueError, match="information"):
        spending(0.0, 0.05)
    with pytest.raises(ValueError, match="no look"):
        at_look([0.1, 0.2], [0.1, 0.1], declared_looks([5, 9], 0.05), margin=None, seed=0)


def test_decisions() -> None:
    looks = declared_looks([12, 18], 0.05)
    control = np.random.default_rng(1).normal(0.5, 0.05, 18)
    noise = np.random.default_rng(2).normal(0, 0.02, 18)
    found = at_look(control[:12] + 0.1 + noise[:12], control[:12], looks, margin=0.05, seed=0)
    assert (found.stop, found.biased) == ("efficacy", True)
    found = at_look(control[:12] + noise[:12] - 0.05, control[:12], looks, margin=0.05, seed=0)
    assert (found.stop, found.biased) == ("futility", True)
    assert isinstance(found.interval, DifferenceInterval)
    assert found.interval.interval.high < 0.05
    assert found.interval.level == pytest.approx(1 - 2 * looks[0].nominal)
    found = at_look(control[:12] + noise[:12] - 0.05, control[:12], looks, margin=None, seed=0)
    assert (found.stop, found.biased) == (None, False)
    found = at_look(control[:12] + noise[:12], control[:12], looks, margin=0.001, seed=0)
    assert isinstance(found.interval, DifferenceInterval)
    assert found.interval.interval.low < 0.001 < found.interval.interval.high
    assert (found.stop, found.biased) == (None, False)
    found = at_look(control + noise, control, looks, margin=None, seed=0)
    assert (found.stop, found.biased) == ("end", False)
    found = at_look(control[:12] + 0.3, control[:12], looks, margin=0.05, seed=0)
    assert found.stop == "efficacy"


def test_type_one_rate_over_all_looks() -> None:
    """2,000 null studies that may stop at 12, 18 or 24 blocks; each look alone at 0.05 would reject far more often."""
    stream = np.random.default_rng(3)
    looks = declared_looks([12, 18, 24], 0.05)
    scores = stream.normal(0.6, 0.05, (2_000, 2, 24))
    p = np.array(
        [
            [
                result.greater
                for result in paired_permutations(
                    [(one[: look.blocks], two[: look.blocks]) for one, two in scores],
                    seed=4,
                    resamples=4_999,
                    enumerate_up_to=4_096,
                )
            ]
            for look in looks
        ]
    )
    levels = np.array([look.nominal for look in looks])[:, None]
    limit = stats.binom.ppf(0.975, 2_000, 0.05) / 2_000
    assert (p <= levels).any(axis=0).mean() <= limit
    assert (p <= 0.05).any(axis=0).mean() > limit
