"""Budget, limiter, retry, plan and schedule."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nullgrad.core.arms import parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Usage
from nullgrad.core.events import CandidateScored, Proposed, StepDone, TestScored, TrialDone, TrialStarted
from nullgrad.core.facts import outcome_tally, reported_trial, standings
from nullgrad.core.plan import Plan, wanted
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.edges.packs import load_pack
from nullgrad.errors import BudgetReached, CallError, UserError
from nullgrad.run.budget import Budget, Limits, Reserve
from nullgrad.run.limiter import Limiter
from nullgrad.run.retry import RetryPolicy
from tests.support.trials import make_task


def make_plan(**changes: object) -> Plan:
    arm = parse_arm("gradient/correct/validated@3")
    player = RoleModel("m")
    values: dict[str, object] = {
        "task": make_task(), "arm": arm, "steps": 2, "batch_size": 3, "trials": 1, "controls": "none",
        "seed": 0, "cast": Cast(player, player, player, player), "pack": load_pack("standard"), **changes,
    }  # fmt: skip
    return Plan(**values)  # type: ignore[arg-type]


def test_calls_in_flight_count_against_the_limit() -> None:
    budget = Budget(Limits(calls=3))
    for _ in range(3):
        budget.admit(reserved=False)
    with pytest.raises(BudgetReached):
        budget.admit(reserved=False)
    budget.settle(None, None)
    budget.admit(reserved=False)


def test_the_sealed_test_is_set_aside() -> None:
    budget = Budget(Limits(calls=10))
    budget.set_aside(Reserve(calls=6))
    for _ in range(4):
        budget.admit(reserved=False)
    with pytest.raises(BudgetReached):
        budget.admit(reserved=False)
    for _ in range(6):
        budget.admit(reserved=True)
    with pytest.raises(BudgetReached):
        budget.admit(reserved=True)


def test_what_is_left_of_the_reserve_is_given_back() -> None:
    budget = Budget(Limits(calls=10))
    budget.set_aside(Reserve(calls=6))
    budget.set_aside(Reserve())
    for _ in range(10):
        budget.admit(reserved=False)


def test_the_reserve_goes_in_proportion_and_stays_the_callers_own() -> None:
    reserve = Reserve(calls=4, tokens=100, usd=Decimal(2))
    assert reserve.without(1) == Reserve(3, 75, Decimal("1.5"))
    assert reserve.without(4) == reserve.without(9) == Reserve()
    budget = Budget(Limits(calls=10, tokens=1000))
    budget.set_aside(reserve)
    budget.admit(reserved=True)
    assert reserve == Reserve(4, 100, Decimal(2))
    assert budget.reserve == Reserve(3, 75, Decimal("1.5"))


def test_an_unknown_cost_is_booked_as_the_mean_and_refused_where_there_is_none() -> None:
    budget = Budget(Limits(tokens=1000, usd=Decimal(1)))
    for usage, usd in ((Usage(10, 2), Decimal("0.5")), (Usage(), None)):
        budget.admit(reserved=False)
        budget.settle(usage, usd)
    assert (budget.calls, budget.tokens, budget.usd) == (2, 24, Decimal(1))
    assert (budget.uncounted, budget.unpriced) == (1, 1)
    for limits, option in ((Limits(tokens=1), "--max-tokens"), (Limits(usd=Decimal(1)), "--max-usd")):
        unknown = Budget(limits)
        unknown.admit(reserved=False)
        with pytest.raises(UserError, match=option):
            unknown.settle(Usage(), None)
    free = Budget(Limits(calls=1))
    free.admit(reserved=False)
    free.settle(Usage(), None)


@pytest.mark.parametrize(
    ("limits", "reserve"),
    [
        (Limits(calls=5), Reserve(calls=6)),
        (Limits(tokens=5), Reserve(tokens=6)),
        (Limits(usd=Decimal("0.1")), Reserve(usd=Decimal("0.2"))),
    ],
)
def test_a_budget_too_small_for_the_test_is_refused(limits: Limits, reserve: Reserve) -> None:
    with pytest.raises(UserError, match="sealed test"):
        Budget(limits).check(reserve)
    Budget(Limits()).check(reserve)


def test_tokens_and_dollars() -> None:
    budget = Budget(Limits(tokens=100, usd=Decimal("1")))
    budget.admit(reserved=False)
    budget.settle(Usage(60, 20), Decimal("0.1"))
    budget.admit(reserved=False)
    with pytest.raises(BudgetReached, match="tokens"):
        budget.admit(reserved=False)
    budget.settle(Usage(1, 1), None)
    assert budget.unpriced == 1


def test_limiter_halves_once_a_window_and_grows_by_one_a_round() -> None:
    limiter = Limiter(32)
    assert limiter.overloaded(now=10.0, started=9.0, retry_after=None)
    assert not limiter.overloaded(now=10.1, started=9.5, retry_after=None), "an echo of the same window"
    assert limiter.limit == 16
    assert limiter.overloaded(now=11.0, started=10.5, retry_after=2.0)
    assert limiter.limit == 8
    assert not limiter.free(12.9)
    assert limiter.free(13.0)
    for _ in range(8):
        limiter.succeeded()
    assert 8.9 < limiter.limit <= 9.0
    for _ in range(5000):
        limiter.succeeded()
    assert limiter.limit == 32
    for number in range(20):
        limiter.overloaded(now=20.0 + number, started=19.5 + number, retry_after=None)
    assert limiter.limit == 1


def test_where_one_call_in_flight_is_too_many_calls_rest_between() -> None:
    limiter = Limiter(1)
    rests = []
    for number in range(1, 7):
        limiter.overloaded(now=float(number), started=number - 0.5, retry_after=None)
        rests.append(limiter.resume_at - number)
    assert rests == sorted(rests)
    assert 0 < rests[0] < rests[-1] == rests[-2]
    for _ in range(10):
        limiter.succeeded()
    limiter.overloaded(now=10.0, started=9.5, retry_after=None)
    assert limiter.resume_at - 10.0 < rests[1]


def test_retry_only_where_the_error_says_so() -> None:
    policy = RetryPolicy(attempts=3, base=1.0, cap=4.0, patience=60.0)
    hopeless = CallError("rejected", "no", retryable=False)
    again = CallError("server", "oops", retryable=True)
    assert policy.pause(hopeless, 1) is None
    first, second = policy.pause(again, 1), policy.pause(again, 2)
    assert first is not None and 0.5 <= first <= 1.0
    assert second is not None and 1.0 <= second <= 2.0
    assert policy.pause(again, 3) is None
    asked = policy.pause(CallError("rate-limit", "wait", retryable=True, retry_after=30.0), 1)
    assert asked is not None and 30.0 <= asked <= 30.1
    assert policy.pause(CallError("rate-limit", "wait", retryable=True, retry_after=3600.0), 1) is None


def test_blocks_start_in_order_and_fill_the_slots() -> None:
    assert wanted(5, [], [], 2) == (0, 1)
    assert wanted(5, [0], [1], 2) == (2,)
    assert wanted(5, [0, 1, 2], [3, 4], 2) == ()
    assert wanted(3, [0, 1, 2], [], 2) == ()


def test_a_run_is_known_by_everything_that_decides_it() -> None:
    base = make_plan()
    assert base.run == make_plan().run
    player = RoleModel("other")
    for change in (
        {"steps": 3}, {"batch_size": 2}, {"seed": 1},
        {"arm": parse_arm("gradient/wrong/validated@3")}, {"cast": Cast(player, player, player, player)},
        {"pack": load_pack("compact")},
    ):  # fmt: skip
        assert make_plan(**change).run != base.run, change
    for more in ({"trials": 2}, {"controls": "standard"}):
        assert make_plan(**more).run == base.run, "more trials and controls go on with the same run"


def test_controls_are_the_ladder_without_main_and_seed() -> None:
    plan = make_plan(controls="standard", trials=5)
    names = [arm.canonical for arm in plan.control_arms]
    assert names[0] == "rewrite/none/naive"
    assert "seed" not in names
    assert plan.arm not in plan.control_arms
    assert len(make_plan(controls="full").control_arms) > len(names)
    assert make_plan(controls="standard", steps=0).control_arms == ()


def test_the_reported_trial_has_the_best_validation() -> None:
    arm = parse_arm("improve/none/validated@2")

    def events(trial: int, score: float) -> list[object]:
        scope = f"{arm.canonical}#{trial}"
        return [
            TrialStarted(scope, "seed", Candidate.of("seed").texts),
            Proposed(scope, 1, 0, f"p{trial}", Candidate.of(f"p{trial}").texts),
            CandidateScored(scope, 1, 0, f"p{trial}", (score,), (score,), 0),
            StepDone(scope, 1, 0, f"p{trial}"),
            TrialDone(scope, f"p{trial}", 1),
        ]

    folded = standings([*events(0, 0.5), *events(1, 0.9), *events(2, 0.9)])  # type: ignore[list-item]
    assert reported_trial(arm, 3, folded) == 1
    assert folded[f"{arm.canonical}#1"].candidate == Candidate.of("p1")
    assert folded[f"{arm.canonical}#1"].done
    assert reported_trial(parse_arm("improve"), 3, {}) == 0


def test_outcomes_are_counted_apart() -> None:
    tally = outcome_tally(
        [
            CandidateScored("s", 1, 0, "p", (1.0, 0.0, None, 0.0), (1.0, 0.0, None, 0.0), 1),
            TestScored("s", "seed", "p", (None, 1.0), 0),
        ]
    )
    assert (tally["validation"].scored, tally["validation"].unparsed, tally["validation"].failed) == (2, 1, 1)
    assert (tally["test"].scored, tally["test"].failed) == (1, 1)


def test_what_the_test_will_cost_is_learned_from_the_generators_calls() -> None:
    budget = Budget(Limits(tokens=20_000))
    budget.set_aside(Reserve(100, 30_000))
    with pytest.raises(BudgetReached):
        budget.admit(reserved=False)
    budget.set_aside(Reserve(100, 5_000))
    for _ in range(20):
        budget.admit(reserved=False)
        budget.settle(Usage(9, 1), None, forward=True)
    assert budget.held == Reserve(100, 1_250), "by their mean, with a quarter more, in place of the forecast"
    for _ in range(30):
        budget.admit(reserved=False)
        budget.settle(Usage(90, 10), None)
    assert budget.held.tokens == 1_250, "an optimizer's calls tell nothing of the test"
    for _ in range(20):
        budget.admit(reserved=False)
        budget.settle(Usage(80, 10), None, forward=True)
    assert budget.held.tokens == 6_250, "longer prompts make the test dearer"
    budget.admit(reserved=True)
    assert budget.held.calls == 99
