"""Parts of the audit: information against enumeration, relabellings and biases against exhaustive search, intervals, mistakes."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product
from math import log2
from typing import Any

import numpy as np
import pytest

from nullgrad import Predictions, audit_predictions
from nullgrad.analysis.audit.biasfit import LEAD, cross_shifted, fit_biases, shifted_answers
from nullgrad.analysis.audit.confusion import class_audits
from nullgrad.analysis.audit.information import (
    _tables_of_margins,
    _tables_of_shuffles,
    expected_information,
    information,
)
from nullgrad.analysis.audit.relabelling import (
    FOLDS,
    cross_relabelled,
    fit_relabelling,
    folds,
    relabel,
    right,
)
from nullgrad.analysis.stats.intervals import mcnemar_exact, paired_proportions
from nullgrad.analysis.stats.resampling import class_cells, mean_intervals, recall_draws, share_intervals
from nullgrad.errors import UserError

RUNS = 150


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mutual(one: Any, two: Any) -> float:
    """Σ p(x, y) log₂ p(x, y) / p(x) p(y), from its definition."""
    n, x, y = len(one), Counter(one), Counter(two)
    return sum(
        count / n * log2(n * count / (x[a] * y[b]))
        for (a, b), count in Counter(zip(one, two, strict=True)).items()
    )


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1)),
        ((0, 0, 0, 1, 1, 2), (0, 1, 0, 1, 2, 2)),
        ((0, 1, 0, 1, 2, 2, 2), (0, 0, 0, 0, 1, 1, 1)),
        ((0, 1, 2, 0, 1, 2, 0), (3, 3, 3, 3, 3, 3, 3)),
    ],
)
def test_information_of_tiny_tables_by_enumeration(truth: tuple[int, ...], answers: tuple[int, ...]) -> None:
    """Every permutation of the answers: its mean exactly, the share of those as informative as p."""
    found = information(np.array(truth), np.array(answers), permutations=4000, stream=stream())
    every = [mutual(truth, mixed) for mixed in permutations(answers)]
    assert found.plugin == pytest.approx(mutual(truth, answers), abs=1e-9)
    assert found.chance == pytest.approx(sum(every) / len(every), abs=1e-9)
    assert found.corrected == pytest.approx(found.plugin - found.chance, abs=1e-12)
    exact = sum(value >= found.plugin - 1e-9 for value in every) / len(every)
    assert found.p == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 4000) ** 0.5 + 1 / 4001)
    assert found.entropy == pytest.approx(mutual(truth, truth), abs=1e-9)


@pytest.mark.parametrize(("labels", "n", "bias", "within"), [(3, 120, 0.02, 0.005), (77, 3000, 1.4, 0.05)])
def test_the_plug_in_is_biased_as_the_design_says_and_the_correction_takes_it_away(
    labels: int, n: int, bias: float, within: float
) -> None:
    """Truth and answers independent: the plug-in's mean, its exact expectation, and what is left."""
    draws, plugins, left, ps = stream(1), [], [], []
    for _ in range(200 if labels == 3 else 6):
        truth, answers = draws.integers(0, labels, (2, n))
        found = information(truth, answers, permutations=99 if labels == 3 else 19, stream=draws)
        plugins.append(found.plugin)
        left.append(found.corrected)
        ps.append(found.p)
    assert np.mean(plugins) == pytest.approx(bias, abs=within)
    assert abs(np.mean(left)) < 0.003 if labels == 3 else abs(np.mean(left)) < 0.02
    if labels == 3:
        assert np.mean(np.array(ps) <= 0.05) == pytest.approx(0.05, abs=0.045)


def test_information_that_is_there() -> None:
    truth = np.repeat(np.arange(77), 39)
    found = information(truth, (truth + 1) % 77, permutations=19, stream=stream())
    assert found.plugin == pytest.approx(log2(77), abs=1e-9)
    assert found.adjusted == pytest.approx(1.0, abs=1e-9)
    assert found.p == pytest.approx(1 / 20)
    constant = information(np.zeros(10, dtype=int), truth[:10], permutations=19, stream=stream())
    assert (constant.plugin, constant.adjusted, constant.p) == (0.0, None, 1.0)


