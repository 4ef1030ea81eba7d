"""A study's numbers from made-up trials, recomputed by independent means; missing data; empty and unequal studies."""

from __future__ import annotations

import io
import json
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.study.contrasts import StudyContrast
from nullgrad.analysis.study.look import make_look
from nullgrad.analysis.study.result import StudyResult
from nullgrad.core.arms import parse_arm
from nullgrad.core.study import ContrastSpec
from nullgrad.errors import UserError
from nullgrad.surfaces.study_text import print_report
from tests.support.study_facts import (
    EXAMPLES,
    a_cell,
    a_contrast,
    a_study,
    a_trial,
    analysed,
    batches,
    judged,
    keyed,
    of_scores,
    right,
    scored,
    within,
)

CORRECT, WRONG, NONE = "gradient/correct/naive", "gradient/wrong/naive", "gradient/none/naive"
SCORES = {
    CORRECT: [30, 28, 33, 27, 31, 29, 34, 26],
    WRONG: [25, 27, 30, 24, 26, 28, 29, 25],
    NONE: [22, 29, 25, 27, 21, 26, 30, 24],
}


def one(result: StudyResult, name: str, cell: str = "small") -> StudyContrast:
    (found,) = [c for c in result.contrasts if (c.name, c.cell, c.role) == (name, cell, "declared")]
    return found


def row_of(result: StudyResult, name: str) -> dict[str, Any]:
    (found,) = [
        row for row in result.tables()["contrasts"] if row["name"] == name and row["role"] == "declared"
    ]
    return found


def test_a_paired_family_is_what_enumeration_says() -> None:
    contrasts = [a_contrast(CORRECT, WRONG, margin=0.05), a_contrast(CORRECT, NONE, margin=0.05)]
    result = analysed(a_study(dict.fromkeys(SCORES, 8), contrasts), of_scores(SCORES))
    p = []
    for name, other in ((contrasts[0].name, WRONG), (contrasts[1].name, NONE)):
        apart = np.array(SCORES[CORRECT]) - np.array(SCORES[other])
        sums = np.array(list(product((1, -1), repeat=8))) @ apart
        p.append(float(np.mean(sums >= apart.sum())))
        row, found = row_of(result, name), one(result, name)
        expected = stats.ttest_1samp(apart / EXAMPLES, 0).confidence_interval(0.95)
        assert row["p"] == round(p[-1], 6)
        assert row["difference_points"] == round(100 * apart.mean() / EXAMPLES, 6)
        assert (row["low_points"], row["high_points"]) == (
            pytest.approx(100 * expected.low, abs=1e-6), pytest.approx(100 * expected.high, abs=1e-6),
        )  # fmt: skip
        assert (row["alpha"], row["attainable_p"], row["family_size"]) == (0.025, round(1 / 256, 6), 2)
        assert (row["n_first"], row["n_second"], row["not_run"]) == (8, 8, 0)
        assert row["p_bonferroni"] == round(min(1, 2 * p[-1]), 6)
        assert found.margin == 0.05
    order = np.argsort(p)
    holm = [0.0, 0.0]
    holm[order[0]] = min(1, 2 * p[order[0]])
    holm[order[1]] = max(holm[order[0]], p[order[1]])
    assert [row_of(result, c.name)["p_holm"] for c in contrasts] == [round(value, 6) for value in holm]


