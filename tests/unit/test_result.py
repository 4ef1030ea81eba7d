"""The result of one optimization from constructed facts: what is said first, what is counted, what is printed."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nullgrad.analysis.recommendation import course_of
from nullgrad.analysis.result import OptimizeResult, analyse
from nullgrad.analysis.selection_bias import SelectionBias, selection_bias
from nullgrad.core.arms import parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Ask
from nullgrad.core.events import BatchRun, CandidateScored, Event, TestOpened
from nullgrad.core.facts import Block, Facts, Reading, Spend, Tally, outcome_tally, reported_trial, standings
from nullgrad.core.forward import Output, SplitScores
from nullgrad.core.plan import Controls, Plan
from nullgrad.core.rows import mean_known
from nullgrad.core.scoring import make_scorer
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.core.task import Outcome, Scored, Task, TaskView, UnparsedAnswer
from nullgrad.core.trial import run_trial
from nullgrad.edges.packs import load_pack
from nullgrad.surfaces.export import export
from nullgrad.surfaces.text import print_result
from tests.support.trials import Recorder, examples, make_task, obliging, reply, run

ARM = "one-step/correct/validated@2"
RIGHT, WRONG = Scored(1.0, "yes"), Scored(0.0, "no")
UNREAD, LOST = UnparsedAnswer("not-a-label", "Perhaps."), Failed("server", "gone")


def plan_of(
    task: Task, arm: str = ARM, *, steps: int = 2, trials: int = 1, controls: Controls = "none"
) -> Plan:
    cast = Cast(*[RoleModel("m")] * 4)
    return Plan(task, parse_arm(arm), steps, 3, trials, controls, 0, cast, load_pack("standard"))


def scores_of(plan: Plan, outcomes: Sequence[Outcome]) -> SplitScores:
    outputs: list[Output] = []
    for example, outcome in zip(plan.task.test, outcomes, strict=True):
        if isinstance(outcome, Failed):
            outputs.append(Output(example, outcome, outcome, ("test", 0)))
        elif isinstance(outcome, UnparsedAnswer):
            outputs.append(Output(example, reply(outcome.text), outcome, ("test", 0)))
        else:
            outputs.append(Output(example, reply(outcome.answer), outcome.answer, ("test", 0)))
    return SplitScores(tuple(outputs), tuple(outcomes), tuple(outcomes))


def result_of(
    plan: Plan,
    seed: Sequence[Outcome],
    best: Sequence[Outcome] | None = None,
    *,
    events: Sequence[Event] = (),
    blocks: Sequence[Block] = (),
    stopped: str = "",
    readings_before: int = 0,
) -> OptimizeResult:
    """`best` None means that the seed prompt is reported."""
    own = plan.seed_candidate
    first = Reading("seed", own, scores_of(plan, seed))
    second = Reading(
        "best", own if best is None else Candidate.of("New."), scores_of(plan, seed if best is None else best)
    )
    trial = reported_trial(plan.arm, plan.trials, standings(events))
    facts = Facts(
        plan, tuple(events), trial, second.candidate, first, second, tuple(blocks), stopped, Spend()
    )
    return analyse(
        facts, version="0", models=(("generator", "m"),), simulated=(), readings_before=readings_before
    )


def trial_events(plan: Plan, responder: Any = obliging) -> list[Event]:
    recorder = Recorder(responder)
    for trial in range(plan.trials):
        run(run_trial(plan.setting(plan.arm, trial)), recorder)
    return recorder.events


def printed(result: OptimizeResult) -> str:
    stream = io.StringIO()
    print_result(result, stream)
    return " ".join(stream.getvalue().split())


def of_proposals(text: str) -> Any:
    """Answers as ever, and one reply to every request for a prompt."""

    def respond(ask: Ask) -> Reply | Failed:
        return obliging(ask) if ask.about.stage == "forward" else reply(text)

    return respond


SIX = [RIGHT, WRONG] * 3


def test_zero_steps_and_the_seed_arm_optimize_nothing() -> None:
    for plan in (plan_of(make_task(), steps=0), plan_of(make_task(), "seed")):
        result = result_of(plan, SIX)
        assert result.recommendation == "keep"
        assert result.reason.startswith("Nothing was optimized:")


def test_where_no_proposal_could_be_read_nothing_is_told() -> None:
    plan = plan_of(make_task())
    result = result_of(plan, SIX, events=trial_events(plan, of_proposals("I cannot help with that.")))
    assert result.recommendation == "cannot tell"
    assert "no candidate could be read from the optimizer's replies" in result.reason.lower()
    assert "0 of 4: 4 " in result.reason


def test_a_budget_that_ends_before_any_candidate_is_named() -> None:
    plan = plan_of(make_task())
    started = trial_events(plan)[:1]
    result = result_of(plan, SIX, events=started, stopped="the budget of 10 calls is reached")
    assert (result.recommendation, result.complete) == ("cannot tell", False)
    assert "budget ended before" in result.reason
    unread = [event for event in trial_events(plan, of_proposals("")) if event.kind != "trial-done"]
    result = result_of(plan, SIX, events=unread, stopped="the budget")
    assert "budget ended before" in result.reason and "0 of 4" in result.reason


def test_a_budget_that_ends_in_the_first_comparison_is_named() -> None:
    plan = plan_of(make_task())
    half: list[Event] = []
    for event in trial_events(plan):
        if event.kind == "step-done":
            break
        half.append(event)
    assert any(isinstance(event, CandidateScored) for event in half)
    result = result_of(plan, SIX, events=half, stopped="the budget")
    assert result.recommendation == "cannot tell"
    assert "compared" in result.reason


def test_a_seed_that_won_is_kept_for_this_reason() -> None:
    plan = plan_of(make_task())
    result = result_of(plan, SIX, events=trial_events(plan))
    assert result.recommendation == "keep"
    assert result.reason == "No candidate was better than the seed prompt on validation (4 compared)."
    done = [event for event in trial_events(plan) if event.kind != "trial-done"]
    assert "4 compared before the budget ended" in result_of(plan, SIX, events=done, stopped="b").reason


def test_candidates_whose_calls_failed_were_not_compared() -> None:
    plan = plan_of(make_task())

    def respond(ask: Ask) -> Reply | Failed:
        lost = ask.about.stage == "forward" and ask.about.split == "validation"
        return Failed("server", "gone") if lost else obliging(ask)

    events = trial_events(plan, respond)
    assert course_of(events, plan.arm, 1).candidates == 4
    assert course_of(events, plan.arm, 1).compared == 0
    result = result_of(plan, SIX, events=events)
    assert result.recommendation == "cannot tell"
    assert "calls failed" in result.reason


def test_an_arm_without_validation_may_end_where_it_began() -> None:
    plan = plan_of(make_task(), "rewrite")
    events = trial_events(plan, of_proposals(f"<prompt>{plan.task.view.seed_prompt}</prompt>"))
    result = result_of(plan, SIX, events=events)
    assert (result.recommendation, "word for word" in result.reason) == ("keep", True)


@pytest.mark.parametrize(
    ("seed", "best"),
    [([UNREAD] * 6, None), ([UNREAD] * 6, [RIGHT] * 6), ([RIGHT] * 6, [UNREAD] * 4 + [RIGHT, LOST])],
)
def test_mostly_unreadable_answers_come_first(seed: list[Outcome], best: list[Outcome] | None) -> None:
    plan = plan_of(make_task(), steps=0 if best is None else 2)
    result = result_of(plan, seed, best)
    assert result.recommendation == "cannot tell"
    assert "'Answer with one word.'" in result.reason and "scorer exact" in result.reason
    assert printed(result).startswith("cannot tell: ")


def test_half_unreadable_answers_do_not() -> None:
    assert result_of(plan_of(make_task(), steps=0), [UNREAD, RIGHT] * 3).recommendation == "keep"


def excluding() -> Task:
    task = make_task()
    values = {name: getattr(task.view, name) for name in TaskView.__slots__}
    return Task(TaskView(**{**values, "unparsed": "exclude"}), task.test, task.digest)


def test_an_unknown_score_is_unknown_everywhere() -> None:
    result = result_of(plan_of(excluding()), [UNREAD] * 6, [RIGHT] * 6)
    assert result.seed_test.score is None
    value = result.to_dict()
    assert value["test"]["seed"]["score"] is None
    assert value["test"]["best"]["score"] == 1.0
    assert value["test"]["gain"]["points"] is None
    assert "seed – not estimable" in printed(result)
    assert "seed unknown" in export(value, "markdown")
    json.dumps(value, allow_nan=False)


def test_openings_of_the_test_are_counted_as_recorded() -> None:
    plan = plan_of(make_task())
    scope = f"{ARM}#0"
    seed = TestOpened(scope, "seed", plan.task.view.seed_prompt)
    events = [
        seed,
        TestOpened(scope, "best", plan.task.view.seed_prompt),
        TestOpened("seed#1", "seed", "x"),
        seed,
    ]
    result = result_of(plan, SIX, events=events, readings_before=4)
    assert result.test_readings == 3, "the same opening stated again is recorded once"
    test = result.to_dict()["test"]
    assert (test["readings"], test["readings_before"]) == (3, 4)
    assert "the sealed test was opened 3 times, and 4 times by earlier runs" in printed(result)
    alone = result_of(plan, SIX, events=events)
    assert alone.to_dict()["test"]["readings_before"] == 0
    assert "earlier runs" not in printed(alone)


def test_a_judged_batch_is_neither_scored_nor_failed() -> None:
    """Without a judge's scores the event says which answers could not be read, and nothing of the others."""
    events = [BatchRun("a#0", 1, ("x", "y", "z"), (), 1), BatchRun("a#0", 2, ("x", "y"), (1.0, None), 0)]
    assert outcome_tally(events)["train"] == Tally(scored=1, unparsed=1, failed=1, ungraded=2)
    result = result_of(plan_of(make_task()), SIX, events=events[:1])
    assert result.to_dict()["outcomes"]["train"] == {"scored": 0, "unparsed": 1, "failed": 0, "ungraded": 2}


