"""The A/A test of optimizers: counting, the recommendation, the port, and arms in the world without effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest

from nullgrad.analysis.calibration.phantom import PhantomRun, advise, phantom_row
from nullgrad.analysis.calibration.rates import Rate
from nullgrad.api.calibrate import calibrate_optimizer
from nullgrad.api.calibrate_optimizers import ArmOptimizer, Claim
from nullgrad.core.task import Example, Task
from nullgrad.edges.sim import parse_world, sim_study, sim_task, simulate_study
from nullgrad.errors import UserError


def runs(mean: float, sd: float, count: int = 400) -> list[PhantomRun]:
    """Runs with exactly this mean and standard deviation."""
    values = np.random.default_rng(1).standard_normal(count)
    values = mean + sd * (values - values.mean()) / values.std(ddof=1)
    return [PhantomRun(float(value), 0.0, 3) for value in values]


def test_a_row_by_hand() -> None:
    row = phantom_row(
        50, 0.5, 1, [PhantomRun(0.04, 0.01, 3), PhantomRun(0.0, -0.01, 3), PhantomRun(0.02, 0.0, 2)]
    )
    assert (row.claimed.mean, row.fresh.mean) == (pytest.approx(0.02), pytest.approx(0.0))
    assert row.claimed.interval.high == pytest.approx(0.02 + 1.959964 * 0.02 / sqrt(3))
    assert row.some_gain == Rate(2, 3)
    assert row.candidates == pytest.approx(8 / 3)


def test_the_recommendation_follows_the_root_law() -> None:
    """Gain 0.5 / √n at budget 1 and twice that at 5: a point needs 2,500 and 10,000 examples."""
    rows = [
        phantom_row(n, 0.0, budget, runs(budget_gain / sqrt(n), 1e-6))
        for n in (100, 400)
        for budget, budget_gain in ((1, 0.5), (5, 1.0))
    ]
    (advice,) = advise(rows, 0.01)
    assert advice.kept == ()
    assert [(budget, needed) for budget, _, needed in advice.needed] == [
        (1, pytest.approx(2_500, abs=2)),
        (5, pytest.approx(10_000, abs=2)),
    ]
    (advice,) = advise(rows, 0.06)
    assert advice.kept == ((100, 1, 3.0), (400, 5, 3.0))
    assert [needed for _, _, needed in advice.needed] == [70, 278]


def test_the_constant_is_weighted_by_precision() -> None:
    """Gain·√n is 0.5 with standard error 0.1, and 0.4 with 0.05: weights 100 and 400, upper end at 0.42 + 1.96/√500."""
    rows = [phantom_row(100, 0.0, 1, runs(0.05, 0.2)), phantom_row(400, 0.0, 1, runs(0.02, 0.05))]
    (advice,) = advise(rows, 0.001)
    assert advice.needed[0][2] == pytest.approx(((0.42 + 1.959964 / sqrt(500)) / 0.001) ** 2, abs=2)


def test_the_interval_counts_and_not_the_mean_alone() -> None:
    rows = [phantom_row(100, 0.0, 1, runs(0.009, 0.1, 100))]
    assert not rows[0].under(0.01)
    (advice,) = advise(rows, 0.01)
    assert advice.needed[0][2] > 100
    assert phantom_row(100, 0.0, 1, runs(0.009, 0.001, 100)).under(0.01)


def test_an_arm_claims_what_its_trial_scored() -> None:
    """The claim through the port is the validation mean of the final prompt minus the seed prompt's, as recorded."""
    world = parse_world("sim:null?rho=0")
    task = sim_task(world.task_name, split={"train": 30, "validation": 40, "test": 20, "seed": 3})
    arm = "gradient/correct/validated@3"
    for seed in range(5):
        claim = ArmOptimizer(arm, world, task).run(
            task.view.seed_prompt, task.view.train, task.view.validation, 1, seed
        )
        study = sim_study(world, [arm], trials=1, steps=1, seed=seed, task=task)
        trial = simulate_study(study, world)[study.cells[0].name, arm, 0]
        scored = {number: np.mean(one.shown) for number, one in trial.steps[1].scored.items()}  # type: ignore[arg-type]
        assert claim.gain == pytest.approx(max(scored.values()) - scored[-1])
        assert claim.candidates == 3
        assert trial.final is not None and claim.prompt == trial.final.prompt


@dataclass
class Boaster:
    """Hands the seed prompt back with a claim of its own."""

    task: Task
    name: str = "boaster"

    def run(
        self,
        seed_prompt: str,
        train: Sequence[Example],
        validation: Sequence[Example],
        budget: int,
        seed: int,
    ) -> Claim:
        """Claim a tenth of a point for every unit of budget."""
        assert len(validation) in (10, 20) and seed_prompt == self.task.view.seed_prompt
        return Claim(seed_prompt, budget / 1_000, budget)


def test_any_optimizer_fits_the_port() -> None:
    told: list[tuple[int, int]] = []
    result = calibrate_optimizer(
        Boaster, validation=(10, 20), rho=(0.5,), budgets=(2, 30), runs=4, name="boaster",
        progress=lambda done, total, _: told.append((done, total)),
    )  # fmt: skip
    assert [row.claimed.mean for row in result.rows] == pytest.approx([0.002, 0.03, 0.002, 0.03])
    assert all(row.fresh.mean == 0.0 for row in result.rows)
    assert result.optimizer == "boaster" and result.to_dict()["simulated"] == ["sim:null"]
    assert told[-1] == (4, 4)
    assert result.advice[0].kept == ((10, 2, 2.0), (20, 2, 2.0))


def test_choosing_claims_a_gain_and_naive_does_not() -> None:
    """Where nothing helps: best of 3 claims about 0.85 standard errors of a difference; fresh data shows nothing."""
    found = {}
    for arm in ("gradient/correct/validated@3", "gradient/correct/naive"):
        (row,) = calibrate_optimizer(
            arm, validation=(50,), rho=(0.0,), budgets=(1,), runs=60, processes=1
        ).rows
        found[arm] = row
        assert abs(row.fresh.mean) < 4 * (row.fresh.interval.high - row.fresh.mean) / 1.96
    chosen, naive = found.values()
    assert 0.03 < chosen.claimed.mean < 0.13 and chosen.some_gain.share > 0.5
    assert naive.claimed.interval.low < 0.02
    assert abs(naive.claimed.mean) < 0.05


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = (
        calibrate_optimizer(
            "rewrite/none/best@2", validation=(20,), rho=(0.9,), budgets=(1, 2), runs=3, seed=4, processes=1
        ).to_json()
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("sorcery", "'sorcery' is no optimizer that calibrate knows. Nothing was run."),
        ("gradeint/correct/naive", "Did you mean gradient?"),
        ("gradient/critic-binary/naive", "has a critic"),
        ("gradient/corect/naive", "is no evaluation"),
        ("seed", "The seed prompt is no optimizer."),
    ],
)
def test_what_cannot_be_calibrated_is_said_in_one_line(arm: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        calibrate_optimizer(arm)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"validation": (1,)}, {"rho": (1.5,)}, {"budgets": ()}, {"runs": 1}, {"size": 0.0}, {"rho": ()}],
)
def test_numbers_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"[Nn]othing was run"):
        calibrate_optimizer("rewrite/none/best@2", **options)  # type: ignore[arg-type]