def test_tables_by_their_margins_are_permuted_tables() -> None:
    """Many examples of few classes take the other way to p: the same law, by mean and spread of a cell."""
    rows, columns = (
        np.repeat([0, 1, 2], [20, 30, 50]),
        np.repeat([0, 1], [35, 65])[stream(4).permutation(100)],
    )
    one, two = (
        np.concatenate(list(way(rows, columns, 4000, stream(5))))
        for way in (_tables_of_shuffles, _tables_of_margins)
    )
    assert (two.reshape(-1, 3, 2).sum(axis=2) == [20, 30, 50]).all()
    assert (two.reshape(-1, 3, 2).sum(axis=1) == np.bincount(columns)).all()
    assert one.mean(axis=0) == pytest.approx(two.mean(axis=0), abs=0.2)
    assert np.cov(one.T) == pytest.approx(np.cov(two.T), abs=0.6)


def test_log_probabilities_that_are_missing_are_no_benchmark() -> None:
    y, b = ["a", "b"] * 40, ["a"] * 80
    nothing = audit_predictions(y, b, y, labels=["a", "b"], before_scores=np.full((80, 2), np.nan))
    assert nothing.decomposition.biased is None
    assert nothing.verdict == "genuine" and "not excluded" in nothing.reason
    some = np.log(np.tile([0.9, 0.1], (80, 1)))
    full = audit_predictions(y, b, y, labels=["a", "b"], before_scores=some)
    assert full.verdict == "genuine" and "not excluded" not in full.reason
    fit = Predictions(y, b, y, np.full((80, 2), np.nan))
    elsewhere = audit_predictions(y, b, y, labels=["a", "b"], before_scores=some, validation=fit)
    assert elsewhere.decomposition.biased is None
    assert any("nothing but NaN" in note for note in elsewhere.notes)
    some[:20] = np.nan
    part = audit_predictions(y, b, y, labels=["a", "b"], before_scores=some)
    assert part.verdict == "genuine" and "not excluded" in part.reason
    assert any("20 of 80 examples have no log-probabilities" in note for note in part.notes)