def test_the_best_of_several_trials_says_so() -> None:
    plan = plan_of(make_task(), trials=3)
    result = result_of(plan, SIX, [RIGHT] * 6, events=trial_events(plan))
    reported = result.to_dict()["reported"]
    assert reported == {
        "trial": result.trial, "of": 3, "chosen_by": "validation", "mean_test_score": None, "trials_tested": 0,
    }  # fmt: skip
    line = f"Reported: trial #{result.trial}, best of 3 by validation; mean of the 3 trials on test is known only with controls."
    assert line in printed(result)
    assert "Reported:" not in printed(result_of(plan_of(make_task()), SIX, [RIGHT] * 6))
    assert "Reported:" not in printed(result_of(plan_of(make_task(), steps=0, trials=3), SIX))


def test_trials_that_were_never_validated_report_the_first() -> None:
    plan = plan_of(make_task(), "one-step/correct/naive", trials=2)
    result = result_of(plan, SIX, [RIGHT] * 6, events=trial_events(plan))
    assert result.to_dict()["reported"]["chosen_by"] == "number"
    assert "trial #0, the first of 2" in printed(result)


def test_with_controls_the_mean_of_the_trials_stands_beside_the_best() -> None:
    plan = plan_of(make_task(), "rewrite", trials=3, controls="standard")
    blocks = [
        Block(trial, {"seed": (0.0,) * 6, "rewrite/none/naive": (1.0, None, *[float(trial)] * 4)})
        for trial in range(2)
    ]
    result = result_of(plan, SIX, [RIGHT] * 6, events=trial_events(plan), blocks=blocks)
    reported = result.to_dict()["reported"]
    assert (reported["mean_test_score"], reported["trials_tested"]) == (0.6, 2)
    assert "mean of 2 trials on test is 60.0 %" in printed(result)


