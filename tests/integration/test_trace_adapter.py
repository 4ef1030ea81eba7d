"""The adapter of Trace with the real package: its loop, labels, replies that it cannot use, seeds, budget and failures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nullgrad.api import verify_ledger
from nullgrad.core.foreign import ForeignResult
from nullgrad.edges.tasks.file import load_task
from nullgrad.errors import UserError
from tests.support.endpoint import Body, Endpoint, Faults
from tests.support.optimizers import (
    INPUT,
    LABEL,
    check_labels,
    holds_test_row,
    knowing,
    run,
    sentinel_task,
    text_of,
    texts,
)
from tests.support.workload import write_task

BUDGET = "92calls"
"""Of which 20 score the seed prompt; a step takes 3 outputs, one of the optimizer's and 20 to score: three steps."""


def kind(body: Body) -> str:
    """Whether a request is one of OptoPrime's."""
    return "step" if "#Feedback" in text_of(body) else ""


def suggest(prompt: object) -> str:
    """A reply that suggests a prompt."""
    return json.dumps({"reasoning": "By the feedback.", "answer": "", "suggestion": {"prompt0": prompt}})


def optimize(body: Body, number: int) -> str:
    """A new prompt."""
    return suggest(f"Rule {number % 99_991}: name the mood.")


def respond(body: Body, number: int) -> str:
    """The same, and answers that differ by prompt and row."""
    return optimize(body, number) if kind(body) else ("up", "down")[number % 2]


def trial(
    task: Path, url: str, ledger: Path, arm: str = "trace", budget: str = BUDGET, **more: Any
) -> ForeignResult:
    """One trial."""
    return run("opto", task, url, ledger, arm, budget, **more)


def told(text: str) -> list[tuple[str, str]]:
    """(input, label) pairs of a request's problem: line by line what is said of each input's answer."""
    problem = text.rpartition("#Variables")[2]
    names = dict(re.findall(r"^\(str\) (x\d+)=(.*)$", problem, re.MULTILINE))
    asked = [names[one] for one in re.findall(r"= answer\(prompt=prompt0, x=(x\d+)\)", text)]
    lines = re.findall(r"^ID (\d+): (.*)$", problem.partition("#Feedback")[2], re.MULTILINE)
    assert len(lines) == len(asked)
    return [(asked[int(number)], label) for number, said in lines for label in LABEL.findall(said)]


def test_every_step_is_chosen_on_validation_and_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        first = trial(task, endpoint.url, tmp_path / "a.db")
        paid = sum(endpoint.served().values())
        again = trial(task, endpoint.url, tmp_path / "b.db")
        other = trial(task, endpoint.url, tmp_path / "b.db", trial=1)
    assert (first.ended, first.reason, first.failures) == ("returned", "", 0)
    assert (first.use["generator"].calls, first.use["optimizer"].calls) == (20 + 3 * 23, 3)
    assert sum(use.calls for use in first.use.values()) == paid == 92
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", first.version)
    seed, *steps = first.candidates
    assert seed.candidate.prompt == load_task(task).view.seed_prompt
    kept = seed
    for one in steps:
        assert one.parents == (kept.number,), "a worse prompt is reverted"
        kept = one if (one.score or 0.0) >= (kept.score or 0.0) else kept
    assert (first.candidate, first.claimed) == (kept.candidate, kept.score)
    assert first.counters["accepted"] + first.counters["reverted"] == len(steps) == 3
    assert again.candidates == first.candidates
    assert other.candidates != first.candidates
    assert not verify_ledger(tmp_path / "a.db").problems


@pytest.mark.parametrize(
    ("feedback", "selection", "claimed"),
    [("correct", "wrong", 0.0), ("wrong", "correct", 1.0), ("none", "correct", 1.0)],
)
def test_labels_reach_the_feedback_and_selection_as_the_arm_says_and_no_test_row_at_all(
    tmp_path: Path, feedback: str, selection: str, claimed: float
) -> None:
    path, task = sentinel_task(tmp_path)
    with Endpoint(responder=knowing(task, kind, optimize)) as endpoint:
        result = trial(path, endpoint.url, tmp_path / "l.db", f"trace/{feedback}/{selection}")
        steps, forwards = texts(endpoint, kind, "step"), texts(endpoint, kind, "")
        assert not holds_test_row(task, endpoint)
    assert result.claimed == claimed
    assert len(steps) == 3
    check_labels([pair for text in steps for pair in told(text)], task, feedback)
    everything = "\n".join(steps)
    assert set(INPUT.findall(everything)) <= {one.input for one in task.view.train}
    assert ("The answer is" in everything) == ("SENTINEL" in everything) == (feedback != "none")
    assert ("No evaluation is given." in everything) == (feedback == "none")
    assert "SENTINEL" not in "".join(forwards)


REPLIES = (
    ("I would rather not.", "unusable_proposals"),
    ('{"suggestion": {"__code1": 5}}', "unusable_proposals"),
    # The package takes a text that holds "def" for source code, and drops what is none.
    (suggest("Say up by default: it is likelier."), "unusable_proposals"),
    (suggest(" "), "unusable_proposals"),
    ("TERMINATE", "terminated"),
    (suggest("Is the mood up or down?"), "unchanged"),
)


def test_replies_without_a_prompt_are_steps_without_change_and_counted(tmp_path: Path) -> None:
    task, given = write_task(tmp_path), iter(REPLIES)
    with Endpoint(responder=lambda body, number: next(given)[0] if kind(body) else "up") as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", budget="200calls", settings={"steps": 6})
    assert (result.ended, len(result.candidates)) == ("returned", 1)
    assert next(given, None) is None
    assert result.counters["unusable_proposals"] == 4
    assert (result.counters["terminated"], result.counters["unchanged"]) == (1, 2)
    assert result.candidate == result.candidates[0].candidate


def test_a_budgets_end_leaves_the_best_of_what_was_scored(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", settings={"steps": 40})
    assert result.ended == "budget"
    assert sum(use.calls for use in result.use.values()) == 92
    assert len(result.candidates) == 4
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)


@pytest.mark.parametrize(
    ("budget", "settings", "says"),
    [
        ("43calls", {}, "a budget of 43 calls holds no step: 20 come before the first, and one takes 24"),
        (BUDGET, {"memory": 3}, "takes no setting memory"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    tmp_path: Path, budget: str, settings: dict[str, Any], says: str
) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError, match=says) as caught:
        trial(task, endpoint.url, tmp_path / "l.db", budget=budget, settings=settings)
    assert "\n" not in str(caught.value)
    assert not endpoint.log


def test_a_failed_call_of_the_optimizers_is_not_asked_a_second_time(tmp_path: Path) -> None:
    task = write_task(tmp_path)

    def refuse(body: Body) -> tuple[int, Body, dict[str, str]] | None:
        # OptoPrime asks again after any error.
        if kind(body):
            return 400, {"error": {"message": "The content was filtered.", "code": "content_filter"}}, {}
        return None

    with Endpoint(responder=respond, refuse=refuse) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db")
    assert (result.ended, result.candidate) == ("failed", None)
    assert "filtered" in result.reason
    assert (result.failures, result.use["optimizer"].calls) == (1, 1)


def test_a_failed_call_of_the_tasks_fails_the_trial_and_is_never_a_score(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.05)) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db")
    assert (result.ended, result.candidate) == ("failed", None)
