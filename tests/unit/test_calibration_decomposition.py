"""Which verdicts of the gain decomposition are right of a pair whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from nullgrad.analysis.audit.verdict import PREVALENCE_TYPE
from nullgrad.analysis.calibration.decomposition import (
    Audited,
    TruthOfPair,
    decomposition_rates,
    mistaken,
    pair_truth,
    planned_power,
    told_kind,
    too_silent,
)
from nullgrad.analysis.calibration.rates import Rate
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.api.calibrate_work import AuditJob, best_shifted, run_audits, truth_of_pair
from nullgrad.edges.sim import parse_world, sim_task

VERDICTS = ("no gain", "loss", "relabelling", "threshold", "prevalence", "mixed", "genuine", "cannot tell")
INFORMATION = TruthOfPair(0.1, True, False, False)
SHIFT = TruthOfPair(0.08, False, True, False)
SUPPRESSION = TruthOfPair(0.08, False, True, True)
CHANCE = TruthOfPair(0.08, False, True, None)
NOTHING = TruthOfPair(0.0, False, False, False)
LOSS = TruthOfPair(-0.1, True, False, False)


@pytest.mark.parametrize(
    ("truth", "right", "kind"),
    [
        (INFORMATION, {"genuine"}, "information"),
        (SHIFT, {"threshold", "relabelling"}, "shift"),
        (SUPPRESSION, {"prevalence"}, "suppression"),
        (CHANCE, {"threshold", "relabelling", "prevalence"}, "shift"),
        (NOTHING, {"no gain"}, "nothing"),
        (LOSS, {"loss"}, "no gain"),
        (TruthOfPair(0.02, True, False, False), {"genuine", "no gain"}, "information"),
        (
            TruthOfPair(0.1, True, True, True),
            {"relabelling", "threshold", "prevalence", "mixed", "genuine"},
            "both",
        ),
    ],
)
def test_what_is_right(truth: TruthOfPair, right: set[str], kind: str) -> None:
    assert {one for one in VERDICTS if not mistaken(truth, one, 0.05)} == right | {"cannot tell"}
    assert truth.kind == kind


def test_a_class_is_suppressed_below_half_its_prior_and_not_near_it() -> None:
    prior = {"a": 0.8, "b": 0.2}

    def found(rate: float, recall: float = 0.1) -> bool | None:
        before = (0.7, {"a": 0.7, "b": 0.7}, {"a": 0.6, "b": 0.4})
        after = (0.8, {"a": 0.97, "b": recall}, {"a": 1 - rate, "b": rate})
        return pair_truth(before, after, prior, informs=False, shifts=True).suppressed

    assert (found(0.05), found(0.1), found(0.15)) == (True, None, False)
    assert found(0.05, 0.9) is False


def test_counts() -> None:
    audits = [
        Audited(INFORMATION, "genuine", 0.9),
        Audited(INFORMATION, "threshold", 0.7),
        Audited(NOTHING, "cannot tell"),
    ]
    found = decomposition_rates("w", 1, 2, audits, 0.05)
    assert (found.wrong, found.gained) == (Rate(1, 3), Rate(2, 2))
    assert found.verdicts == {"genuine": 1, "threshold": 1, "cannot tell": 1}
    assert found.kinds == {"information": 2, "nothing": 1}
    assert (found.shifts, found.right, found.planned) == (Rate(1, 3), Rate(1, 2), pytest.approx(0.8))


def test_which_verdicts_name_the_kind() -> None:
    assert {one for one in VERDICTS if told_kind(INFORMATION, one)} == {"genuine"}
    assert {one for one in VERDICTS if told_kind(TruthOfPair(0.1, True, False, True), one)} == {
        "genuine",
        "mixed",
    }
    for shift in (SHIFT, SUPPRESSION, CHANCE):
        assert {one for one in VERDICTS if told_kind(shift, one)} == PREVALENCE_TYPE


def test_the_plan_is_that_of_two_normal_tests() -> None:
    """By hand: standard errors of 2 and 1.5 points."""
    gain, above = Interval(-0.02 * 1.96, 0.02 * 1.96), Interval(-0.015 * 1.96, 0.015 * 1.96)

    def power(distance: float, error: float) -> float:
        return float(norm.sf(1.96 - distance / error))

    shift = planned_power(SHIFT, -0.01, (gain, above), 0.05)
    assert shift == pytest.approx(power(0.08, 0.02) + power(0.06, 0.015) - 1, abs=1e-3)
    informs = planned_power(INFORMATION, 0.04, (gain, above), 0.05)
    assert informs == pytest.approx(power(0.1, 0.02) + power(0.04, 0.015) - 1, abs=1e-3)
    assert planned_power(INFORMATION, -0.04, (gain, above), 0.05) == 0.0
    for none_due in (
        NOTHING,
        LOSS,
        TruthOfPair(0.04, True, False, False),
        TruthOfPair(0.1, True, True, False),
    ):
        assert planned_power(none_due, 0.0, (gain, above), 0.05) is None


def test_silence_is_said() -> None:
    due = [Audited(SHIFT, "cannot tell", 0.9)] * 12 + [Audited(SHIFT, "threshold", 0.9)] * 8
    (finding,) = too_silent([decomposition_rates("w", 1, 2, due, 0.05)])
    assert "40.0 % of 20 audits, planned 90.0 %" in finding.text
    assert not too_silent([decomposition_rates("w", 1, 2, due[12:], 0.05)])
    assert not too_silent([decomposition_rates("w", 1, 2, [Audited(NOTHING, "no gain")], 0.05)])


def test_the_best_biases_are_found() -> None:
    """By a fine grid over the threshold; a lean that is already best cannot be bettered."""
    world = parse_world("prevalence")
    view = sim_task(world.task_name, split={"train": 2, "validation": 2, "test": 2, "seed": 0}).view
    effect = world.effect(view.seed_prompt)
    (evidence, *_), shares = set(effect.evidence), world.prior
    assert len(set(evidence)) == 1 and world.size == 2
    lean = np.linspace(-6, 6, 24_001)
    grid = shares[0] * norm.cdf(evidence[0] - lean) + shares[1] * norm.cdf(evidence[0] + lean)
    assert best_shifted(world, view.seed_prompt) == pytest.approx(grid.max(), abs=1e-7)
    assert best_shifted(world, view.seed_prompt) > world.accuracy(view.seed_prompt) + 0.01


@pytest.mark.parametrize(
    ("world", "kinds", "verdicts"),
    [
        ("gradient", {"information", "nothing"}, {"genuine", "cannot tell", "no gain"}),
        (
            "prevalence",
            {"suppression", "shift", "nothing"},
            {"prevalence", "threshold", "cannot tell", "no gain"},
        ),
    ],
)
def test_audits_of_a_world(world: str, kinds: set[str], verdicts: set[str]) -> None:
    found = run_audits(AuditJob(f"sim:{world}", tuple(range(12)), 0.05))
    assert {one.truth.kind for one in found} <= kinds
    assert {one.verdict for one in found} <= verdicts
    assert any(one.truth.gain > 0.03 for one in found)
    rates = decomposition_rates(world, 300, 1_000, found, 0.05)
    assert rates.planned is not None and rates.planned > 0.8 and rates.right.n >= 8
    assert not too_silent([rates]) and rates.right.count >= rates.right.n - 1
    # Information: at most 5 % may be called a shift, of twelve none. Suppression: with the planned power.
    assert rates.shifts.count == 0 if world == "gradient" else rates.shifts.count >= 11


def test_the_truth_of_a_pair_is_exact() -> None:
    world = parse_world("gradient")
    seed = sim_task(
        world.task_name, split={"train": 2, "validation": 2, "test": 2, "seed": 0}
    ).view.seed_prompt
    found = truth_of_pair(world, seed, seed)
    assert (found.gain, found.kind) == (0.0, "nothing")