def test_expected_information_needs_no_overflow() -> None:
    assert expected_information(np.array([60_000, 40_000]), np.array([99_999, 1])) == pytest.approx(
        0.0, abs=1e-4
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_relabelling_is_the_best_of_all(seed: int) -> None:
    """Single answers: against every map, up to the lead that a new name needs."""
    draws = stream(seed)
    truth, answers = draws.integers(0, 3, (40, 1)), draws.integers(0, 4, (40, 1))
    found = int(right(truth, relabel(answers, fit_relabelling(truth, answers, 3))).sum())
    best = max(
        int((np.array([*names, last])[answers[:, 0]] == truth[:, 0]).sum())
        for names in product(range(3), repeat=3)
        for last in range(3)
    )
    assert best - 3 <= found <= best
    weighted = np.repeat(truth, 3, axis=0), np.repeat(answers, 3, axis=0)
    assert right(weighted[0], relabel(weighted[1], fit_relabelling(*weighted, 3))).sum() == 3 * best


def test_relabelling_of_tuples_against_every_combination() -> None:
    """Coordinate ascent over two slots of three labels finds the best of 27² combinations nearly always."""
    maps = np.array(list(product(range(3), repeat=3)))
    reached = worst = 0
    for seed in range(100):
        draws = stream(seed)
        truth = draws.integers(0, 3, (60, 2))
        answers = np.where(
            draws.random((60, 2)) < 0.5, (truth + draws.integers(0, 3, 2)) % 3, draws.integers(0, 3, (60, 2))
        )
        hits = [(maps[:, answers[:, slot]] == truth[:, slot]) for slot in (0, 1)]
        best = int((hits[0][:, None] & hits[1][None]).sum(axis=2).max())
        found = int(right(truth, relabel(answers, fit_relabelling(truth, answers, 3))).sum())
        assert found <= best
        reached += found >= best - 1
        worst = max(worst, best - found)
    assert reached >= 90
    assert worst <= 4


def test_relabelling_of_three_slots_counts_tuples_that_are_right_in_all_others() -> None:
    maps = np.array(list(product(range(2), repeat=2)))
    reached = 0
    for seed in range(60):
        draws = stream(seed)
        truth, answers = draws.integers(0, 2, (2, 80, 3))
        hits = [maps[:, answers[:, slot]] == truth[:, slot] for slot in range(3)]
        together = hits[0][:, None, None] & hits[1][None, :, None] & hits[2][None, None]
        best = int(together.sum(axis=-1).max())
        found = int(right(truth, relabel(answers, fit_relabelling(truth, answers, 2))).sum())
        assert found <= best
        reached += found >= best - 2
    assert reached >= 48


def test_a_label_keeps_its_name_without_a_lead_of_two() -> None:
    truth = np.array([[0], [1], [1]])
    assert fit_relabelling(truth[:2], np.array([[0], [0]]), 2)[0].tolist() == [0, 1, 2]
    assert fit_relabelling(truth, np.array([[0], [0], [0]]), 2)[0].tolist() == [0, 1, 2]
    assert fit_relabelling(truth[1:], np.array([[0], [0]]), 2)[0].tolist() == [1, 1, 2]
    # An unparsed answer has no name to keep.
    assert fit_relabelling(truth[1:2], np.array([[2]]), 2)[0].tolist() == [0, 1, 1]


def test_cross_fitting_never_looks_at_what_it_relabels() -> None:
    """Each example's new name follows from the other parts alone, and every example is in one part."""
    draws = stream(3)
    truth, answers = draws.integers(0, 3, (90, 1)), draws.integers(0, 3, (90, 1))
    parts = list(folds(truth, 0))
    assert len(parts) == FOLDS
    assert (sum(applied.astype(int) for _, applied in parts) == 1).all()
    for fitted, applied in parts:
        assert (fitted == ~applied).all()
        of_class = np.bincount(truth[applied, 0], minlength=3) - np.bincount(truth[:, 0], minlength=3) / FOLDS
        assert (abs(of_class) <= 1).all(), "stratified"
    plain = cross_relabelled(truth, answers, 3, 0)
    for fitted, applied in parts:
        names = fit_relabelling(truth[fitted], answers[fitted], 3)
        assert (plain[applied] == relabel(answers[applied], names)).all()
    # Answers without information, balanced: relabelling must not seem to lose by being fitted on the rest.
    constant = np.zeros((90, 1), dtype=np.int64)
    even = np.repeat(np.arange(3), 30)[:, None]
    assert right(even, cross_relabelled(even, constant, 3, 0)).mean() == pytest.approx(1 / 3)


def log_odds(truth: np.ndarray, labels: int, draws: np.random.Generator) -> np.ndarray:
    signal = draws.normal(size=(len(truth), labels))
    signal[np.arange(len(truth)), truth] += 1.5
    signal += 2 * draws.normal(size=labels)
    return signal - np.log(np.exp(signal).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(10))
def test_two_labels_get_the_best_of_all_thresholds(seed: int) -> None:
    draws = stream(seed)
    truth = draws.integers(0, 2, 60)
    scores = log_odds(truth, 2, draws)
    biases = fit_biases(scores[:, None], truth[:, None], truth[:, None] * 0)
    found = (shifted_answers(scores[:, None], biases, truth[:, None])[:, 0] == truth).sum()
    odds = scores[:, 1] - scores[:, 0]
    edges = np.sort(odds)
    cuts = np.concatenate([[edges[0] - 1], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1]])
    counts = np.array([((odds > cut) == truth).sum() for cut in cuts])
    assert found == counts.max()
    # Of equally good thresholds the one nearest to none; none itself if it is as good.
    chosen = biases[0, 0] - biases[0, 1]
    nearest = cuts[counts == counts.max()][np.argmin(abs(cuts[counts == counts.max()]))]
    assert chosen == pytest.approx(0.0 if ((odds > 0) == truth).sum() == counts.max() else nearest)


@pytest.mark.parametrize("seed", range(6))
def test_three_labels_come_close_to_a_grid_of_biases(seed: int) -> None:
    """Coordinate ascent with a lead of three against 6,561 pairs of biases."""
    draws = stream(seed)
    truth = draws.integers(0, 3, 120)
    scores = log_odds(truth, 3, draws)
    biases = fit_biases(scores[:, None], truth[:, None], truth[:, None] * 0)
    found = int((shifted_answers(scores[:, None], biases, truth[:, None])[:, 0] == truth).sum())
    grid = np.arange(-8, 8.01, 0.2)
    first = (scores[:, 0, None, None] + 0 * grid[:, None]) * np.ones_like(grid)
    shifted = np.stack(
        [
            first,
            scores[:, 1, None, None] + grid[:, None] + 0 * grid,
            scores[:, 2, None, None] + 0 * grid[:, None] + grid,
        ]
    )
    best = int((shifted.argmax(axis=0) == truth[:, None, None]).sum(axis=0).max())
    assert best - 2 * LEAD <= found
    assert found >= (scores.argmax(axis=1) == truth).sum()


