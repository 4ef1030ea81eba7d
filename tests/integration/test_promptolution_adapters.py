"""The adapters of promptolution's OPRO and CAPO with the real package: labels, seeds, budgets, and a loop that swallows."""

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

OPRO, CAPO = "promptolution-opro", "promptolution-capo"

KINDS = {
    "Your task is to generate an instruction.": "proposal",
    "Generate a single variation": "variation",
    "You receive two prompts": "crossover",
    "You receive a prompt": "mutation",
}


def kind(body: Body) -> str:
    """Which of the library's requests one is."""
    text = str(body["messages"][-1]["content"])
    return next((name for start, name in KINDS.items() if text.startswith(start)), "")


def optimize(body: Body, number: int) -> str:
    """A new prompt."""
    return f"<prompt>Rule {number % 99_991}: name the mood.</prompt>"


def respond(body: Body, number: int) -> str:
    """The same, and answers that differ by prompt and row."""
    return optimize(body, number) if kind(body) else ("up", "down")[number % 2]


def trial(task: Path, url: str, ledger: Path, arm: str, budget: str, **more: Any) -> ForeignResult:
    """One trial."""
    return run("promptolution", task, url, ledger, arm, budget, **more)


def test_opro_proposes_from_scores_and_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        first = trial(task, endpoint.url, tmp_path / "a.db", OPRO, "400calls")
        paid = sum(endpoint.served().values())
        shown = texts(endpoint, kind, "proposal")
        forwards = [body for body in endpoint.bodies.values() if not kind(body)]
        again = trial(task, endpoint.url, tmp_path / "b.db", OPRO, "400calls")
    assert (first.ended, first.reason, first.failures, first.counters["steps"]) == ("returned", "", 0, 2)
    assert (first.use["optimizer"].calls, len(first.candidates)) == (16, 17)
    assert sum(use.calls for use in first.use.values()) == paid == 20 + 16 * 21
    view = load_task(task).view
    best = max(first.candidates, key=lambda one: (one.score or 0.0, -one.number))
    assert first.candidates[0].candidate.prompt == view.seed_prompt
    assert (first.candidate, first.claimed) == (best.candidate, best.score)
    scores = {one.candidate.prompt: round(100 * (one.score or 0.0)) for one in first.candidates}
    told = {pair for text in shown for pair in re.findall(r"^text:\n(.*)\nscore: (\d+)$", text, re.MULTILINE)}
    assert len(told) >= 9
    assert all(abs(scores[prompt] - int(score)) <= 1 for prompt, score in told)
    assert {one["role"] for body in forwards for one in body["messages"]} == {"system", "user"}
    assert {body["messages"][0]["content"] for body in forwards} == {
        f"{one.candidate.prompt}\n\n{view.format}" for one in first.candidates
    }, "prompts are asked in the task's own messages"
    assert (again.candidates, again.candidate) == (first.candidates, first.candidate)
    assert not verify_ledger(tmp_path / "a.db").problems


def test_capo_races_within_its_budget_and_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        first = trial(task, endpoint.url, tmp_path / "a.db", CAPO, "350calls")
        systems = {str(body["messages"][0]["content"]) for body in endpoint.bodies.values() if not kind(body)}
        again = trial(task, endpoint.url, tmp_path / "b.db", CAPO, "350calls")
    assert (first.ended, first.reason, first.failures, first.counters["steps"]) == ("returned", "", 0, 2)
    assert first.use["optimizer"].calls == 2 + 2 * 8
    assert sum(use.calls for use in first.use.values()) <= 2 + 3 * 25 + 2 * 4 * 23
    assert first.candidate in {one.candidate for one in first.candidates}
    assert first.claimed == max(one.score or 0.0 for one in first.candidates)
    asked = {text.removesuffix(f"\n\n{load_task(task).view.format}") for text in systems}
    assert {one.candidate.prompt for one in first.candidates} <= asked, (
        "prompts are returned as they were asked"
    )
    assert any("\nOutput:\n" in one.candidate.prompt for one in first.candidates)
    assert not any(one.candidate.prompt.endswith("Input:") for one in first.candidates), (
        "no input need follow"
    )
    assert (again.candidates, again.candidate) == (first.candidates, first.candidate)


ARMS = [("correct", "wrong", 0.0), ("wrong", "correct", 1.0), ("none", "correct", 1.0)]


