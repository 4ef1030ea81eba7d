"""Plans of studies: calls asked and paid against a run, power against its formulas, refusals, and what to cut."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.power import paired_power, welch_power
from nullgrad.analysis.stats.trend import kendall_trend
from nullgrad.analysis.study.plan import StudyPlan, plan_study
from nullgrad.core.arms import parse_arm
from nullgrad.core.chat import Request, Usage
from nullgrad.core.study import ContrastSpec, Study
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import UserError
from tests.support.studies import carry_out, oblige, study_over
from tests.support.study_facts import a_contrast, a_study, within

C, W = "gradient/correct/naive", "gradient/wrong/naive"


def price(model: str, usage: Usage) -> Decimal | None:
    """A millionth of a dollar for each token."""
    return Decimal((usage.prompt or 0) + (usage.completion or 0)) / 1_000_000


def differing(request: Request) -> str:
    """Replies that differ where requests do, so that arms part after their first step."""
    number = int(request.identity()[:8], 16)
    return oblige(dataclasses.replace(request, draw=number))


def planned(study: Study, **options: Any) -> StudyPlan:
    return plan_study(study, price=price, **options)


ARMS = [
    {C: 3, W: 3},
    {C: 3, "gradient/correct/validated@2": 3, "gradient/correct/best@2": 3, "gradient/correct/validated@3+wrong": 3},
    {"rewrite": 3, "rewrite/best@2": 2, "improve": 3, "one-step/none/naive": 3, "one-step/correct/random@2": 3},
    {"gradient/critic-smooth/naive": 2, "gradient/critic-smooth-wrong/naive": 2,
     "gradient/critic-smooth+frozen/validated@2": 2, "gradient/critic-binary/naive": 2},
]  # fmt: skip


@pytest.mark.parametrize("design", ["paired", "independent"])
@pytest.mark.parametrize("arms", ARMS)
def test_calls_asked_are_the_runs_and_calls_paid_are_at_most_the_plans(
    arms: dict[str, int], design: str, tmp_path: Path
) -> None:
    model = ScriptModel(differing, "script:differing")
    study = study_over(model, arms, design=design, steps=3, curve=(1, 3))
    plan = planned(study)
    run = carry_out(study, model, tmp_path / "ledger.db")
    assert plan.asked.total == sum(count for _, count in run.spend.by_role) == study.asked.total
    assert dict(run.spend.by_role) == {role: n for role, n in plan.asked.by_role.items() if n}
    assert run.spend.paid <= plan.paid.total < plan.asked.total
    # What is shared beyond the sure part are prompts that two arms keep or take alike, by the luck of selection.
    assert run.spend.paid >= 0.75 * plan.paid.total


def test_nothing_is_shared_under_independent_draws() -> None:
    study = a_study({C: 3, W: 3}, design="independent")
    assert planned(study).paid == study.asked
    paired = planned(a_study({C: 3, W: 3}))
    assert paired.asked.total - paired.paid.total == 3 * 3


def test_power_is_that_of_the_declared_margin() -> None:
    spec = a_contrast(C, W, margin=0.04)
    (one,) = planned(a_study({C: 12, W: 12}, [spec]), sd=0.03).contrasts
    assert one.power == paired_power(0.04, 0.03 * sqrt(2), 12, 0.05)
    assert (one.effect, one.declared, one.alpha, one.attainable) == (0.04, True, 0.05, 1 / 4096)
    assert isinstance(one.detectable, float)
    assert paired_power(one.detectable, 0.03 * sqrt(2), 12, 0.05) == pytest.approx(0.8, abs=1e-6)
    study = a_study({C: 30, W: 5}, [a_contrast(C, W), a_contrast(W, C)], design="independent")
    first = planned(study).contrasts[0]
    assert first.power == welch_power(0.05, (0.05, 0.05), (30, 5), 0.025)
    assert (first.declared, isinstance(first.equality_chance, NotEstimable)) == (False, True)
    assert first.attainable == 1 / 324_632


def test_power_of_a_trend_is_that_of_its_test() -> None:
    arms = [f"gradient/correct/validated@{n}" for n in (1, 2, 3)]
    spec = ContrastSpec("rise", "f", "trend", tuple(map(parse_arm, arms)), margin=0.05)
    (one,) = planned(a_study(dict.fromkeys(arms, 10), [spec], design="independent")).contrasts
    stream = np.random.default_rng(3)
    variants = np.repeat([1, 2, 3], 10)
    found = 0
    for _ in range(200):
        scores = stream.normal(0, 0.05, 30) + 0.05 * (variants - 1) / 2
        test = kendall_trend(variants, scores, seed=1, resamples=499)
        assert not isinstance(test, NotEstimable)
        found += test.greater <= 0.05
    assert isinstance(one.power, float)
    assert stats.binom.ppf(0.005, 200, one.power) - 4 <= found <= stats.binom.ppf(0.995, 200, one.power) + 4
    assert one.attainable == 1 / 100_001


def test_what_cannot_reach_its_level_is_refused_in_one_line() -> None:
    five = {C: 5, W: 5}
    study = a_study(five, [a_contrast(C, W), a_contrast(W, C)])
    with pytest.raises(UserError, match=r"attainable p 0.031 > 0.025") as caught:
        planned(study)
    assert caught.value.ways_out == "Ways out: more trials, fewer contrasts in the family."
    assert "(and 1 more)" in caught.value.what
    assert len(planned(study, refuse=False).problems) == 2
    # One contrast alone, or one trial more, and it can.
    assert planned(a_study(five, [a_contrast(C, W)])).problems == ()
    assert planned(a_study({C: 6, W: 6}, study.contrasts)).problems == ()
    # A published preset has the numbers that it has.
    assert (
        len(planned(a_study(five, [within("fit", C), within("fit", W)], preset="paper-longrun")).problems)
        == 2
    )
    with pytest.raises(UserError, match="look at 4 blocks"):
        planned(a_study({C: 12, W: 12}, [a_contrast(C, W)], sequential=(4,)))
    with pytest.raises(UserError, match="alpha"):
        planned(a_study({C: 9, W: 9}, [a_contrast(C, W)], alpha=0.6))
    with pytest.raises(UserError, match="sd"):
        planned(study, sd=0)


def test_tokens_dollars_and_seconds_come_from_the_pilot() -> None:
    study = a_study({C: 3}, design="independent")
    pilot = {role: Usage(100, 10) for role in ("generator", "optimizer", "critic", "judge")}
    plan = planned(study, pilot=pilot, concurrency=4, seconds_per_call=2.0)
    calls = study.asked.total
    assert (plan.prompt_tokens, plan.completion_tokens, plan.measured) == (100 * calls, 10 * calls, True)
    assert plan.usd == pytest.approx(110 * calls / 1_000_000)
    assert plan.seconds == pytest.approx(calls / 4 * 2.0)
    chain = planned(study, seconds_per_call=2.0, concurrency=10_000)
    # Four steps of a batch, two stages and a rewrite, then the test.
    assert chain.seconds == (4 * 4 + 1) * 2.0
    assert (chain.measured, planned(study).seconds) == (False, None)
    assert plan_study(study, price=lambda model, usage: None).usd is None
    assert json.loads(json.dumps(plan.to_dict()))["calls"]["asked"]["total"] == calls


def test_cuts_begin_with_what_costs_no_contrast() -> None:
    other = "improve"
    study = a_study({C: 12, W: 12, other: 12}, [a_contrast(C, W)], curve=(1, 4))
    whole = planned(study)
    assert (whole.cuts, whole.enough) == ((), True)
    plan = planned(study, max_calls=whole.paid.total - 1)
    assert [cut.what for cut in plan.cuts] == ["read the test by step no more"]
    assert (plan.enough, plan.cuts[0].lost) == (True, 0.0)
    plan = planned(study, max_calls=whole.paid.total // 3)
    assert plan.cuts[1].what == "leave out improve/none/naive, which is in no contrast"
    assert "fewer)" in plan.cuts[2].what
    assert len(plan.cuts) == 3
    assert plan.cuts[2].lost > 0
    left = int(plan.cuts[2].what.split()[1])
    again = a_study({C: left, W: left}, [a_contrast(C, W)])
    assert (planned(again).paid.total, plan.enough) == (plan.cuts[-1].calls, True)
    assert plan.cuts[-1].calls <= whole.paid.total // 3


def test_cuts_stop_where_a_contrast_could_not_reach_its_level() -> None:
    study = a_study({C: 12, W: 12}, [a_contrast(C, W)])
    plan = planned(study, max_usd=0.000001)
    assert not plan.enough
    # Five blocks are the least that a level of 0.05 allows.
    assert plan.cuts[-1].what.startswith("run 5 trials")
    cheap = planned(a_study({C: 12, W: 12}, [a_contrast(C, W)], design="independent"), max_usd=0.000001)
    assert not cheap.enough


def test_the_curve_that_a_plateau_needs_is_kept() -> None:
    study = a_study({C: 9}, [within("plateau", C)], curve=(1, 2, 4))
    plan = planned(study, max_calls=planned(study).paid.total - 1)
    assert plan.cuts[0].what == "read the test by step no more, but after step 2"
