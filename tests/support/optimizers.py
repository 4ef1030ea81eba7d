"""Runs of third-party optimizers against a scripted endpoint, and what their requests held."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nullgrad.api import run_optimizer
from nullgrad.core.foreign import ForeignResult
from nullgrad.core.task import Task
from nullgrad.edges.tasks.file import load_task
from tests.support.endpoint import Body, Endpoint, Responder
from tests.support.peers import python_with
from tests.support.workload import write_task

LABEL = re.compile(r"SENTINEL(?:UP|DOWN)")
INPUT = re.compile(r"line \d+ of the diary about day \d+")

Kind = Callable[[Body], str]
"""What a request is for, "" for one to the task's model."""


def run(
    package: str, task: Path, url: str, ledger: Path, optimizer: str, budget: str, **more: Any
) -> ForeignResult:
    """One trial; skipped where no interpreter has the package."""
    return run_optimizer(
        task, optimizer, model="openai/test", base_url=url, endpoint_name="test", budget=budget, ledger=ledger,
        python=python_with(package), concurrency=8, **more,
    )  # fmt: skip


def text_of(body: Body) -> str:
    """All of a request's messages."""
    return "\n".join(str(one["content"]) for one in body["messages"])


def texts(endpoint: Endpoint, kind: Kind, wanted: str) -> list[str]:
    """The requests of one kind."""
    return [text_of(body) for body in endpoint.bodies.values() if kind(body) == wanted]


def sentinel_task(folder: Path) -> tuple[Path, Task]:
    """The task of `write_task` with labels that occur nowhere else, and a prompt that does not name them."""
    path = write_task(folder)
    text = path.read_text().replace("[up, down]", "[SENTINELUP, SENTINELDOWN]")
    text = text.replace("prompt: Is the mood up or down?", "prompt: What is the mood?")
    path.write_text(text.replace("Answer with one word: up or down.", "Answer with one word."))
    data = folder / "moods.csv"
    data.write_text(data.read_text().replace(",up", ",SENTINELUP").replace(",down", ",SENTINELDOWN"))
    return path, load_task(path)


def knowing(task: Task, kind: Kind, propose: Responder) -> Responder:
    """A task's model that is always right, in lower case: what is in capitals was told by a label."""
    right = {one.input: one.target.lower() for one in (*task.view.train, *task.view.validation, *task.test)}

    def respond(body: Body, number: int) -> str:
        if kind(body):
            return propose(body, number)
        return right[INPUT.findall(text_of(body))[-1]]

    return respond


def holds_test_row(task: Task, endpoint: Endpoint) -> bool:
    """Whether any request held a row of the test split."""
    everything = "\n".join(text_of(body) for body in endpoint.bodies.values())
    return bool({one.input for one in task.test} & set(INPUT.findall(everything)))


def check_labels(pairs: list[tuple[str, str]], task: Task, feedback: str) -> None:
    """(input, label) pairs that were shown: training rows alone, labelled as the arm says."""
    right = {one.input: one.target for one in task.view.train}
    assert {asked for asked, _ in pairs} <= set(right), "only training rows are shown"
    if feedback == "none":
        assert not pairs
    else:
        assert pairs
        assert {label == right[asked] for asked, label in pairs} == {feedback == "correct"}