def test_scores_that_are_missing_keep_the_answer() -> None:
    truth = np.array([0, 1, 1, 0])[:, None]
    scores = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]))[:, None]
    scores[3] = np.nan
    scores[2, 0] = [-np.inf, -np.inf]
    answers = np.array([[1], [1], [0], [1]])
    assert shifted_answers(scores, np.zeros((1, 2)), answers)[:, 0].tolist() == [0, 1, 0, 1]
    assert np.isfinite(fit_biases(scores, truth, answers)).all()
    impossible = np.log(np.array([[1.0, 1e-300], [1.0, 1e-300]]))[:, None]
    impossible[:, 0, 1] = -np.inf
    biases = fit_biases(impossible, np.array([[1], [1]]), np.array([[0], [0]]))
    assert shifted_answers(impossible, biases, answers[:2])[:, 0].tolist() == [0, 0]


def test_biases_of_tuples_and_cross_fits() -> None:
    draws = stream(5)
    truth = draws.integers(0, 2, (200, 2))
    signal = draws.normal(size=(200, 2)) + 2 * truth - 1 + np.array([1.5, -1.5])
    scores = np.stack([-np.logaddexp(0, signal), -np.logaddexp(0, -signal)], axis=2)
    answers = (signal > 0).astype(np.int64)
    shifted = shifted_answers(scores, fit_biases(scores, truth, answers), answers)
    plain, fitted = right(truth, answers).mean(), right(truth, shifted).mean()
    oracle = right(truth, (signal > np.array([1.5, -1.5])).astype(np.int64)).mean()
    assert fitted >= max(plain, oracle)
    assert plain < right(truth, cross_shifted(scores, truth, answers, 0)).mean() <= fitted


def test_the_smoothed_bootstrap_is_bonett_and_prices_interval_by_resampling() -> None:
    for gained, lost, n in [(30, 10, 200), (5, 0, 100), (0, 0, 60), (55, 50, 400)]:
        column = np.repeat(np.array([1, -1, 0], dtype=np.int8), [gained, lost, n - gained - lost])[:, None]
        (interval,) = mean_intervals(column, stream(), 40_000, 0.95)
        (other,) = share_intervals(
            np.array([gained]), np.array([lost]), np.array([n]), stream(1), 40_000, 0.95
        )
        wald = paired_proportions(gained, lost, n)
        for one in (interval, other):
            assert one.low == pytest.approx(wald.low, abs=0.008)
            assert one.high == pytest.approx(wald.high, abs=0.008)
        assert (interval.low > 0) == (gained == 30)


def test_recall_draws_are_stratified_and_smoothed_by_weight() -> None:
    truth = np.repeat(np.arange(3), [50, 30, 4])
    before, after = stream(1).random(84) < 0.5, stream(2).random(84) < 0.7
    cells = class_cells(truth, before, after, 3)
    assert cells.sum(axis=1).tolist() == [50, 30, 4]
    assert cells[0].tolist() == [
        int((one & two)[:50].sum()) for one, two in product((before, ~before), (after, ~after))
    ]
    one, two = recall_draws(cells, np.array([0.5, 0.5, 0.0]), stream(), 20_000)
    for place, size in enumerate((50, 30, 4)):
        shown = truth == place
        half = 0.5 if place < 2 else 0.0
        assert one[:, place].mean() == pytest.approx(
            (before[shown].sum() + half) / (size + 2 * half), abs=0.01
        )
        assert set(np.round(two[:, place] * size)) <= set(range(size + 1))