@pytest.mark.parametrize(("feedback", "selection", "claimed"), ARMS)
def test_opros_examples_and_scores_follow_the_arm_and_hold_no_test_row(
    tmp_path: Path, feedback: str, selection: str, claimed: float
) -> None:
    path, task = sentinel_task(tmp_path)
    with Endpoint(responder=knowing(task, kind, optimize)) as endpoint:
        arm = f"{OPRO}/{feedback}/{selection}"
        result = trial(path, endpoint.url, tmp_path / "l.db", arm, "400calls")
        proposals, forwards = texts(endpoint, kind, "proposal"), texts(endpoint, kind, "")
        assert not holds_test_row(task, endpoint)
    assert result.claimed == claimed
    shown = "\n".join(proposals)
    check_labels(re.findall(rf"Input: ({INPUT.pattern})\nOutput: (\w+)", shown), task, feedback)
    assert ("SENTINEL" in shown) == ("Input: " in shown) == (feedback != "none")
    assert set(re.findall(r"^score: (\d+)$", shown, re.MULTILINE)) == {str(int(100 * claimed))}
    assert "SENTINEL" not in "".join(forwards)


@pytest.mark.parametrize(("feedback", "selection", "claimed"), ARMS)
def test_capos_worked_examples_and_races_follow_the_arm_and_hold_no_test_row(
    tmp_path: Path, feedback: str, selection: str, claimed: float
) -> None:
    path, task = sentinel_task(tmp_path)
    with Endpoint(responder=knowing(task, kind, optimize)) as endpoint:
        arm = f"{CAPO}/{feedback}/{selection}"
        result = trial(path, endpoint.url, tmp_path / "l.db", arm, "350calls")
        optimizers = [text_of(body) for body in endpoint.bodies.values() if kind(body)]
        forwards = texts(endpoint, kind, "")
        assert not holds_test_row(task, endpoint)
    assert result.claimed == claimed
    assert "SENTINEL" not in "".join(optimizers), "the optimizer's model is shown instructions alone"
    pairs = re.findall(rf"Input:\n({INPUT.pattern})\nOutput:\n(\w+)", "\n".join(forwards))
    assert bool(pairs) == (feedback != "none")
    # An output that meets the label shown stands in its place, in the lower case of the task's model.
    assert {bool(LABEL.fullmatch(said)) for _, said in pairs} == {
        "correct": {False}, "wrong": {True}, "none": set(),
    }[feedback]  # fmt: skip
    check_labels([(asked, said.upper()) for asked, said in pairs], task, feedback)


def test_a_budgets_end_stops_the_loop_for_good_and_leaves_the_best_of_what_was_scored(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", OPRO, "200calls", settings={"steps": 50})
    assert result.ended == "budget"
    assert sum(use.calls for use in result.use.values()) == 200
    assert sum(use.refused for use in result.use.values()) <= 8
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)


@pytest.mark.parametrize(("optimizer", "wanted"), [(OPRO, "proposal"), (CAPO, "mutation")])
def test_a_failed_call_that_the_loop_swallows_fails_the_trial(
    tmp_path: Path, optimizer: str, wanted: str
) -> None:
    task = write_task(tmp_path)

    def refuse(body: Body) -> tuple[int, Body, dict[str, str]] | None:
        if kind(body) == wanted:
            return 400, {"error": {"message": "The content was filtered.", "code": "content_filter"}}, {}
        return None

    with Endpoint(responder=respond, refuse=refuse) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", optimizer, "400calls")
    assert (result.ended, result.candidate, result.failures) == ("failed", None, 1)
    assert "filtered" in result.reason


def test_a_failed_call_of_the_tasks_is_never_a_score(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.02)) as endpoint:
        result = trial(task, endpoint.url, tmp_path / "l.db", OPRO, "400calls")
    assert (result.ended, result.candidate) == ("failed", None)
    assert result.failures >= 1


def test_an_error_of_the_librarys_own_that_its_loop_swallows_fails_the_trial(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = trial(
            task, endpoint.url, tmp_path / "l.db", CAPO, "400calls", settings={"alpha": "high", "steps": 1}
        )
    assert (result.ended, result.candidate, result.failures) == ("failed", None, 0)
    assert "TypeError" in result.reason


@pytest.mark.parametrize(
    ("optimizer", "settings", "says"),
    [
        (OPRO, {}, "a budget of 180 calls holds no step: 20 come before the first, and one takes 168"),
        (CAPO, {"df_few_shots": 1}, "df_few_shots is made of the training rows"),
        (CAPO, {"alfa": 0.1}, "takes no setting alfa"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    tmp_path: Path, optimizer: str, settings: dict[str, Any], says: str
) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError, match=says) as caught:
        trial(task, endpoint.url, tmp_path / "l.db", optimizer, "180calls", settings=settings)
    assert "\n" not in str(caught.value)
    assert not endpoint.log
