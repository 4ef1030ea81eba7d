"""The corrected score of a selection in every simulated world: within a point of the truth, where the claim is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nullgrad.analysis.selection_bias import SelectionBias, selection_bias
from nullgrad.analysis.selection_report import first_rows
from nullgrad.analysis.study.rows import as_row
from nullgrad.core.arms import parse_arm
from nullgrad.edges.sim import WORLDS, parse_world, sim_study, sim_task, simulate_study

VALIDATION = 50

Errors = dict[str, np.ndarray]


def errors(spec: str, arm: str, runs: int) -> Errors:
    """Claimed, corrected and out-of-bag minus the exact accuracy of the winner on the population, by run.

    Each run has validation examples and draws of its own; its one step is not adaptive.
    """
    world = parse_world(spec)
    pool = sim_task(
        world.task_name, split={"train": 30, "validation": VALIDATION * runs, "test": 2, "seed": 7}
    )
    found: dict[str, list[float]] = {"claimed": [], "corrected": [], "out-of-bag": []}
    for run in range(runs):
        part = pool.view.validation[VALIDATION * run : VALIDATION * (run + 1)]
        task = replace(pool, view=replace(pool.view, validation=part))
        study = sim_study(world, [arm], trials=1, steps=1, seed=run, task=task)
        trial = simulate_study(study, world)[study.cells[0].name, parse_arm(arm).canonical, 0]
        rows, incumbents = first_rows(trial.steps[1], parse_arm(arm))
        bias = selection_bias(
            np.array([as_row(row) for row in rows]), seed=run, resamples=60, incumbents=incumbents
        )
        assert isinstance(bias, SelectionBias)
        assert isinstance(bias.corrected, float) and isinstance(bias.out_of_bag, float)
        assert trial.final is not None
        truth = world.accuracy(trial.final.prompt)
        found["claimed"].append(bias.claimed - truth)
        found["corrected"].append(bias.corrected - truth)
        found["out-of-bag"].append(bias.out_of_bag - truth)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["gradient/correct/best@5", "gradient/correct/validated@3"])
@pytest.mark.parametrize("world", WORLDS)
def test_the_corrected_score_is_within_a_point_and_the_claim_is_not(world: str, arm: str) -> None:
    found = errors(world, arm, 1_000)
    assert abs(found["corrected"].mean()) < 0.01
    assert found["claimed"].mean() > 0.01
    assert found["claimed"].mean() > 4 * abs(found["corrected"].mean())


def test_where_no_prompt_helps_the_claim_is_the_inflation() -> None:
    """In short; four standard errors."""
    found = errors("sim:null?rho=0", "rewrite/none/best@5", 150)
    assert found["claimed"].mean() > 0.04
    noise = 4 * found["corrected"].std() / np.sqrt(150)
    assert abs(found["corrected"].mean()) < noise < 0.035
