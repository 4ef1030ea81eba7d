"""DSPy's optimizers with the real package: the task's own messages, labels by channel, seeds, and what they report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nullgrad.api import verify_ledger
from nullgrad.core.task import Task
from nullgrad.edges.optimizers import adapter_of
from nullgrad.edges.tasks.file import load_task
from tests.support.dspy_runs import (
    LINE,
    NAMES,
    Asked,
    asked,
    day,
    marked_task,
    proposal,
    proposing,
    respond,
    right,
    run,
    text_of,
)
from tests.support.endpoint import Body, Endpoint
from tests.support.workload import write_task


def check_deployable(task: Task, found: Asked) -> None:
    """What the task's model was asked are the task's own messages of the seed prompt and of proposals."""
    rules = re.compile(r"Rule \d+[:,] say up or down\.")
    prompts = {
        task.view.seed_prompt,
        *(one for body in found.task for one in rules.findall(text_of(body))),
    }
    own = {
        json.dumps([[one.role, one.content] for one in task.view.messages(prompt, example)])
        for prompt in prompts
        for example in (*task.view.train, *task.view.validation)
    }
    sent = [json.dumps([[one["role"], one["content"]] for one in body["messages"]]) for body in found.task]
    assert sent
    assert all(one in own for one in sent)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_runs_unchanged_in_the_tasks_own_messages(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path)
    # DSPy dedents a prompt, and the seed prompt's messages must not show it.
    indented = 'prompt: "Is the mood\\n    up\\n    or down?"'
    path.write_text(path.read_text().replace("prompt: Is the mood up or down?", indented))
    task = load_task(path)
    with Endpoint(responder=respond) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", name, "300calls")
        paid, found = sum(endpoint.served().values()), asked(endpoint)
    assert result.ended == ("budget" if name == "dspy-gepa" else "returned"), result.reason
    assert (result.failures, result.swallowed) == (0, False)
    assert sum(use.calls for use in result.use.values()) == paid <= 300
    assert result.use["optimizer"].calls == len(found.proposers)
    assert result.use["generator"].calls == len(found.task)
    assert re.fullmatch(r"3\.4\.\d+.*", result.version)
    reported = {one.candidate.prompt for one in result.candidates}
    assert task.view.seed_prompt in reported
    assert len(reported) >= 4
    assert result.candidate is not None
    assert result.candidate.prompt in reported
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)
    check_deployable(task, found)
    assert not verify_ledger(tmp_path / "l.db").problems


def test_gepa_returns_by_its_own_limit_with_the_librarys_counters(tmp_path: Path) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = run(
            path, endpoint.url, tmp_path / "l.db", "dspy-gepa", "600calls", settings={"max_metric_calls": 100}
        )
    assert (result.ended, result.reason) == ("returned", "")
    assert result.counters["total_metric_calls"] == result.use["generator"].calls
    assert result.counters["candidates"] == len(result.candidates)
    best = max(result.candidates, key=lambda one: (one.score or 0.0, -one.number))
    assert (result.candidate, result.claimed) == (best.candidate, best.score)
    assert any(one.parents for one in result.candidates)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_result_and_another_trial_another(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond, latency=0.001) as endpoint:
        first = run(path, endpoint.url, tmp_path / "a.db", name, "170calls")
        again = run(path, endpoint.url, tmp_path / "b.db", name, "170calls")
        other = run(path, endpoint.url, tmp_path / "b.db", name, "170calls", trial=1)
    assert (first.candidate, first.claimed, first.candidates, first.counters) == (
        again.candidate,
        again.claimed,
        again.candidates,
        again.counters,
    )
    assert other.candidates != first.candidates


class Marked:
    """Answers the marked task's odd rows wrongly and the even ones rightly."""

    def __call__(self, body: Body, number: int) -> str:
        if proposing(body):
            return proposal(body, number).replace("up or down", "something")
        text = text_of(body)
        return right(text) if day(text) % 2 == 0 else "nothing"


def shown(found: Asked) -> list[tuple[str, str]]:
    """(row, label) of training rows and of feedback as proposers were told them."""
    pairs = []
    for body in found.proposers:
        text = text_of(body)
        pairs += re.findall(r"'input': '(line \d+[^']*)', 'answer': '(\w+)'", text)
        for inputs, told in re.findall(r'"Inputs": \{"input": "([^"]*)"\}.*?"Feedback": "([^"]*)"', text):
            pairs += [(inputs, label) for label in re.findall(r"SENTINEL\w+", told)]
    return pairs


def demonstrated(found: Asked) -> list[tuple[str, str]]:
    """(row, output) of demonstrations."""
    return [
        pair
        for body in found.proposers
        for pair in re.findall(r"Input: (line \d+[^\n]*)\nAnswer: (\w+)", text_of(body))
    ]


@pytest.mark.parametrize("feedback", ["correct", "wrong", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_labels_reach_the_text_as_the_arm_says_and_no_other_row_does(
    tmp_path: Path, name: str, feedback: str
) -> None:
    path = marked_task(tmp_path)
    task = load_task(path)
    with Endpoint(responder=Marked()) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", f"{name}/{feedback}/correct", "170calls")
        found = asked(endpoint)
    assert result.ended != "failed", result.reason
    words = "\n".join(text_of(body) for body in found.proposers)
    targets = {one.input: one.target for one in task.view.train}
    pairs, demos = shown(found), demonstrated(found)
    assert "SENTINEL" not in "\n".join(text_of(body) for body in found.task)
    everything = words + "\n".join(text_of(body) for body in found.task)
    assert not any(re.search(rf"{re.escape(one.input)}(?!\d)", everything) for one in task.test)
    if "feedback" not in adapter_of(name).channels:
        assert not LINE.search(words)
        assert "SENTINEL" not in words
        return
    assert LINE.search(words)
    assert all(row in targets for row in LINE.findall(words)), "only training rows are shown"
    if feedback == "none":
        assert not pairs
        assert "correct answer" not in words
        assert "score" not in words.lower().replace("scores", "")
    else:
        assert pairs
        assert all((label == targets[row]) == (feedback == "correct") for row, label in pairs)
    if name == "dspy-mipro":
        outputs = {row: Marked()({"messages": [{"content": row}]}, 0) for row in targets}
        assert all(output == outputs[row] for row, output in demos)
        kept = {output for _, output in demos}
        if feedback == "correct":
            assert kept
            assert all(output == targets[row] for row, output in demos)
        elif feedback == "wrong":
            assert not demos, "no output of this model is a wrong label"
        else:
            assert "nothing" in kept, "which outputs are shown is no verdict"


@pytest.mark.parametrize("name", NAMES)
def test_candidates_are_scored_by_the_selection_labels(tmp_path: Path, name: str) -> None:
    path = marked_task(tmp_path)

    def always(body: Body, number: int) -> str:
        return proposal(body, number) if proposing(body) else right(text_of(body))

    with Endpoint(responder=always) as endpoint:
        honest = run(path, endpoint.url, tmp_path / "l.db", f"{name}/correct/correct", "120calls")
        wrong = run(path, endpoint.url, tmp_path / "l.db", f"{name}/correct/wrong", "120calls")
    assert (honest.claimed, wrong.claimed) == (1.0, 0.0)