def test_an_independent_contrast_is_what_scipy_says() -> None:
    scores = {CORRECT: SCORES[CORRECT], WRONG: SCORES[WRONG][:5]}
    contrast = a_contrast(CORRECT, WRONG)
    result = analysed(a_study({CORRECT: 8, WRONG: 5}, [contrast], design="independent"), of_scores(scores))
    values = np.array(scores[CORRECT] + scores[WRONG])

    def t(first: tuple[int, ...]) -> float:
        mask = np.zeros(13, dtype=bool)
        mask[list(first)] = True
        return float(stats.ttest_ind(values[mask], values[~mask], equal_var=False).statistic)

    splits = [t(first) for first in combinations(range(13), 8)]
    p = np.mean(np.array(splits) >= t(tuple(range(8))) - 1e-9)
    row = row_of(result, contrast.name)
    assert row["p"] == round(float(p), 6)
    assert row["attainable_p"] == round(1 / 1287, 6)
    expected = stats.ttest_ind(
        np.array(scores[CORRECT]) / 40, np.array(scores[WRONG]) / 40, equal_var=False
    ).confidence_interval(0.9)
    assert row["low_points"] == pytest.approx(100 * expected.low, abs=1e-5)
    assert (row["n_first"], row["n_second"], row["method"]) == (8, 5, "Welch t")
    assert row["population_low_points"] < row["low_points"] + 100
    assert row["p_equivalence"] is None
    assert "no margin was declared" in row["not_estimable"]


def test_the_presets_of_the_paper_pool_the_variances_as_published() -> None:
    contrast = a_contrast(CORRECT, WRONG)
    facts = of_scores({CORRECT: SCORES[CORRECT], WRONG: SCORES[WRONG][:5]})
    study = a_study({CORRECT: 8, WRONG: 5}, [contrast], design="independent", preset="paper-main")
    values = np.array(SCORES[CORRECT] + SCORES[WRONG][:5])
    sums = np.array([values[list(first)].sum() for first in combinations(range(13), 8)])
    assert one(analysed(study, facts), contrast.name).p == np.mean(sums >= values[:8].sum())


