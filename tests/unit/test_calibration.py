"""The instrument's own test: exact intervals, truths, wrong verdicts, and the battery against the full analysis."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.calibration.battery import ARMS, VERDICTS, battery, decide_all, lines_of
from nullgrad.analysis.calibration.confusion import confusion
from nullgrad.analysis.calibration.rates import (
    Rate,
    TrueDifference,
    confidence,
    exceeded,
    silent,
    true_difference,
    world_rates,
)
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.intervals import clopper_pearson
from nullgrad.analysis.stats.power import paired_power, welch_power
from nullgrad.core.study import ContrastSpec, Study
from tests.support.study_facts import EXAMPLES, a_contrast, a_study, a_trial, analysed, keyed

TRUTH = TrueDifference(0.08, 0.001, 0.06, (0.05, 0.05))
NOTHING = TrueDifference(0.0005, 0.001, 0.06, (0.05, 0.05))


@pytest.mark.parametrize(("count", "n"), [(0, 10), (3, 10), (10, 10), (15, 300)])
def test_the_exact_interval_is_where_the_tails_are_a_fortieth(count: int, n: int) -> None:
    found = clopper_pearson(count, n)

    def at_least(p: float) -> float:
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(count, n + 1))

    def at_most(p: float) -> float:
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(count + 1))

    assert found.low == 0.0 if count == 0 else at_least(found.low) == pytest.approx(0.025)
    assert found.high == 1.0 if count == n else at_most(found.high) == pytest.approx(0.025)


def test_clopper_and_pearson_published() -> None:
    """Newcombe (1998), table 1, method 5: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for count, n, low, high in [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ]:
        found = clopper_pearson(count, n)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_what_is_wrong_depends_on_the_truth() -> None:
    table = {
        (TRUTH, "supported"): False, (TRUTH, "contradicted"): True, (TRUTH, "equal"): True,
        (NOTHING, "supported"): True, (NOTHING, "contradicted"): True, (NOTHING, "equal"): False,
        (TrueDifference(-0.03, 0.001, 0.1, (0.1, 0.1)), "supported"): True,
        (TrueDifference(-0.03, 0.001, 0.1, (0.1, 0.1)), "contradicted"): False,
        (TrueDifference(-0.03, 0.001, 0.1, (0.1, 0.1)), "equal"): False,
    }  # fmt: skip
    for (truth, verdict), expected in table.items():
        assert truth.wrong(verdict, 0.05) is expected  # type: ignore[arg-type]
    assert not any(truth.wrong("cannot tell", 0.05) for truth in (TRUTH, NOTHING))


def test_the_plan_is_power_at_the_margin_and_beyond_and_equality_at_nothing() -> None:
    assert TRUTH.planned("paired", 10, 0.025, 0.05) == paired_power(0.08, 0.06, 10, 0.025)
    chance = NOTHING.planned("paired", 10, 0.025, 0.05)
    stream = np.random.default_rng(1)
    draws = stream.normal(0, 0.06, (20_000, 10))
    half = 2.2622 * draws.std(axis=1, ddof=1) / np.sqrt(10)
    inside = np.abs(draws.mean(axis=1)) + half < 0.05
    assert chance == pytest.approx(inside.mean(), abs=0.01)
    assert isinstance(
        TrueDifference(0.0, 0.0, 0.0, (0.0, 0.0)).planned("paired", 10, 0.05, 0.05), NotEstimable
    )
    assert TRUTH.planned("independent", 10, 0.025, 0.05) == welch_power(0.08, (0.05, 0.05), (10, 10), 0.025)


def test_the_true_difference_comes_from_exact_accuracies() -> None:
    rows = [0.7, 0.8, 0.9], [0.6, 0.6, 0.6], [0.5, 0.8, 1.0], [0.5, 0.6, 0.6]
    found = true_difference(*map(np.array, rows))
    assert (found.mean, found.sd) == (pytest.approx(0.2), pytest.approx(0.2))
    assert found.sds == (pytest.approx(np.sqrt(0.19 / 3)), pytest.approx(np.sqrt(0.01 / 3)))
    assert found.error == pytest.approx(0.1 / np.sqrt(3))
    assert found.sign == 1
    assert TrueDifference(0.0029, 0.001, 0.1, (0.1, 0.1)).sign == 0


@pytest.mark.parametrize("design", ["paired", "independent"])
@pytest.mark.parametrize("trials", [5, 20])
def test_the_battery_decides_as_the_full_analysis_does(trials: int, design: str) -> None:
    """Every verdict and every prediction, from scores alone and from facts through `analyse_study`."""
    specs = [
        a_contrast("gradient/correct/naive", "gradient/wrong/naive", "labels", margin=0.06),
        a_contrast("gradient/correct/naive", "gradient/shuffled/naive", "labels", margin=0.06),
        a_contrast("rewrite", "seed", "prompt", margin=0.06),
    ]
    names = (
        "gradient/correct/naive",
        "gradient/wrong/naive",
        "gradient/shuffled/naive",
        "rewrite/none/naive",
    )
    seen = set()
    for seed in range(3 if trials == 20 else 8):
        study = a_study(dict.fromkeys(names, trials), specs, seed=seed, design=design)
        stream = np.random.default_rng([seed, trials])
        counts = {
            arm: np.clip(stream.normal(mean, sd, trials).round(), 0, EXAMPLES)
            for arm, mean, sd in zip(
                (*names, "seed"), (26, 25 - seed % 3 * 3, 26, 26, 26), (1.5, 1.5, 1.5, 9, 1.5), strict=True
            )
        }
        facts = keyed(
            a_trial(arm, number, [1.0] * int(count) + [0.0] * (EXAMPLES - int(count)))
            for arm, values in counts.items()
            for number, count in enumerate(values)
        )
        result = analysed(study, facts)
        codes = decide_all(study, {arm: values / EXAMPLES for arm, values in counts.items()})
        verdicts = [VERDICTS[code] for code in codes]
        assert verdicts == [one.verdict for one in result.contrasts]
        assert [(line.prediction, line.word) for line in lines_of(study, verdicts)] == [
            (line.prediction, line.word) for line in result.verdicts
        ]
        seen.update(verdicts)
    assert len(seen) >= 3


