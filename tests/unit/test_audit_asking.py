"""What an audit asks, in which order and how often, and which facts it states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nullgrad.core.audit import ablate, read_fresh, read_shortest, read_test, read_validation, start
from nullgrad.core.audit_plan import TEST_AGAIN, AuditPlan, first_variants, keeping, leaving_out
from nullgrad.core.events import KINDS, AuditStarted, PromptRun, TestOpened, TestScored, parse_event
from nullgrad.core.fresh_items import fresh_items, has_share, items_at
from nullgrad.core.sections import cut
from nullgrad.core.task import Example, Made
from nullgrad.edges.ledger.fold import ScopeFold
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.errors import UserError
from tests.support.audits import AFTER, BEFORE, make_plan, noisy, obeying
from tests.support.trials import Recorder, make_task, run


def whole(plan: AuditPlan, recorder: Recorder) -> dict[str, Any]:
    run(start(plan), recorder)
    found = {"validation": run(read_validation(plan), recorder), "test": run(read_test(plan), recorder)}
    found["fresh"] = run(read_fresh(plan), recorder) if plan.fresh else {}
    if plan.sections:
        found["ablation"] = run(ablate(plan), recorder)
        found["shortest"] = run(read_shortest(plan, found["ablation"]), recorder)
    return found


def test_both_prompts_share_their_draws_and_are_read_on_validation_and_test() -> None:
    plan, recorder = make_plan(), Recorder(obeying)
    whole(plan, recorder)
    assert len(recorder.asks) == plan.calls.total == 2 * (20 + 30)
    draws: dict[tuple[str, str], set[int]] = {}
    for ask in recorder.asks:
        draws.setdefault((ask.about.split, ask.about.example), set()).add(ask.request.draw)
    assert all(len(one) == 1 for one in draws.values())


def test_the_draws_are_those_of_the_recorded_trial() -> None:
    task = make_task(validation=4, test=3)
    plan = make_plan(task=task, seed=7, trial=2)
    recorder = Recorder(obeying)
    run(read_test(plan), recorder)
    expected = {plan.setting().draws.forward("test", one.id) for one in task.test}
    assert {ask.request.draw for ask in recorder.asks} == expected
    other = Recorder(obeying)
    run(read_test(make_plan(task=task, seed=7, trial=0)), other)
    assert not expected & {ask.request.draw for ask in other.asks}


def test_each_opening_of_the_test_is_stated_once_for_each_prompt() -> None:
    plan, recorder = make_plan(sections=True, repeats=2), Recorder(obeying)
    found = whole(plan, recorder)
    opened = [event for event in recorder.events if isinstance(event, TestOpened)]
    assert [event.purpose for event in opened] == ["before", "after", "shortest"]
    assert opened[2].candidate not in {opened[0].candidate, opened[1].candidate}
    assert len([event for event in recorder.events if isinstance(event, TestScored)]) == 3
    assert len(found["shortest"].shown) == 30


def test_facts_are_written_down_and_read_back_and_verify() -> None:
    plan, recorder = (
        make_plan(sections=True, repeats=2, fresh={TEST_AGAIN: make_plan().task.test}),
        Recorder(obeying),
    )
    whole(plan, recorder)
    assert {AuditStarted, PromptRun} <= {type(event) for event in recorder.events}
    assert AuditStarted in KINDS.values()
    folds: dict[str, ScopeFold] = {}
    for event in recorder.events:
        assert parse_event(event.canonical()) == event
        assert folds.setdefault(event.scope, ScopeFold(event.scope)).take(event) is None


def test_two_runs_of_a_prompt_are_two_facts() -> None:
    plan, recorder = make_plan(sections=True, repeats=3), Recorder(noisy)
    whole(plan, recorder)
    digests = [event.digest("r") for event in recorder.events]
    assert len(digests) == len(set(digests))


def test_an_ablation_leaves_each_out_and_keeps_each_alone_with_other_draws_in_each_repeat() -> None:
    plan, recorder = make_plan(sections=True, repeats=4), Recorder(obeying)
    found = run(ablate(plan), recorder)
    names = [one.variant.name for one in (found.full, *found.variants)]
    assert names == ["full", "without 1", "without 2", "without 3", "only 1", "only 2", "only 3"]
    assert len(recorder.asks) == 7 * 4 * 20
    draws: dict[str, set[int]] = {}
    for ask in recorder.asks:
        draws.setdefault(ask.about.example, set()).add(ask.request.draw)
    assert all(len(one) == 4 for one in draws.values())


def test_more_sections_add_the_pair_and_a_path_within_the_forecast() -> None:
    after = "One a. Two b. Never answer no. Four d. Five e."
    plan, recorder = make_plan(after=after, sections=True, repeats=1), Recorder(obeying)
    found = run(ablate(plan), recorder)
    assert len(found.variants) + 1 <= 1 + 2 * 5 + 1 + 2
    assert found.strongest is not None
    assert 2 in found.strongest
    kept = [set(one.variant.kept) for one in found.variants]
    assert set(range(5)) - set(found.strongest) in kept
    # The harmful section goes first, so that every longer removal is without it.
    assert all(
        2 not in one for one in kept if 2 <= len(one) <= 3 and one != set(range(5)) - set(found.strongest)
    )
    assert len(recorder.asks) + 30 <= plan.section_calls.total


def test_the_shortest_prompt_within_the_margin_is_chosen_by_validation() -> None:
    plan = make_plan(sections=True, repeats=1)
    found = run(ablate(plan), Recorder(obeying))
    # The full prompt says yes always (50 %); "Then say which." alone is right for 16 of 20.
    assert found.shortest.variant.name == "only 1"
    assert found.shortest.variant.text == "Read it well."
    steep = make_plan(
        before="Say it.",
        after="Read it well. Then say which it is of the two.",
        sections=True,
        repeats=1,
        margin=0.05,
    )
    kept = run(ablate(steep), Recorder(obeying))
    # Without "Read it well" two more of 20 are wrong: 10 points, more than the margin.
    assert kept.shortest.variant.text == "Read it well."
    loose = run(ablate(replace(steep, after="Read it well. Go.", margin=0.2)), Recorder(obeying))
    assert loose.shortest.variant.text == "Go."
    strict = run(ablate(replace(steep, after="Read it well. Go.", margin=0.05)), Recorder(obeying))
    assert strict.shortest.variant.text == "Read it well."


def test_where_nothing_shorter_will_do_the_test_is_not_opened_again() -> None:
    def needs_both(ask: Any) -> Any:
        prompt = ask.request.messages[0].content
        return obeying(ask) if "Alpha." in prompt and "Beta." in prompt else obeying(ask).__class__("?")

    plan, recorder = (
        make_plan(before="Say.", after="Alpha. Beta.", sections=True, repeats=1),
        Recorder(needs_both),
    )
    found = whole(plan, recorder)
    assert found["ablation"].shortest is found["ablation"].full
    assert found["shortest"] is None
    assert [event.purpose for event in recorder.events if isinstance(event, TestOpened)] == [
        "before",
        "after",
    ]


def test_two_sections_are_each_others_rest() -> None:
    assert [one.name for one in first_variants(cut("Alpha. Beta."))] == ["full", "without 1", "without 2"]


def test_names_count_sections_from_one() -> None:
    sections = cut("A one. B two. C three. D four.")
    assert leaving_out(sections, frozenset((1, 3))).name == "without 2, 4"
    assert keeping(sections, 2).name == "only 3"
    assert keeping(sections, 2).text == "C three."


def test_fresh_draws_are_none_of_the_recorded_ones() -> None:
    plan = make_plan()
    plan = replace(plan, fresh={TEST_AGAIN: plan.task.test})
    recorder = Recorder(noisy)
    run(read_test(plan), recorder)
    seen = {ask.request.draw for ask in recorder.asks}
    again = Recorder(noisy)
    found = run(read_fresh(plan), again)
    assert not seen & {ask.request.draw for ask in again.asks}
    assert list(found) == [TEST_AGAIN]
    assert [one.purpose for one in again.events if isinstance(one, TestOpened)] == [
        "before-fresh",
        "after-fresh",
    ]
    assert plan.test_calls.total == 4 * 30


def test_fresh_groups_are_run_by_both_prompts() -> None:
    groups = {"fresh:0.2": (Example("f0", "x 0", "yes"),), "fresh:0.8": (Example("f1", "x 1", "no"),)}
    plan, recorder = make_plan(fresh=groups), Recorder(obeying)
    found = run(read_fresh(plan), recorder)
    assert {group: len(one.after.shown) for group, one in found.items()} == {"fresh:0.2": 1, "fresh:0.8": 1}
    assert found["fresh:0.8"].examples[0].id == "f1"
    assert found["fresh:0.8"].before.shown[0].score == 1.0
    assert found["fresh:0.8"].after.shown[0].score == 0.0
    assert not [event for event in recorder.events if isinstance(event, TestOpened)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"after": f" {BEFORE}\n"}, "are the same text"),
        ({"after": "  "}, "after prompt is empty"),
        ({"after": "One sentence", "sections": True}, "cannot be cut"),
        ({"repeats": 0}, "--repeats is 0"),
        ({"margin": 0.0}, "margin"),
    ],
)
def test_what_cannot_be_audited_is_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make_plan(**changes)
    assert "\n" not in str(error.value)


def test_sections_need_validation_and_the_rest_does_not() -> None:
    task = make_task(validation=0, test=5)
    with pytest.raises(UserError, match="no validation examples"):
        make_plan(task=task, sections=True)
    assert make_plan(task=task).calls.total == 10


def test_more_parts_go_on_with_the_same_run() -> None:
    plan = make_plan()
    assert plan.run == make_plan(sections=True, repeats=9, margin=0.1, fresh={TEST_AGAIN: plan.task.test}).run
    assert plan.run != make_plan(after=AFTER + " Now.").run
    assert plan.run != make_plan(seed=1).run
    assert plan.run != make_plan(trial=1).run
    assert plan.run != make_plan(logprobs=20).run


def test_fresh_items_are_new_and_have_the_share_asked_for() -> None:
    task = resolve_task("web-of-lies", split={"train": 3, "validation": 3, "test": 4})
    assert task.made == Made("web-of-lies", 0, ())
    own = {one.input for one in (*task.view.train, *task.view.validation, *task.test)}
    fresh = fresh_items(task, task.made, 12, 0)
    assert not own & {one.input for one in fresh}
    assert fresh == fresh_items(task, task.made, 12, 0)
    assert {one.input for one in fresh}.isdisjoint({one.input for one in fresh_items(task, task.made, 12, 1)})
    groups = items_at(task, task.made, "unknown", (0.0, 0.5, 1.0), 10, 0)
    shares = {share: sum("unknown" in one.target for one in items) for share, items in groups.items()}
    assert shares == {0.0: 0, 0.5: 5, 1.0: 10}
    assert has_share(task.made, "unknown")
    assert not has_share(task.made, "yes")
    assert not has_share(task.made, "people")


def test_items_told_by_places_give_way_to_a_share_that_needs_the_room() -> None:
    task = resolve_task(
        "web-of-lies",
        split={"train": 2, "validation": 2, "test": 2},
        procedural={"task": "web-of-lies", "places": 0.4},
    )
    assert task.made is not None
    groups = items_at(task, task.made, "unknown", (0.9,), 10, 0)
    assert sum("unknown" in one.target for one in groups[0.9]) == 9