def test_fall_of_predictions_is_mcnemars() -> None:
    truth = np.array([0] * 12 + [1] * 12)
    before, after = np.array([0] * 12 + [1] * 12), np.array([1] * 7 + [0] * 5 + [1] * 10 + [0] * 2)
    rows = class_audits(truth, before, after, ("a", "b"), stream=stream(), resamples=99, level=0.95)
    assert rows[0].fall_p == pytest.approx(mcnemar_exact(7, 2) / 2)
    assert rows[0].suppressed is False
    assert rows[1].fall_p > 0.5


def crowd(draws: np.random.Generator, classes: int, n: int, kept: float) -> tuple[np.ndarray, ...]:
    """Truth, and two prompts that are right in one of two and else guess; class 0 is answered only a share `kept` of the time after."""
    truth = draws.integers(0, classes, n)

    def answered() -> np.ndarray:
        return np.where(draws.random(n) < 0.5, truth, draws.integers(0, classes, n))

    before, after = answered(), answered()
    lost = (after == 0) & (draws.random(n) >= kept)
    return truth, before, np.where(lost, 1 + draws.integers(0, classes - 1, n), after)


@pytest.mark.parametrize(("classes", "n"), [(20, 120), (3, 120)])
def test_where_nothing_changed_a_suppressed_class_is_found_in_one_of_twenty_at_most(
    classes: int, n: int
) -> None:
    """Family-wise, over all classes; by the definition alone it would be half of the audits at 20 classes."""
    draws, names = stream(classes), tuple(map(str, range(classes)))
    told = looked = 0
    for _ in range(RUNS):
        rows = class_audits(*crowd(draws, classes, n, 1.0), names, stream=draws, resamples=1, level=0.95)
        told += any(row.suppressed for row in rows)
        looked += any(row.suppressed or row.doubtful for row in rows)
        assert not any(row.suppressed and row.doubtful for row in rows)
    assert told <= 0.05 * RUNS + 3 * (0.05 * 0.95 * RUNS) ** 0.5, told
    if classes == 20:
        assert looked > 0.2 * RUNS, looked


def test_a_class_that_is_suppressed_among_twenty_is_found() -> None:
    draws, names = stream(5), tuple(map(str, range(20)))
    found = 0
    for _ in range(50):
        rows = class_audits(*crowd(draws, 20, 800, 0.1), names, stream=draws, resamples=1, level=0.95)
        found += rows[0].suppressed
    assert found >= 45, found


def test_suppression_is_corrected_over_classes_and_slots() -> None:
    """Class 0 loses seven answers and gains none: p = 1/128, times two estimable classes, times the slots."""
    truth = np.array([0] * 12 + [1] * 12 + [2] * 3)
    before = np.array([0] * 12 + [1] * 12 + [2] * 3)
    after = np.array([1] * 7 + [0] * 5 + [1] * 12 + [2] * 3)
    found = [
        class_audits(
            truth, before, after, ("a", "b", "c"), stream=stream(), resamples=9, level=0.95, slots=slots
        )
        for slots in (1, 3, 4)
    ]
    assert [rows[0].fall_p_holm for rows in found] == pytest.approx([2 / 128, 6 / 128, 8 / 128])
    assert [(rows[0].suppressed, rows[0].doubtful) for rows in found] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [(row.suppressed, row.doubtful, row.fall_p_holm) for row in found[0][1:]] == [
        (False, False, 1.0),
        (False, False, None),
    ]