@pytest.mark.parametrize("design", ["independent", "paired"])
def test_a_trend_is_kendalls(design: str) -> None:
    arms = [f"gradient/correct/validated@{n}" for n in (1, 2, 3)]
    scores = {arms[0]: [20, 24, 23], arms[1]: [25, 22, 28], arms[2]: [27, 30, 26]}
    contrast = ContrastSpec("rise", "t", "trend", tuple(map(parse_arm, arms)))
    other = a_contrast(arms[2], arms[0], "t", bundle=True)
    result = analysed(a_study(dict.fromkeys(arms, 3), [contrast, other], design=design), of_scores(scores))
    numbers = [1] * 3 + [2] * 3 + [3] * 3
    values = [value for arm in arms for value in scores[arm]]
    row = row_of(result, "rise")
    assert row["tau"] == round(float(stats.kendalltau(numbers, values).statistic), 6)

    def concordance(assigned: tuple[int, ...]) -> int:
        return sum(
            int(np.sign(assigned[a] - assigned[b]) * np.sign(values[a] - values[b]))
            for a, b in combinations(range(9), 2)
        )

    if design == "independent":
        assignments = {
            tuple(1 if place in low else 3 if place in high else 2 for place in range(9))
            for low in combinations(range(9), 3)
            for high in combinations(sorted(set(range(9)) - set(low)), 3)
        }
    else:
        orders = [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)]
        assignments = {
            tuple(blocks[place % 3][place // 3] for place in range(9)) for blocks in product(orders, repeat=3)
        }
    seen = concordance(tuple(numbers))
    p = float(np.mean([concordance(assigned) >= seen for assigned in assignments]))
    assert row["p"] == round(p, 6)
    assert (row["alpha"], row["attainable_p"]) == (0.025, round(1 / len(assignments), 6))
    assert row["verdict"] == ("supported" if p <= 0.025 else "cannot tell")
    assert one(result, "rise").p_bonferroni == pytest.approx(min(1, 2 * p))
    assert row["p_equivalence_holm"] is None


def test_arms_and_trials_are_listed_with_what_is_missing() -> None:
    facts = of_scores({CORRECT: [30, 28, 33]})
    holed = a_trial(CORRECT, 1, (None, *right(27, 39)))
    facts |= keyed([holed])
    result = analysed(a_study({CORRECT: 4}, ()), facts, stopped="the budget")
    seed, arm = result.tables()["arms"]
    assert (seed["arm"], seed["n"], seed["mean"], seed["declared"]) == ("seed", 0, None, 4)
    assert (arm["declared"], arm["started"], arm["n"], arm["incomplete"], arm["failed"]) == (4, 3, 2, 1, 1)
    scores = np.array([30, 33]) / 40
    interval = stats.t.interval(0.95, 1, scores.mean(), scores.std(ddof=1) / np.sqrt(2))
    assert (arm["mean"], arm["sd"]) == (round(scores.mean(), 6), round(scores.std(ddof=1), 6))
    assert (arm["low"], arm["high"]) == (round(interval[0], 6), 1.0)
    assert [row["score"] for row in result.tables()["trials"]] == [0.75, None, 0.825]
    assert (result.complete, result.stopped) == (False, "the budget")


@pytest.mark.parametrize(("design", "dropped"), [("paired", (1, 1)), ("independent", (1, 0))])
def test_an_incomplete_trial_drops_its_block(design: str, dropped: tuple[int, int]) -> None:
    scores = {CORRECT: [36, 37, 38, 36, 37], WRONG: [10, 12, 9, 11, 10]}
    facts = of_scores(scores) | keyed([a_trial(CORRECT, 1, (None, *right(36, 39)))])
    contrast = a_contrast(CORRECT, WRONG)
    found = one(analysed(a_study(dict.fromkeys(scores, 5), [contrast], design=design), facts), contrast.name)
    assert found.result is not None
    assert (found.result.dropped, found.verdict, found.not_run) == (dropped, "supported", 0)
    # With a whole row missing the worst case undoes it, and the reason says so.
    scores = {CORRECT: [26, 27, 28, 26, 27], WRONG: [20, 22, 19, 21, 20]}
    gone = of_scores(scores) | keyed([a_trial(CORRECT, 1, (None,) * 40)])
    found = one(analysed(a_study(dict.fromkeys(scores, 5), [contrast], design=design), gone), contrast.name)
    assert found.verdict == "cannot tell"
    assert "missing" in found.reason


def test_what_a_stop_cut_off_is_not_run_and_no_missing_score() -> None:
    scores = {CORRECT: [36, 37, 38, 36], WRONG: [10, 12, 9, 11]}
    contrast = a_contrast(CORRECT, WRONG)
    found = one(
        analysed(a_study(dict.fromkeys(scores, 6), [contrast]), of_scores(scores), "budget"), contrast.name
    )
    assert found.result is not None
    assert (found.result.n, found.not_run, found.verdict) == ((4, 4), 2, "supported")


def test_an_empty_study_says_so() -> None:
    arms = {CORRECT: 5, WRONG: 5, "gradient/correct/validated@2": 5, "gradient/correct/validated@3": 5}
    specs = [
        a_contrast(CORRECT, WRONG, margin=0.05),
        within("fit", CORRECT),
        within("plateau", CORRECT),
        ContrastSpec("rise", "f", "trend", tuple(parse_arm(a) for a in list(arms) if "wrong" not in a)),
    ]
    result = analysed(a_study(arms, specs), {}, stopped="the budget was reached")
    assert {c.verdict for c in result.contrasts} == {"cannot tell"}
    assert {line.word for line in result.verdicts} == {"cannot tell"}
    assert "No complete block in small" in result.notes[0]
    assert result.signatures == ()
    assert json.loads(result.to_json())["tables"]["contrasts"][0]["p"] is None


def test_a_result_repeats_and_has_its_tables() -> None:
    contrast = a_contrast(CORRECT, WRONG)
    study = a_study(dict.fromkeys(SCORES, 8), [contrast])
    result = analysed(study, of_scores(SCORES))
    assert result == analysed(study, of_scores(SCORES))
    assert result.to_json() == analysed(study, of_scores(SCORES)).to_json()
    assert "spend" not in result.canonical()
    assert set(result.tables()) >= {
        "contrasts", "arms", "trials", "trajectory", "diversity", "verdicts", "critic", "best_of_k",
    }  # fmt: skip
    for rows in result.tables().values():
        assert len({tuple(row) for row in rows}) <= 1
    with pytest.raises(UserError, match="no table"):
        result.to_pandas("nothing")


def test_fit_is_within_trials_against_the_labels_shown_and_beside_them_the_true_ones() -> None:
    """Six training examples, batches of three: steps 1 and 2 are the first epoch, 3 and 4 the second."""
    rising = [(0, 0, 1), (0, 1, 0), (1, 1, 1), (1, 0, 1)]
    falling = [(1, 1, 0), (1, 0, 1), (0, 0, 0), (0, 1, 0)]
    trials = []
    for number in range(5):
        own = [tuple(float(v) for v in row) for row in falling]
        if number % 2:
            own[2] = (1.0, 0.0, 0.0)
        trials.append(batches(a_trial(WRONG, number, right(20)), own, [tuple(map(float, r)) for r in rising]))
    spec = within("fit", WRONG, margin=0.1)
    result = analysed(a_study({WRONG: 5}, [spec]), keyed(trials))
    shown, true, gap = (c for c in result.contrasts)
    assert (shown.labels, shown.role, true.labels, true.role) == ("shown", "declared", "true", "beside")
    assert shown.difference == pytest.approx(5 / 6 - 2 / 6)
    assert true.difference == pytest.approx(np.mean([1 / 6 - 4 / 6 + (n % 2) / 6 for n in range(5)]))
    assert shown.result is not None
    assert shown.result.n == (5, 5)
    assert true.verdict == "contradicted"
    assert isinstance(gap.difference, NotEstimable)
    assert "not read" in gap.difference.reason
    points = {(p.measure, p.unit, p.at): p.over.mean for p in result.trajectory}
    assert points["train shown", "epoch", 1] == pytest.approx(2 / 6)
    assert points["train true", "step", 1] == pytest.approx(2 / 3)


def test_fit_needs_two_epochs_and_examples() -> None:
    study = a_study({CORRECT: 3, "improve": 3}, [within("fit", CORRECT), within("fit", "improve", "g")], steps=3,
                    cells=(a_cell(train=12),))  # fmt: skip
    result = analysed(study, of_scores({CORRECT: [1, 2, 3], "improve": [1, 2, 3]}))
    assert "one epoch" in one(result, study.contrasts[0].name).reason
    assert "sees no training example" in one(result, study.contrasts[1].name).reason


def test_overfitting_is_the_growth_of_the_gap() -> None:
    trials = []
    for number in range(6):
        curve = {1: right(20), 2: right(20 + number % 2), 3: right(20), 4: right(20)}
        trial = a_trial(CORRECT, number, right(20), curve=curve)
        low, high = [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0)], [(1.0, 1.0, 1.0), (1.0, 1.0, 1.0)]
        trials.append(batches(trial, low + high, low + high))
    study = a_study({CORRECT: 6}, [within("fit", CORRECT, margin=0.1)], curve=(1, 2, 3, 4))
    result = analysed(study, keyed(trials))
    (gap,) = [c for c in result.contrasts if c.on == "train and test"]
    tests = [(20 + (20 + n % 2)) / 80 for n in range(6)]
    expected = [(1 - 0.5) - (1 / 3 - test) for test in tests]
    assert gap.difference == pytest.approx(np.mean(expected))
    assert gap.result is not None
    assert isinstance(gap.result.interval, Interval)
    interval = stats.t.interval(0.9, 5, np.mean(expected), stats.sem(expected))
    assert (gap.result.interval.low, gap.result.interval.high) == pytest.approx(interval)
    assert gap.verdict == "supported"


def test_a_plateau_reads_the_curve_else_validation_else_nothing() -> None:
    curve = [a_trial(CORRECT, n, right(23 + 2 * (n % 2)), curve={2: right(24)}) for n in range(6)]
    with_curve = analysed(
        a_study({CORRECT: 6}, [within("plateau", CORRECT, margin=0.1)], curve=(2,)), keyed(curve)
    )
    found = one(with_curve, f"plateau of {CORRECT}")
    assert (found.on, found.difference, found.verdict) == ("test", pytest.approx(0.0), "equal")
    without = one(
        analysed(a_study({CORRECT: 6}, [within("plateau", CORRECT)]), keyed(curve)), f"plateau of {CORRECT}"
    )
    assert "not read after step 2" in without.reason
    arm = "gradient/correct/validated@2"
    trials = []
    for n in range(6):
        trial = a_trial(arm, n, right(20))
        scored(trial, 1, {-1: right(3, 10), 0: right(4, 10), 1: right(2, 10)}, 0)
        scored(trial, 2, {0: right(5, 10), 1: right(2, 10)}, 0)
        scored(trial, 3, {0: right(4, 10), 1: right(3, 10)}, -1)
        trials.append(scored(trial, 4, {0: right(7 + n % 2, 10), 1: right(2, 10)}, 0))
    result = analysed(a_study({arm: 6}, [within("plateau", arm)]), keyed(trials))
    found = one(result, f"plateau of {arm}")
    assert (found.on, found.difference, found.verdict) == ("validation", pytest.approx(0.25), "supported")
    assert "over-estimated" in result.notes[-1]
    validation = {p.at: p.over.mean for p in result.trajectory if p.measure == "validation"}
    assert validation == pytest.approx({0: 0.3, 1: 0.4, 2: 0.5, 3: 0.5, 4: 0.75})
    assert [d.candidates for d in result.diversity] == [2.0] * 4
    # The first variant is right wherever the second is, so that fresh examples agree with the choice.
    assert [p.over.n for p in result.best_of_k if p.step == 1] == [6, 6]
    assert result.winners[0].candidates == 3
    assert result.winners[0].claimed == pytest.approx(0.4)
    assert result.winners[0].final_claimed.mean == pytest.approx(0.75)
    (winner,) = result.tables()["selection"]
    assert (winner["labels"], winner["adaptive"]) == ("correct", True)
    # Without the fourth example the winner ties with the current prompt, which is kept and wrong on it.
    assert winner["corrected"] == pytest.approx(0.3, abs=0.03)
    assert 0.2 < winner["out_of_bag"] < 0.4
    text = io.StringIO()
    print_report(result.to_dict(), text)
    assert "only the sealed test is unbiased" in " ".join(text.getvalue().split())


def test_models_are_compared_by_block_across_cells() -> None:
    cells = (a_cell("s1", model="small"), a_cell("l1", model="large"))
    spec = ContrastSpec("size", "f", "models", (parse_arm(CORRECT),), ("large", "small"))
    facts = of_scores({CORRECT: SCORES[CORRECT]}, "l1") | of_scores({CORRECT: SCORES[WRONG]}, "s1")
    result = analysed(a_study({CORRECT: 8}, [spec], cells=cells), facts)
    (found,) = result.contrasts
    apart = np.array(SCORES[CORRECT]) - np.array(SCORES[WRONG])
    sums = np.array(list(product((1, -1), repeat=8))) @ apart
    assert (found.cell, found.model, found.p) == ("l1", "large > small", np.mean(sums >= apart.sum()))


@pytest.mark.parametrize("design", ["paired", "independent"])
def test_an_interaction_is_a_difference_of_differences(design: str) -> None:
    cells = (a_cell("a", task="skewed"), a_cell("b", task="balanced", test=20))
    spec = ContrastSpec(
        "more",
        "f",
        "interaction",
        (parse_arm(CORRECT), parse_arm(WRONG)),
        margin=0.05,
        tasks=("skewed", "balanced"),
    )
    facts = of_scores({arm: SCORES[arm] for arm in (CORRECT, WRONG)}, "a")
    second = {CORRECT: [10, 12, 11, 9, 13, 10, 12, 11], WRONG: [11, 12, 10, 9, 12, 11, 13, 10]}
    for arm, values in second.items():
        facts |= keyed(a_trial(arm, n, right(v, 20), cell="b") for n, v in enumerate(values))
    (found,) = analysed(a_study({CORRECT: 8, WRONG: 8}, [spec], cells=cells, design=design), facts).contrasts
    one_ = (np.array(SCORES[CORRECT]) - np.array(SCORES[WRONG])) / 40
    two = (np.array(second[CORRECT]) - np.array(second[WRONG])) / 20
    assert found.difference == pytest.approx(one_.mean() - two.mean())
    assert found.result is not None
    assert isinstance(found.result.interval, Interval)
    if design == "paired":
        expected = stats.ttest_rel(one_, two).confidence_interval(0.9)
        low = stats.ttest_rel(one_ + 0.05, two, alternative="greater").pvalue
        high = stats.ttest_rel(one_ - 0.05, two, alternative="less").pvalue
    else:
        expected = stats.ttest_ind(one_, two, equal_var=False).confidence_interval(0.9)
        low = stats.ttest_ind(one_ + 0.05, two, equal_var=False, alternative="greater").pvalue
        high = stats.ttest_ind(one_ - 0.05, two, equal_var=False, alternative="less").pvalue
    assert (found.result.interval.low, found.result.interval.high) == pytest.approx(
        (expected.low, expected.high)
    )
    assert found.result.p_equivalence == pytest.approx(max(low, high))
    assert (found.task, isinstance(found.population, NotEstimable)) == ("skewed > balanced", True)


def test_a_critic_is_compared_with_gold_by_step_class_and_output() -> None:
    arm = "gradient/critic-smooth/naive"
    trials = []
    for n in range(3):
        trial = a_trial(arm, n, right(20))
        judged(trial, 1, [(0.9, 1.0), (0.2, 0.0), (None, 1.0)])
        trials.append(judged(trial, 2, [(0.5, 0.0), (1.0, 1.0), (0.4 + n / 10, 1.0)]))
    result = analysed(a_study({arm: 3}, ()), keyed(trials))
    rows = {(row.by, row.at): row for row in result.critic}
    assert (rows["all", ""].judged, rows["all", ""].missing) == (15, 3)
    assert rows["step", "1"].agreement.mean == pytest.approx((0.9 + 0.8) / 2)
    assert rows["step", "2"].agreement.mean == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert rows["output", "wrong"].agreement.mean == pytest.approx((0.8 + 0.5) / 2)
    assert rows["class", "yes"].judged == 9
    judgements = [(0.9, 1), (0.2, 0), (0.5, 0), (1.0, 1), *[(0.4 + n / 10, 1) for n in range(3)]]
    every = [(0.9, 1), (0.2, 0), (0.5, 0), (1.0, 1)] * 3 + judgements[-3:]
    assert rows["all", ""].rank_correlation == pytest.approx(stats.spearmanr(*np.array(every).T).statistic)


def test_a_ladder_is_attributed_in_the_paired_design_alone() -> None:
    arms = ["rewrite", "improve"]
    scores = {"seed": [20, 21, 19, 20], "rewrite": [21, 22, 20, 20], "improve": [30, 29, 31, 28]}
    paired = analysed(a_study(dict.fromkeys(arms, 4), ()), of_scores(scores))
    (found,) = paired.ladders
    assert (found.top, found.ladder.blocks) == ("improve/none/naive", 4)
    assert [step.effect for step in found.ladder.steps] == [
        None,
        pytest.approx(0.75 / 40),
        pytest.approx(8.75 / 40),
    ]
    assert paired.tables()["ladder"][0]["ingredient"] == "seed"
    (found,) = analysed(a_study(dict.fromkeys(arms, 4), (), design="independent"), of_scores(scores)).ladders
    assert "independent" in found.ladder.reason


def test_one_class_and_one_trial_are_no_trouble() -> None:
    cell = a_cell(labels=("yes",))
    contrast = a_contrast(CORRECT, WRONG)
    result = analysed(
        a_study({CORRECT: 1, WRONG: 1}, [contrast], cells=(cell,)), of_scores({CORRECT: [30], WRONG: [20]})
    )
    found = one(result, contrast.name)
    assert (found.p, found.attainable, found.verdict) == (0.5, 0.5, "cannot tell")


def test_unparsed_answers_can_be_left_out() -> None:
    """Under `exclude` a trial's score is the mean of what was read."""
    import dataclasses

    cell = a_cell()
    view = dataclasses.replace(cell.task.view, unparsed="exclude")
    cell = dataclasses.replace(cell, task=dataclasses.replace(cell.task, view=view))
    trial = a_trial(CORRECT, 0, right(15))
    assert trial.test is not None
    trial.test = dataclasses.replace(trial.test, answers=("yes",) * 20 + (None,) * 20, unparsed=20)
    result = analysed(a_study({CORRECT: 1}, (), cells=(cell,)), keyed([trial]))
    assert result.tables()["trials"][0]["score"] == 0.75


LOOKS = {CORRECT: [36, 37, 38, 36, 37, 38, 36, 35], WRONG: [10, 12, 9, 11, 10, 13, 9, 12]}


def test_a_look_stops_what_is_decided_and_marks_it() -> None:
    contrast = a_contrast(CORRECT, WRONG, margin=0.05)
    study = a_study({CORRECT: 12, WRONG: 12}, [contrast], sequential=(8, 12))
    look = make_look(study)
    facts = of_scores(LOOKS)
    assert look("small", 8, facts)
    assert not look("small", 7, facts)
    found = one(analysed(study, facts), contrast.name)
    assert (found.look, found.stop, found.biased, found.verdict) == (8, "efficacy", True, "supported")
    assert found.alpha < 0.05
    assert isinstance(found.p_holm, NotEstimable)
    # More blocks do not change what a look has decided.
    longer = {arm: [*values, 0, 0, 0, 0] for arm, values in LOOKS.items()}
    assert one(analysed(study, of_scores(longer)), contrast.name).difference == found.difference


def test_a_look_goes_on_where_nothing_is_decided() -> None:
    contrast = a_contrast(CORRECT, WRONG)
    study = a_study({CORRECT: 12, WRONG: 12}, [contrast], sequential=(8,))
    scores = {CORRECT: [20, 25, 22, 19, 24, 21, 20, 23], WRONG: [21, 22, 25, 18, 22, 23, 21, 20]}
    assert not make_look(study)("small", 8, of_scores(scores))
    found = one(analysed(study, of_scores(scores), "budget"), contrast.name)
    assert (found.look, found.stop, found.verdict) == (8, "", "cannot tell")
    short = {arm: values[:5] for arm, values in scores.items()}
    found = one(analysed(study, of_scores(short), "budget"), contrast.name)
    assert "no look was reached" in found.reason


def test_futility_stops_by_the_margin() -> None:
    contrast = a_contrast(CORRECT, WRONG, margin=0.2)
    study = a_study({CORRECT: 12, WRONG: 12}, [contrast], sequential=(8,))
    scores = {CORRECT: [20, 21, 20, 21, 20, 21, 20, 21], WRONG: [21, 20, 21, 20, 20, 20, 21, 21]}
    assert make_look(study)("small", 8, of_scores(scores))
    assert one(analysed(study, of_scores(scores)), contrast.name).stop == "futility"