def test_missing_answers_that_decide_a_rung_are_printed() -> None:
    plan = plan_of(make_task(), "rewrite", trials=4, controls="standard")
    blocks = [
        Block(
            trial, {"seed": (None, None, 0.0, 0.0), "rewrite/none/naive": (0.0, 0.0, 1.0, float(trial > 0))}
        )
        for trial in range(4)
    ]
    result = result_of(plan, SIX, [RIGHT] * 6, blocks=blocks)
    (step,) = result.to_dict()["attribution"]["ladder"]["steps"][1:]
    assert (step["told"], step["missing"], step["missing_decides"]) == (True, 8, True)
    text = printed(result)
    assert "8 missing test answers could change what is told of 'paraphrase'" in text
    assert "cannot tell" in text


def test_the_free_part_is_printed_with_its_guard() -> None:
    plan = plan_of(make_task(validation=8))
    result = result_of(plan, SIX, events=trial_events(plan))
    free = result.to_dict()["attribution"]["free"]
    assert free["candidates"] == 4 and free["validation_examples"] == 8
    assert free["guard_points"] == pytest.approx(
        100 * (free["validation_guarded_cross_fitted"] - free["validation_chosen_cross_fitted"]), abs=1e-4
    )
    text = printed(result)
    assert "On 8 validation examples: seed" in text
    assert f"choosing among them {free['choosing_points']:+.1f} points" in text
    assert f"keeping the seed as a candidate {free['guard_points']:+.1f} points (cross-fitted)" in text