Y, B, A = ["a", "b"] * 4, ["a"] * 8, ["a", "b"] * 4


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((Y, B[:7], A), {}, "y_true has 8 examples and before has 7"),
        (([], [], []), {}, "nothing to compare"),
        ((Y, [float("nan")] * 8, A), {}, "none of the 8 examples"),
        ((Y, B, A), {"labels": ["a", "c"]}, "'b' for example 2, which is not among the labels"),
        ((Y, ["z"] * 8, A), {"labels": ["a", "b"]}, "before has 'z' for example 1"),
        ((Y, B, A), {"labels": ["a", "b", "a"]}, "'a' twice"),
        ((Y, B, A), {"labels": ["a", "b"], "before_scores": np.zeros((8, 3))}, r"shape \(8, 3\), not \(8, 2\)"),
        ((Y, B, A), {"labels": ["a", "b"], "before_scores": np.ones((8, 2))}, "above 0"),
        ((Y, B, A), {"before_scores": np.zeros((8, 2))}, "no labels to say whose"),
        ((Y, B, A), {"validation": (["a"] * 4, ["a"] * 4, ["a"] * 4)}, "validation has no example of b"),
        ((Y, B, A), {"validation": (Y, B)}, "validation is not"),
        ((Y, B, A), {"validation": (Y, B, A[:3])}, "validation's y_true has 8 examples and validation's after has 3"),
        ((Y, B, A), {"labels": ["a", "b"], "before_scores": np.zeros((8, 2)), "validation": (Y, B, A)}, "validation comes without"),
        (([None, *Y[1:]], B, A), {}, "y_true is None for example 1"),
        (([*Y[:7], float("nan")], B, A), {}, "y_true is missing for example 8"),
        (([("a", "b")] * 3, [("a", "b")] * 3, [("a",)] * 3), {}, "after has 1 slots for example 1"),
        ((Y, [("a", "b")] * 8, A), {}, "before has 2 slots for example 1"),
        ((Y, B, A), {"prior": {"a": 0.5, "b": 0.4}}, "sum to 0.9"),
        ((Y, B, A), {"prior": {"a": 0.5, "z": 0.5}}, "prior has 'z'"),
        ((Y, B, A), {"curve": "z"}, "curve is 'z'"),
        ((Y, B, A), {"margin": 0.0}, "margin is 0"),
        ((Y, B, A), {"level": 1.0}, "level is 1"),
        ((Y, B, A), {"resamples": 0}, "resamples is 0"),
        ((Y, B, A), {"seed": -1}, "seed is -1"),
    ],
)  # fmt: skip
def test_mistakes_get_one_clear_line(arguments: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        audit_predictions(*arguments, **options)
    assert "\n" not in str(raised.value)
    assert raised.value.consequence and raised.value.ways_out


def test_a_class_missing_from_validation_can_be_cross_fitted() -> None:
    audit = audit_predictions(Y, B, A, validation=Predictions(["a"], ["a"], ["a"]), lacking="cross-fit")
    assert (audit.fitted, audit.fitted_on) == ("cross-fitted", 8)
    assert any("validation has no example of b" in note for note in audit.notes)


def test_validation_is_where_relabellings_come_from() -> None:
    """Swapped in validation alone: the relabelling then ruins the examples, and says so."""
    y, b = ["a", "b"] * 30, ["a", "b"] * 30
    swapped = ["b", "a"] * 30
    audit = audit_predictions(y, b, y, validation=(y, swapped, y))
    assert audit.decomposition.relabelled.before == 0.0
    assert dict(audit.decomposition.before_names[0].renamed) == {"a": "b", "b": "a"}
    assert (audit.fitted, audit.fitted_on) == ("validation", 60)


@pytest.mark.parametrize("held_out", [False, True])
def test_the_strict_bar_is_fitted_on_all_examples_at_hand(held_out: bool) -> None:
    """Relabelling and biases both, on few examples of no information, where it is well above the honest one."""
    draws = stream(8)
    y, b, a, *other = draws.integers(0, 3, (6, 60))
    scores, fit_scores = np.log(draws.dirichlet([1, 1, 1], (2, 60)))
    audit = audit_predictions(
        y,
        b,
        a,
        labels=[0, 1, 2],
        before_scores=scores,
        validation=Predictions(*other, fit_scores) if held_out else None,
        lacking="cross-fit",
    )
    truth, answers, odds = y[:, None], b[:, None], scores[:, None]
    if held_out:
        truth, answers = np.vstack([truth, other[0][:, None]]), np.vstack([answers, other[1][:, None]])
        odds = np.concatenate([odds, fit_scores[:, None]])
    renamed = relabel(b[:, None], fit_relabelling(truth, answers, 3))[:, 0]
    shifted = shifted_answers(scores[:, None], fit_biases(odds, truth, answers), b[:, None])[:, 0]
    parts, right_after = audit.decomposition, (y == a).mean()
    assert parts.biased is not None
    assert parts.strict.value == pytest.approx(right_after - (renamed == y).mean(), abs=1e-9)
    assert parts.biased.strict.value == pytest.approx(right_after - (shifted == y).mean(), abs=1e-9)
    assert parts.strict.value < parts.after_above.value
    assert parts.biased.strict.value < parts.biased.after_above.value
