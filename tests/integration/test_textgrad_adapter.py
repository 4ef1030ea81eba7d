"""The adapter of TextGrad with the real package: its loop, labels, seeds, budget and failures."""

from __future__ import annotations

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

BUDGET = "110calls"
"""Of which 20 score the seed prompt; a step takes 3 outputs, 7 of the optimizer's and 20 to score: three steps."""


def kind(body: Body) -> str:
    """Which of TextGrad's requests one is."""
    text = text_of(body)
    if "<IMPROVED_VARIABLE>" in text:
        return "update"
    if "gradient (feedback) engine" in text:
        return "prompt" if "<LM_INPUT> " in text else "output"
    return ""


def optimize(body: Body, number: int) -> str:
    """A new prompt, or feedback that passes on the evaluation."""
    if kind(body) == "update":
        return f"<IMPROVED_VARIABLE>Rule {number % 99_991}: name the mood.</IMPROVED_VARIABLE>"
    said = re.search(r"<OUTPUT_OF_FUNCTION> (.*?) </OUTPUT_OF_FUNCTION>\n\n<OBJ", text_of(body), re.DOTALL)
    return f"Evaluated: {said[1]}" if said else f"It should be clearer in point {number % 997}."


def respond(body: Body, number: int) -> str:
    """The same, and answers that differ by prompt and row."""
    return optimize(body, number) if kind(body) else ("up", "down")[number % 2]


def trial(
    task: Path, url: str, ledger: Path, arm: str = "textgrad", budget: str = BUDGET, **more: Any
) -> ForeignResult:
    """One trial."""
    return run("textgrad", task, url, ledger, arm, budget, **more)


def test_every_step_is_chosen_on_validation_and_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        first = trial(task, endpoint.url, tmp_path / "a.db")
        paid = sum(endpoint.served().values())
        again = trial(task, endpoint.url, tmp_path / "b.db")
        other = trial(task, endpoint.url, tmp_path / "b.db", trial=1)
    assert (first.ended, first.reason, first.failures) == ("returned", "", 0)
    assert (first.use["generator"].calls, first.use["optimizer"].calls) == (20 + 3 * 23, 3 * 7)
    assert sum(use.calls for use in first.use.values()) == paid == 110
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", first.version)
    seed, *steps = first.candidates
    assert seed.candidate.prompt == load_task(task).view.seed_prompt
    kept = seed
    for one in steps:
        assert one.parents == (kept.number,), "a worse prompt is reverted"
        kept = one if (one.score or 0.0) >= (kept.score or 0.0) else kept
    assert (first.candidate, first.claimed) == (kept.candidate, kept.score)
    counts = first.counters
    assert counts["accepted"] + counts["reverted"] == counts["steps"] == len(steps) == 3
    assert again.candidates == first.candidates
    assert other.candidates != first.candidates
    assert not verify_ledger(tmp_path / "a.db").problems


@pytest.mark.parametrize(
    ("feedback", "selection", "claimed"),
    [("correct", "wrong", 0.0), ("wrong", "correct", 1.0), ("none", "correct", 1.0)],
)
def test_labels_reach_gradients_and_selection_as_the_arm_says_and_no_test_row_at_all(
    tmp_path: Path, feedback: str, selection: str, claimed: float
) -> None:
    path, task = sentinel_task(tmp_path)
    with Endpoint(responder=knowing(task, kind, optimize)) as endpoint:
        result = trial(path, endpoint.url, tmp_path / "l.db", f"textgrad/{feedback}/{selection}")
        chain, updates, outputs = (texts(endpoint, kind, one) for one in ("prompt", "update", "output"))
        forwards = texts(endpoint, kind, "")
        assert not holds_test_row(task, endpoint)
    assert result.claimed == claimed
    assert (len(outputs) > 0, len(chain), len(updates)) == (True, 9, 3)
    pairs = [(INPUT.findall(text)[-1], label) for text in chain for label in set(LABEL.findall(text))]
    check_labels(pairs, task, feedback)
    everything = "\n".join((*outputs, *chain, *updates))
    assert ("The answer is" in everything) == ("SENTINEL" in everything) == (feedback != "none")
    assert ("No evaluation is given." in everything) == (feedback == "none")
    assert "SENTINEL" not in "".join(forwards)


def test_a_reply_without_its_tags_is_a_step_without_change_and_counted(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=lambda body, number: "I would rather not." if kind(body) else "up") as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db")
    assert (result.ended, len(result.candidates)) == ("returned", 1)
    assert result.counters["unusable_proposals"] == result.counters["steps"] == 3
    assert result.candidate == result.candidates[0].candidate


def test_a_budgets_end_leaves_the_best_of_what_was_scored(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", settings={"steps": 40, "batch_size": 2})
    assert result.ended == "budget"
    assert sum(use.calls for use in result.use.values()) == 110
    assert len(result.candidates) == 4
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)


@pytest.mark.parametrize(
    ("budget", "settings", "says"),
    [
        ("49calls", {}, "a budget of 49 calls holds no step: 20 come before the first, and one takes 30"),
        (BUDGET, {"stepps": 3}, "takes no setting stepps"),
        (BUDGET, {"batch_size": 0}, "batch_size is a whole number from 1 on"),
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


def test_a_failed_call_fails_the_trial_and_is_never_a_score(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.05)) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db")
    assert (result.ended, result.candidate) == ("failed", None)
    assert "filtered" in result.reason
    assert result.failures >= 1