def test_the_winner_stands_beside_what_corrects_it() -> None:
    """One step of best@n is not adaptive: its winner is the reported prompt, and the sealed test is of it."""
    plan = plan_of(make_task(validation=8), "one-step/correct/best@3", steps=1)
    events = trial_events(plan)
    result = result_of(plan, SIX, [RIGHT] * 6, events=events)
    rows = [event.shown for event in events if isinstance(event, CandidateScored)]
    found = result.to_dict()["selection"]
    assert (found["adaptive"], found["labels"], found["trials"]) == (False, "correct", 1)
    first = found["first_step"]
    assert (first["candidates"], first["validation_examples"]) == (3, 8)
    assert first["claimed"] == found["final_claimed"] == max(sum(row) / 8 for row in rows)  # type: ignore[arg-type]
    again = selection_bias(np.array(rows, dtype=float), seed=0)
    assert isinstance(again, SelectionBias)
    assert first["corrected"] == pytest.approx(again.corrected, abs=1e-6)
    assert first["out_of_bag"] == pytest.approx(again.out_of_bag, abs=1e-6)
    assert first["inflation_points"] == pytest.approx(100 * again.inflation, abs=1e-4)
    assert found["final_test"] == 1.0
    text = printed(result)
    assert "winner claimed corrected out-of-bag if equal sealed test" in text
    assert "only the sealed test is unbiased" not in text


def test_a_winner_by_balanced_accuracy_is_corrected_on_its_own_scale() -> None:
    """An example of a rare class contributes more than 1; the estimates are linear in the scores."""
    stream = np.random.default_rng(4)
    weights = np.where(np.arange(20) < 4, 2.5, 0.625)
    rows = weights * (stream.random((5, 20)) < 0.6)
    plan = replace(
        plan_of(make_task(validation=20), "one-step/correct/best@5", steps=1), objective="balanced"
    )
    events = [
        replace(event, shown=tuple(rows[event.variant])) if isinstance(event, CandidateScored) else event
        for event in trial_events(plan)
    ]
    result = result_of(plan, SIX, [RIGHT] * 6, events=events)
    first = result.to_dict()["selection"]["first_step"]
    again = selection_bias(rows / 2.5, seed=0)
    assert isinstance(again, SelectionBias)
    assert isinstance(again.corrected, float)
    assert first["claimed"] == pytest.approx(rows.mean(axis=1).max(), abs=1e-6)
    assert first["corrected"] == pytest.approx(2.5 * again.corrected, abs=1e-6)
    assert first["inflation_points"] == pytest.approx(250 * again.inflation, abs=1e-4)
    assert result.to_dict()["attribution"]["free"] is None


def test_after_adaptive_steps_only_the_sealed_test_is_unbiased() -> None:
    plan = plan_of(make_task(validation=8), steps=2)
    result = result_of(plan, SIX, [RIGHT] * 6, events=trial_events(plan))
    found = result.to_dict()["selection"]
    # Two variants and the seed prompt in the first step.
    assert (found["adaptive"], found["first_step"]["candidates"]) == (True, 3)
    text = printed(result)
    assert f"step 2 {100 * found['final_claimed']:.1f} % 100.0 %" in text
    assert "of the final prompt only the sealed test is unbiased" in text


def test_several_trials_are_one_choice_and_an_arm_that_does_not_choose_claims_nothing() -> None:
    plan = plan_of(make_task(validation=8), "one-step/correct/best@2+wrong", steps=1, trials=3)
    found = result_of(plan, SIX, [RIGHT] * 6, events=trial_events(plan)).to_dict()["selection"]
    assert (found["first_step"]["candidates"], found["labels"]) == (6, "wrong")
    assert found["first_step"]["claimed"] == found["final_claimed"]
    naive = plan_of(make_task(), "one-step/correct/naive")
    assert result_of(naive, SIX, events=trial_events(naive)).to_dict()["selection"] is None


def test_labels_of_sets_get_their_recall() -> None:
    labels = ("a", "b")
    view = make_task().view
    values = {name: getattr(view, name) for name in TaskView.__slots__}
    view = TaskView(**{**values, "labels": labels, "scorer": make_scorer("labels", labels=labels)})
    task = Task(view, examples("test", 6, ("a, b", "none")), "digest")
    result = result_of(plan_of(task), [Scored(1.0, "a, b"), Scored(0.0, "b")] * 3, [Scored(0.0, "a")] * 6)
    classes = result.to_dict()["classes"]
    assert (classes["a"]["n"], classes["a"]["seed"]["recall"], classes["b"]["best"]["recall"]) == (
        3,
        1.0,
        0.0,
    )
    assert classes["b"]["seed"]["predicted"] == 6


def test_a_mean_of_nothing_is_unknown() -> None:
    assert mean_known([None, None]) is None
    assert mean_known([None, 0.25, 0.75]) == 0.5


def test_the_canonical_result_leaves_out_what_was_paid() -> None:
    result = result_of(plan_of(make_task()), SIX, [RIGHT] * 6)
    value = json.loads(result.canonical())
    assert not {"calls", "tokens", "usd", "seconds"} & set(value)
    assert {**value, **{key: result.to_dict()[key] for key in ("calls", "tokens", "usd", "seconds")}} == (
        result.to_dict()
    )
