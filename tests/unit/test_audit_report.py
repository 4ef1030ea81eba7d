"""The report of an audit: what it holds for every kind of task, and how it is told."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from nullgrad.analysis.audit.findings import crossings
from nullgrad.analysis.audit.report import AuditReport, analyse_audit
from nullgrad.core.audit import (
    AuditFacts,
    ablate,
    read_fresh,
    read_shortest,
    read_test,
    read_validation,
    start,
)
from nullgrad.core.audit_plan import TEST_AGAIN
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Ask
from nullgrad.core.facts import Spend
from nullgrad.core.procedural import solve
from nullgrad.core.scoring import make_scorer
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.surfaces.audit_text import print_audit
from tests.support.audits import AFTER, make_plan, obeying
from tests.support.trials import Recorder, make_task, reply, run


def report(plan: Any, responder: Any = obeying, **options: Any) -> AuditReport:
    recorder = Recorder(responder)
    run(start(plan), recorder)
    validation = run(read_validation(plan), recorder)
    test = run(read_test(plan), recorder)
    fresh = run(read_fresh(plan), recorder) if plan.fresh else {}
    ablation = run(ablate(plan), recorder) if plan.sections else None
    shortest = run(read_shortest(plan, ablation), recorder) if ablation is not None else None
    facts = AuditFacts(plan, tuple(recorder.events), validation, test, fresh, ablation, shortest, "", Spend())
    return analyse_audit(facts, version="0", models=(("generator", "m"),), simulated=(), **options)


def shown(found: AuditReport, width: int = 120) -> str:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return width != 120

    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("NO_COLOR", "1")
        print_audit(found.to_dict(), stream)
    return stream.getvalue()


def test_a_rule_that_gives_up_a_class_is_found_with_what_it_costs() -> None:
    found = report(make_plan(sections=True, repeats=2))
    assert (found.before_test.score, found.after_test.score) == (0.8, 0.5)
    assert found.verdict == "loss"
    assert found.predictions is not None
    assert found.predictions.fitted == "validation"
    (rule,) = found.rules
    assert (rule.rule.labels, rule.new) == (("no",), True)
    (tested,) = rule.tests
    assert (tested.count, tested.solved, tested.before, tested.after) == (15, False, 0.8, 0.0)
    assert tested.gain is not None
    assert tested.gain.interval.high < 0
    assert len(tested.broken) == 5
    assert found.ablation is not None
    assert found.shortest is not None
    assert found.shortest.prompt == "Read it well."
    assert found.shortest.test is not None
    assert found.shortest.test.score == 0.9
    assert found.shortest.gain is not None
    assert found.shortest.gain.mean == pytest.approx(0.4)
    assert (found.test_readings, found.test_readings_before) == (3, 0)
    assert {label: after for label, _, after in found.leaks.labels} == {"yes": 0, "no": 1}
    assert found.unscored.startswith("the endpoint returned no log-probabilities")


def test_everything_is_in_json_and_the_ledgers_copy_has_no_spend() -> None:
    plan = make_plan(sections=True, repeats=1)
    plan = replace(plan, fresh={TEST_AGAIN: plan.task.test})
    found = report(plan, readings_before=4, prior={"yes": 0.9, "no": 0.1})
    value = json.loads(found.to_json())
    assert value["verdict"] == value["predictions"]["verdict"] == "loss"
    assert value["test"]["readings"] == 5
    assert value["test"]["readings_before"] == 4
    assert value["fresh"]["group"] == "test"
    assert value["ablation"]["sections"][1]["right_to_wrong"] == 8
    assert value["ablation"]["sections"][1]["transcripts"][0]["right"] == "without the section"
    assert value["rules"][0]["counterexamples"][0]["recall_after"] == 0.0
    declared = [one for one in value["predictions"]["slots"][0]["reweighted"] if one["name"] == "declared"]
    assert declared[0]["prior"] == {"yes": 0.9, "no": 0.1}
    assert declared[0]["accuracy"]["after"] == 0.9
    kept = json.loads(found.canonical())
    assert not {"calls", "tokens", "usd", "seconds"} & set(kept)
    assert found.canonical() == report(plan, readings_before=4, prior={"yes": 0.9, "no": 0.1}).canonical()


def test_open_answers_get_the_parts_that_apply() -> None:
    def open_answers(ask: Ask) -> Reply:
        return reply("one" if "Never" in ask.request.messages[0].content else "three")

    task = make_task(validation=6, test=8)
    view = replace(task.view, labels=(), scorer=make_scorer("normalized"))
    view = replace(view, validation=tuple(replace(one, target="one") for one in view.validation))
    test = tuple(replace(one, target="one") for one in task.test)
    plan = make_plan(task=replace(task, view=view, test=test), sections=True, repeats=1)
    found = report(plan, open_answers)
    assert (found.verdict, found.predictions, found.rules) == (None, None, ())
    assert found.gain is not None
    assert found.gain.mean == 1.0
    assert found.ablation is not None
    assert found.ablation.sections[1].effect.mean == 1.0
    assert found.ablation.sections[1].classes == ()
    assert any("answers of small are open" in one for one in found.not_applicable)
    text = shown(found)
    assert "Gain: +100.0 points" in text
    assert "Not in this report: The answers of small are open" in text
    assert json.loads(found.to_json())["predictions"] is None


def test_what_nobody_can_read_is_no_verdict() -> None:
    found = report(make_plan(), lambda ask: reply("hm"))
    assert found.verdict == "cannot tell"
    assert "30 of 30 test answers to the before prompt could not be read" in found.reason
    assert found.predictions is not None
    assert found.predictions.verdict == "no gain"


def test_failed_calls_are_missing_and_counted() -> None:
    def failing(ask: Ask) -> Reply | Failed:
        lost = ask.about.example == "test1" and AFTER.split(".")[0] in ask.request.messages[0].content
        return Failed("down", "") if lost else obeying(ask)

    found = report(make_plan(), failing)
    assert found.after_test.outcomes.failed == 1
    assert found.predictions is not None
    assert (found.predictions.counts.pairs, found.predictions.counts.missing) == (29, 1)


def test_where_every_pair_is_left_out_the_rest_is_reported() -> None:
    plan = make_plan()
    plan = replace(plan, task=replace(plan.task, view=replace(plan.task.view, unparsed="exclude")))
    found = report(plan, lambda ask: reply("hm"))
    assert (found.verdict, found.predictions, found.gain) == (None, None, None)
    assert any("no gain decomposition" in one for one in found.not_applicable)
    assert "No gain is known." in shown(found)


def test_a_class_that_validation_lacks_is_said_and_cross_fitted() -> None:
    plan = make_plan()
    view = plan.task.view
    one_class = tuple(replace(one, target="yes") for one in view.validation)
    plan = replace(plan, task=replace(plan.task, view=replace(view, validation=one_class)))
    found = report(plan)
    assert found.predictions is not None
    assert found.predictions.fitted == "cross-fitted"
    assert any("validation" in note for note in found.predictions.notes)


def liar(ask: Ask) -> Reply:
    """Knows the truth; "Never answer unknown" is obeyed, without it every second middle slot is unknown anyway."""
    item = ask.request.messages[-1].content
    truth = solve("web-of-lies", item).split(", ")
    if "Never answer unknown" in ask.request.messages[0].content:
        truth = ["yes" if one == "unknown" else one for one in truth]
    elif len(item) % 2:
        truth[1] = "unknown"
    return reply("The answer is: " + ", ".join(truth))


def puzzles(**changes: Any) -> Any:
    dials = {"task": "web-of-lies", "people": 8}
    task = resolve_task("web-of-lies", procedural=dials, split={"train": 8, "validation": 30, "test": 40})
    after = "Work it out. Never answer unknown."
    return make_plan(task=task, before=task.view.seed_prompt, after=after, **changes), task


def test_tuples_are_told_by_slot_and_the_solver_finds_the_counterexamples() -> None:
    plan, task = puzzles()
    found = report(plan, liar)
    (rule,) = found.rules
    (tested,) = rule.tests
    middle = sum(one.target.split(", ")[1] == "unknown" for one in task.test)
    assert (tested.slot, tested.count, tested.solved, tested.before, tested.after) == (
        1,
        middle,
        True,
        1.0,
        0.0,
    )
    assert found.predictions is not None
    assert [len(slot.classes) for slot in found.predictions.slots] == [3, 3, 3]
    assert (1, "unknown") in found.predictions.suppressed
    text = shown(found)
    assert "the right answer in slot 2 is unknown (by the solver)" in " ".join(text.split())
    assert "Classes, slot 2" in text


def test_a_curve_over_new_items_crosses_where_the_rule_begins_to_cost_more_than_it_brings() -> None:
    from nullgrad.core.fresh_items import items_at

    plan, task = puzzles()
    groups = items_at(task, task.made, "unknown", (0.0, 0.5, 1.0), 40, 0)
    plan = replace(plan, fresh={f"fresh:{share:g}": items for share, items in groups.items()})
    found = report(plan, liar, curve="unknown")
    assert found.curve is not None
    assert (found.curve.label, found.curve.slot) == ("unknown", 1)
    assert [one.share for one in found.curve.points] == [0.0, 0.5, 1.0]
    first, last = found.curve.points[0], found.curve.points[-1]
    assert (first.after.score, last.after.score) == (1.0, 0.0)
    assert last.before.score == 1.0
    assert first.before.score is not None
    assert first.before.score < 1.0
    assert len(found.curve.crossings) == 1
    assert first.slot_after is not None
    assert first.slot_after[0] == 1.0
    text = shown(found)
    assert "New items over the share of unknown, slot 2" in text
    assert "cross at a share of" in text


@pytest.mark.parametrize(
    ("differences", "places"),
    [
        ([1.0, -1.0], (0.5,)),
        ([3.0, -1.0], (0.75,)),
        ([1.0, 2.0], ()),
        ([0.0, 0.0], ()),
        ([1.0, 0.0, -1.0], (0.5,)),
        ([1.0, None, -1.0], (0.5,)),
        ([-1.0, 1.0, -1.0], (0.25, 0.75)),
        ([1.0, 0.0, 1.0], ()),
    ],
)
def test_crossings(differences: list[float | None], places: tuple[float, ...]) -> None:
    shares = [number / (len(differences) - 1) for number in range(len(differences))]
    assert crossings(shares, differences) == pytest.approx(places)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_any_terminal_shows_whole_numbers(width: int) -> None:
    plan = make_plan(sections=True, repeats=1)
    text = shown(report(replace(plan, fresh={TEST_AGAIN: plan.task.test})), width)
    assert re.search(r"\x1b\[(?:\d+;)*3[0-7]m", text) is None
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "80.0 %" in text
    assert "…" not in text.replace("[…]", "")
    assert "80.0 → 0.0 %" in " ".join(text.split())
    assert re.search(r"^no\b", text, re.MULTILINE)
    assert "the sealed test of this task was opened" in " ".join(text.split())


def test_many_classes_are_not_all_shown() -> None:
    labels = tuple(f"intent {number}" for number in range(40))
    task = make_task(labels=labels, validation=80, test=120)

    def classify(ask: Ask) -> Reply:
        return reply(labels[int(ask.request.messages[-1].content.split()[-1]) % 40])

    found = report(make_plan(task=task), classify)
    assert found.predictions is not None
    assert len(found.predictions.slots[0].classes) == 40
    assert "12 of 40" in shown(found)
