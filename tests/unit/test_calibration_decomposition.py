"""Which verdicts of the gain decomposition are right of a pair whose truth is known."""

from __future__ import annotations

import pytest

from nullgrad.analysis.calibration import Rate
from nullgrad.analysis.calibration_decomposition import (
    Audited,
    TruthOfPair,
    decomposition_rates,
    mistaken,
    pair_truth,
)
from nullgrad.api.calibrate_work import AuditJob, run_audits, truth_of_pair
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
        Audited(INFORMATION, "genuine"),
        Audited(INFORMATION, "threshold"),
        Audited(NOTHING, "cannot tell"),
    ]
    found = decomposition_rates("w", 1, 2, audits, 0.05)
    assert (found.wrong, found.gained) == (Rate(1, 3), Rate(2, 2))
    assert found.verdicts == {"genuine": 1, "threshold": 1, "cannot tell": 1}
    assert found.kinds == {"information": 2, "nothing": 1}


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
    found = run_audits(AuditJob(f"sim:{world}", tuple(range(6)), 0.05))
    assert {one.truth.kind for one in found} <= kinds
    assert {one.verdict for one in found} <= verdicts
    assert any(one.truth.gain > 0.03 for one in found)


def test_the_truth_of_a_pair_is_exact() -> None:
    world = parse_world("gradient")
    seed = sim_task(
        world.task_name, split={"train": 2, "validation": 2, "test": 2, "seed": 0}
    ).view.seed_prompt
    found = truth_of_pair(world, seed, seed)
    assert (found.gain, found.kind) == (0.0, "nothing")