def small() -> Study:
    specs = (a_contrast("rewrite", "seed", "a", margin=0.05), a_contrast("improve", "seed", "b", margin=0.05))
    return a_study({"rewrite": 5, "improve": 5}, specs)


def test_counting_of_wrong_verdicts_by_hand() -> None:
    """Truth: the first contrast is 0, the second +8 points."""
    study = small()
    supported, contradicted, equal, open_ = range(4)
    codes = np.array(
        [[supported, supported], [contradicted, equal], [equal, open_], [open_, contradicted]], dtype=np.int8
    )
    truths = {study.contrasts[0].name: NOTHING, study.contrasts[1].name: TRUTH}
    found = world_rates("w", study, 5, codes, truths)
    assert [one.wrong for one in found.contrasts] == [Rate(2, 4), Rate(2, 4)]
    assert [one.right for one in found.contrasts] == [Rate(1, 4), Rate(1, 4)]
    first, second = found.families
    assert (first.wrong, first.by_verdict["supported"]) == (Rate(2, 4), Rate(1, 4))
    assert second.by_verdict == {"supported": Rate(0, 4), "contradicted": Rate(1, 4), "equal": Rate(1, 4)}
    (line,) = found.predictions
    # A gain over the seed prompt makes it fail; a loss or equality makes it hold.
    assert line.prediction == "no gain without examples"
    assert line.words == {"holds": 3, "fails": 1, "cannot tell": 0}
    assert line.truth == ("holds", "fails")
    assert line.wrong == Rate(3, 4)


def test_what_is_called_out() -> None:
    study = small()
    sure = np.zeros((200, 2), dtype=np.int8)
    silence = np.full((200, 2), 3, dtype=np.int8)
    truths = {spec.name: NOTHING for spec in study.contrasts}
    found = world_rates("w", study, 5, sure, truths)
    assert len(exceeded(found.families)) == 2
    assert "'supported' is wrong in 100.0 % of 200 studies, declared 5 %" in exceeded(found.families)[0].text
    truths = {spec.name: TRUTH for spec in study.contrasts}
    found = world_rates("w", study, 5, silence, truths)
    assert exceeded(found.families) == ()
    assert "rightly decided in 0.0 % of 200 studies, planned" in silent(found.contrasts)[0].text
    assert silent(world_rates("w", study, 5, sure, truths).contrasts) == ()
    assert confidence(10) == pytest.approx(0.995)


def test_the_battery_declares_each_prediction_once() -> None:
    specs = battery()
    assert all(isinstance(spec, ContrastSpec) and spec.margin == 0.05 for spec in specs)
    study = a_study(dict.fromkeys(ARMS, 5), specs)
    lines = lines_of(study, ["supported"] * len(specs))
    assert {line.prediction for line in lines} == {
        "chain rule", "dependence on labels", "dependence on an evaluation", "need for examples",
        "no gain without examples", "validation as a guard", "validation by drawing",
    }  # fmt: skip


def test_verdicts_are_counted_by_what_is_so_with_an_interval_over_studies() -> None:
    stream = np.random.default_rng(3)
    codes = stream.integers(0, 4, (50, 3)).astype(np.int8)
    wrong = (codes == 0) & (np.array([1, 0, 0]) == 0) | (codes == 1)
    planned = [0.8, 0.5, NotEstimable("no variance")]
    found = {one.truth: one for one in confusion("w", "paired", 5, [1, 0, 0], planned, codes, wrong)}
    assert list(found) == ["better", "no difference", "all"]
    assert (found["better"].contrasts, found["better"].planned) == (1, 0.8)
    every = found["all"]
    assert (every.contrasts, every.studies, every.planned) == (3, 50, None)
    assert sum(every.verdicts.values()) == 150
    assert every.verdicts["equal"] == (codes == 2).sum()
    assert every.share("cannot tell") == pytest.approx((codes == 3).mean())
    shares = wrong.mean(axis=1)
    half = stats.norm.ppf(0.975) * shares.std(ddof=1) / np.sqrt(50)
    assert every.wrong == pytest.approx(wrong.mean())
    assert (every.interval.low, every.interval.high) == pytest.approx(
        (shares.mean() - half, shares.mean() + half)
    )
    assert every.right == pytest.approx(((codes != 3) & ~wrong).mean())
    none = confusion("w", "paired", 5, [0, 0, 0], [0.5] * 3, codes * 0 + 3, wrong & False)[-1]
    assert (none.wrong, none.interval.low) == (0.0, 0.0)
    # As if each study had one verdict: of 50 without an error the exact interval ends at 1 − 0.025^(1/50).
    assert none.interval.high == pytest.approx(1 - 0.025 ** (1 / 50))
