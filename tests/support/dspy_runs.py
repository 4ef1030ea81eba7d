"""Runs of DSPy's optimizers against the endpoint: what it answers, what it was asked, and a task with marked labels."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nullgrad.api import run_optimizer
from nullgrad.core.foreign import ForeignResult
from tests.support.endpoint import Body, Endpoint
from tests.support.peers import python_with
from tests.support.workload import write_task

NAMES = ("dspy-gepa", "dspy-mipro", "dspy-copro")
PACKAGES = {"dspy-mipro": "optuna"}
"""What an optimizer needs beside `dspy`."""

LINE = re.compile(r"line \d+ of the diary about day \d+")


def text_of(body: Body) -> str:
    """All of a request's words."""
    return "\n".join(str(one["content"]) for one in body["messages"])


def proposing(body: Body) -> bool:
    """Whether a request is one of DSPy's own, in its format."""
    return "[[ ## " in text_of(body)


def proposal(body: Body, number: int) -> str:
    """Every field that is asked for, in the form that is asked for."""
    end = str(body["messages"][-1]["content"]).rpartition("Respond with")[2]
    rule = f"Rule {number % 99_991}: say up or down."
    if "JSON object" in end:
        return json.dumps(dict.fromkeys(re.findall(r"`(\w+)`", end), rule))
    names = re.findall(r"\[\[ ## (\w+) ## \]\]", end)
    # DSPy takes what stands before a colon for a label and cuts it off.
    return "\n\n".join(
        f"[[ ## {name} ## ]]\n{rule.replace(':', ',') if name != 'completed' else ''}" for name in names
    )


def respond(body: Body, number: int) -> str:
    """A proposal, or a label by the request."""
    return proposal(body, number) if proposing(body) else ("up", "down")[number % 2]


def run(task: Path, url: str, ledger: Path, optimizer: str, budget: str, **more: Any) -> ForeignResult:
    """One trial; the test is skipped where the package is missing."""
    name = optimizer.partition("/")[0]
    python = python_with("dspy")
    if name in PACKAGES and python_with(PACKAGES[name]) != python:
        raise AssertionError(f"{PACKAGES[name]} is not where dspy is")
    return run_optimizer(
        task, optimizer, model="openai/test", base_url=url, endpoint_name="test", budget=budget, ledger=ledger,
        python=python, concurrency=8, **more,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What an endpoint was asked.

    Attributes:
        proposers: requests of DSPy's own.
        task: requests of the program that is optimized.
    """

    proposers: list[Body] = field(default_factory=list)
    task: list[Body] = field(default_factory=list)


def asked(endpoint: Endpoint) -> Asked:
    """What an endpoint was asked, each request with its messages."""
    found = Asked()
    for body in endpoint.bodies.values():
        (found.proposers if proposing(body) else found.task).append(body)
    return found


def marked_task(folder: Path) -> Path:
    """The task with labels that occur nowhere else, and a prompt that does not name them."""
    path = write_task(folder)
    text = path.read_text().replace("[up, down]", "[SENTINELUP, SENTINELDOWN]")
    text = text.replace("prompt: Is the mood up or down?", "prompt: What is the mood?")
    path.write_text(text.replace("Answer with one word: up or down.", "Answer with one word."))
    data = folder / "moods.csv"
    data.write_text(data.read_text().replace(",up", ",SENTINELUP").replace(",down", ",SENTINELDOWN"))
    return path


def day(text: str) -> int:
    """The day of the task's row that a text ends with."""
    return int(LINE.findall(text)[-1].rpartition(" ")[2])


def right(text: str) -> str:
    """The right label of the marked task's row that a text ends with."""
    return "SENTINELUP" if day(text) // 7 % 3 else "SENTINELDOWN"
