"""The verdict of a contrast, the numbers beside it, missing data, and wrong verdicts over simulated studies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.contrast import (
    OPPOSITE,
    Contrast,
    ContrastResult,
    Declared,
    contrast_family,
    decided,
)
from nullgrad.analysis.stats.differences import DifferenceInterval, difference_interval
from nullgrad.analysis.stats.effects import hedges_g
from nullgrad.analysis.stats.equivalence import equality_chance_paired
from nullgrad.analysis.stats.estimate import Design, NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.power import paired_power

STUDIES = 2_000


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict", "inside"),
    [
        (0.01, 0.20, 0.05, "supported", False),
        (0.01, 0.04, 0.05, "supported", True),
        (-0.20, -0.01, 0.05, "contradicted", False),
        (-0.04, -0.01, 0.05, "contradicted", True),
        (-0.04, 0.04, 0.05, "equal", True),
        (-0.04, 0.06, 0.05, "cannot tell", False),
        (-0.06, 0.04, 0.05, "cannot tell", False),
        (-0.04, 0.04, None, "cannot tell", False),
        (0.01, 0.04, None, "supported", False),
        (0.0, 0.04, 0.05, "equal", True),
        (0.0, 0.04, None, "cannot tell", False),
        (-0.05, 0.04, 0.05, "cannot tell", False),
    ],
)
def test_verdicts(low: float, high: float, margin: float | None, verdict: str, inside: bool) -> None:
    found = decided(lambda level: made(low, high, level), 0.025, margin)
    assert found[1:3] == (verdict, inside)
    assert found[3].endswith(".")


def made(low: float, high: float, level: float = 0.95) -> DifferenceInterval:
    return DifferenceInterval((low + high) / 2, Interval(low, high), level, "both", "paired t", "split")


def test_no_interval_cannot_tell() -> None:
    none = NotEstimable("no variance")
    assert decided(lambda level: none, 0.025, 0.1) == (
        none,
        "cannot tell",
        False,
        "No interval: no variance.",
    )


@pytest.mark.parametrize(
    ("high", "margin", "verdict"), [(-0.01, None, "cannot tell"), (-0.01, 0.05, "equal")]
)
def test_against_the_declared_direction_more_evidence_is_asked_for(
    high: float, margin: float | None, verdict: str
) -> None:
    """The interval at 1 − 2α lies below 0, the one at 1 − 0.2α does not."""
    asked: list[float] = []

    def make(level: float) -> DifferenceInterval:
        asked.append(level)
        return made(-0.04, high if len(asked) == 1 else 0.002, level)

    found = decided(make, 0.025, margin)
    assert found[1] == verdict
    assert found[0] == made(-0.04, high, 0.95)
    assert asked == [pytest.approx(0.95), pytest.approx(0.995)]


def rows(stream: np.random.Generator, chance: float, trials: int, examples: int = 40) -> np.ndarray:
    return (stream.random((trials, examples)) < chance).astype(float)


def test_every_number_is_its_own_estimators() -> None:
    stream = np.random.default_rng(1)
    data = [(rows(stream, 0.7, 8), rows(stream, 0.5, 8)), (rows(stream, 0.5, 8), rows(stream, 0.5, 8))]
    contrasts = [Contrast(name, *pair) for name, pair in zip("ab", data, strict=True)]
    found = contrast_family(contrasts, Declared("paired", margin=0.1, seed=3))
    assert [one.name for one in found] == ["a", "b"]
    for one, (first, second) in zip(found, data, strict=True):
        a, b = first.mean(axis=1), second.mean(axis=1)
        assert (one.n, one.dropped, one.design, one.target) == ((8, 8), (0, 0), "paired", "split")
        assert one.means == (pytest.approx(a.mean()), pytest.approx(b.mean()))
        assert one.difference == pytest.approx(a.mean() - b.mean())
        expected = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert one.level == pytest.approx(0.95)
        assert isinstance(one.interval, Interval)
        assert (one.interval.low, one.interval.high) == pytest.approx((expected.low, expected.high))
        # In whole numbers of right answers, where ties are ties (SciPy's floats lose some of them).
        whole = (first.sum(axis=1) - second.sum(axis=1)).astype(int)
        flipped = np.array(list(product((1, -1), repeat=8))) @ whole
        assert one.p == np.mean(flipped >= whole.sum())
        assert one.attainable == 1 / 256
        assert one.alpha == 0.025
        assert one.g == hedges_g(a, b, "paired")
        sd = float(np.std(a - b, ddof=1))
        assert one.power_at_margin == pytest.approx(paired_power(0.1, sd, 8, 0.025))
        assert one.equality_chance == pytest.approx(
            equality_chance_paired(0.1, sd, 8, 0.025, opposite=OPPOSITE)
        )
        assert isinstance(one.detectable, float)
        assert paired_power(one.detectable, sd, 8, 0.025) == pytest.approx(0.8, abs=1e-6)
        low = stats.ttest_rel(a + 0.1, b, alternative="greater").pvalue
        high = stats.ttest_rel(a - 0.1, b, alternative="less").pvalue
        assert one.p_equivalence == pytest.approx(max(low, high))
        for p, corrected in (
            (one.p, one.p_bonferroni),
            (one.p_equivalence, one.p_equivalence_bonferroni),
        ):
            assert isinstance(p, float)
            assert corrected == pytest.approx(min(1, 2 * p))
    assert found[0].verdict == "supported"
    assert isinstance(found[1].p, float)
    assert isinstance(found[0].p, float)
    assert found[0].p < found[1].p
    assert (found[0].p_holm, found[1].p_holm) == (found[0].p_bonferroni, pytest.approx(found[1].p))


def test_turned_arms_turn_the_verdict() -> None:
    stream = np.random.default_rng(2)
    better, worse = rows(stream, 0.8, 9), rows(stream, 0.4, 6)
    (one,) = contrast_family([Contrast("x", better, worse)], Declared("independent"))
    (other,) = contrast_family([Contrast("x", worse, better)], Declared("independent"))
    assert (one.verdict, other.verdict) == ("supported", "contradicted")
    assert (one.n, other.n) == ((9, 6), (6, 9))
    assert (one.p, one.p_opposite) == (other.p_opposite, other.p)
    assert one.method == "Welch t"
    assert isinstance(one.p_equivalence, NotEstimable)


def test_a_family_gets_stricter_with_its_size() -> None:
    stream = np.random.default_rng(3)
    contrasts = [Contrast(str(place), rows(stream, 0.56, 6), rows(stream, 0.5, 6)) for place in range(8)]
    (alone,) = contrast_family(contrasts[:1], Declared("paired"))
    together = contrast_family(contrasts, Declared("paired"))[0]
    assert (alone.p, alone.difference) == (together.p, together.difference)
    assert alone.alpha == 8 * together.alpha
    assert isinstance(alone.interval, Interval)
    assert isinstance(together.interval, Interval)
    assert together.interval.low < alone.interval.low
    with pytest.raises(ValueError, match="twice"):
        contrast_family([contrasts[0], contrasts[0]], Declared("paired"))
    assert contrast_family([], Declared("paired")) == ()


@pytest.mark.parametrize("design", ["paired", "independent"])
def test_an_incomplete_trial_drops_its_block(design: Design) -> None:
    stream = np.random.default_rng(4)
    first, second = rows(stream, 0.9, 8), rows(stream, 0.3, 8)
    holed = first.copy()
    holed[2, 7] = np.nan
    (found,) = contrast_family([Contrast("x", holed, second)], Declared(design))
    kept = np.delete(first, 2, axis=0), np.delete(second, 2, axis=0) if design == "paired" else second
    (expected,) = contrast_family([Contrast("x", *kept)], Declared(design))
    assert found.dropped == ((1, 1) if design == "paired" else (1, 0))
    assert (found.n, found.p, found.difference, found.interval) == (
        expected.n,
        expected.p,
        expected.difference,
        expected.interval,
    )
    assert found.verdict == "supported"


def test_a_verdict_that_hangs_on_what_is_missing_cannot_be_told() -> None:
    stream = np.random.default_rng(5)
    first, second = rows(stream, 0.75, 10), rows(stream, 0.5, 10)
    (whole,) = contrast_family([Contrast("x", first, second)], Declared("paired"))
    holed = first.copy()
    holed[8:, :] = np.nan
    (found,) = contrast_family([Contrast("x", holed, second)], Declared("paired"))
    assert whole.verdict == "supported"
    assert isinstance(found.interval, Interval)
    assert found.interval.low > 0
    assert found.verdict == "cannot tell"
    assert "missing" in found.reason


@pytest.mark.parametrize("chance", [0.1, 0.9])
def test_equality_that_hangs_on_what_is_missing_cannot_be_told(chance: float) -> None:
    """At a mean of 0.1 only scores for the first arm could undo it, at 0.9 only scores against it."""
    stream = np.random.default_rng(6)
    first = rows(stream, chance, 16, 200)
    second = rows(stream, chance, 16, 200)
    declared = Declared("paired", margin=0.05)
    (whole,) = contrast_family([Contrast("x", first, second)], declared)
    few, many = first.copy(), first.copy()
    few[3, :4] = np.nan
    many[0, :150] = np.nan
    (little,) = contrast_family([Contrast("x", few, second)], declared)
    (much,) = contrast_family([Contrast("x", many, second)], declared)
    assert (whole.verdict, little.verdict, much.verdict) == ("equal", "equal", "cannot tell")
    assert "missing" in much.reason


def test_too_little_is_not_estimable_and_stays_in_the_family() -> None:
    stream = np.random.default_rng(7)
    good = Contrast("good", rows(stream, 0.7, 6), rows(stream, 0.4, 6))
    nothing = np.full((6, 40), np.nan)
    for design in ("paired", "independent"):
        found = contrast_family(
            [good, Contrast("none", nothing, rows(stream, 0.5, 6))], Declared(design, margin=0.1)
        )  # type: ignore[arg-type]
        assert found[0].alpha == 0.025
        bad = found[1]
        assert bad.verdict == "cannot tell"
        for value in (
            bad.p,
            bad.p_holm,
            bad.p_bonferroni,
            bad.attainable,
            bad.interval,
            bad.difference,
            bad.g,
            bad.detectable,
            bad.p_equivalence,
        ):
            assert isinstance(value, NotEstimable)
        assert isinstance(found[0].p_holm, float)


def test_identical_arms_have_no_interval() -> None:
    same = rows(np.random.default_rng(8), 0.5, 6)
    (found,) = contrast_family([Contrast("x", same, same)], Declared("paired", margin=0.1))
    assert (found.difference, found.p, found.verdict) == (0.0, 1.0, "cannot tell")
    assert isinstance(found.interval, NotEstimable)
    assert "the same in every block" in found.reason


def test_a_verdict_whose_permutation_p_cannot_follow_says_so() -> None:
    """Five blocks in a family of four: 1/32 is above 0.0125, whatever the interval."""
    stream = np.random.default_rng(9)
    contrasts = [Contrast(str(place), rows(stream, 0.9, 5), rows(stream, 0.2, 5)) for place in range(4)]
    found = contrast_family(contrasts, Declared("paired"))[0]
    assert found.verdict == "supported"
    assert isinstance(found.attainable, float)
    assert found.attainable > found.alpha
    assert "permutation" in found.reason


def test_the_population_is_another_target() -> None:
    stream = np.random.default_rng(10)
    gain = stream.uniform(-0.3, 0.5, 25)
    first = (stream.random((20, 25)) < 0.5 + gain).astype(float)
    second = rows(stream, 0.5, 20, 25)
    (split,) = contrast_family([Contrast("x", first, second)], Declared("paired"))
    (population,) = contrast_family([Contrast("x", first, second)], Declared("paired", target="population"))
    assert (split.method, population.method) == ("paired t", "crossed bootstrap")
    assert population.target == "population"
    assert isinstance(split.interval, Interval)
    assert isinstance(population.interval, Interval)
    assert population.interval.high - population.interval.low > split.interval.high - split.interval.low


def test_results_are_frozen_and_repeat() -> None:
    stream = np.random.default_rng(11)
    contrasts = [Contrast("x", rows(stream, 0.6, 25), rows(stream, 0.5, 22))]
    declared = Declared("independent", margin=0.05, seed=4, resamples=999)
    found = contrast_family(contrasts, declared)
    assert found == contrast_family(contrasts, declared)
    with pytest.raises(FrozenInstanceError):
        found[0].verdict = "equal"  # type: ignore[misc]
    assert isinstance(found[0], ContrastResult)


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="equal numbers"):
        contrast_family([Contrast("x", [[0.1]] * 5, [[0.1]] * 4)], Declared("paired"))
    with pytest.raises(ValueError, match="alpha"):
        Declared("paired", alpha=5)
    with pytest.raises(ValueError, match="margin"):
        Declared("paired", margin=0)


@pytest.mark.parametrize(("n", "margin"), [(5, 0.12), (10, 0.06), (20, 0.04)])
def test_wrong_verdicts_stay_at_their_level_and_right_ones_reach_their_power(n: int, margin: float) -> None:
    """2,000 studies in a family of two for each of four truths."""
    alpha, sd = 0.025, 0.05
    limit = stats.binom.ppf(0.975, STUDIES, alpha)
    noise = np.random.default_rng([12, n]).normal(0, sd, (STUDIES, n))
    base = np.full(n, 0.5)

    def counts(truth: float) -> dict[str, int]:
        found = {"supported": 0, "contradicted": 0, "equal": 0, "cannot tell": 0}
        for row in noise:
            values = base + truth + row

            def make(level: float, values: np.ndarray = values) -> DifferenceInterval | NotEstimable:
                return difference_interval(values, base, "paired", level=level)

            found[decided(make, alpha, margin)[1]] += 1
        return found

    null = counts(0.0)
    assert null["supported"] <= limit
    assert null["contradicted"] <= stats.binom.ppf(0.975, STUDIES, OPPOSITE * alpha)
    # Both kinds together: what a reader of verdicts is promised.
    assert null["supported"] + null["contradicted"] <= stats.binom.ppf(0.975, STUDIES, (1 + OPPOSITE) * alpha)
    planned = equality_chance_paired(margin, sd, n, alpha, opposite=OPPOSITE)
    assert isinstance(planned, float)
    low, high = stats.binom.ppf([0.025, 0.975], STUDIES, planned)
    assert low <= null["equal"] <= high
    for truth in (-margin, margin):
        assert counts(truth)["equal"] <= limit
    power = paired_power(2 * margin, sd, n, alpha)
    assert isinstance(power, float)
    assert counts(2 * margin)["supported"] >= stats.binom.ppf(0.025, STUDIES, power)


def test_importing_the_estimators_imports_no_scipy() -> None:
    names = "permutation families effects differences equivalence power trend contrast sequential"
    modules = [*(f"stats.{name}" for name in names.split()), "study.diversity", "selection_bias"]
    code = "import sys\n" + "".join(f"import nullgrad.analysis.{name}\n" for name in modules)
    code += "print(sorted(m for m in ('scipy', 'statsmodels') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
