"""How trials of DSPy's optimizers end: budgets that hold no round, budgets spent, failures, other packages."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nullgrad.api import run_optimizer
from nullgrad.edges.optimizers import FOLDER, adapter_of
from nullgrad.errors import UserError
from tests.support.dspy_runs import NAMES, asked, proposing, respond, run
from tests.support.endpoint import Body, Endpoint, Faults
from tests.support.workload import write_task

LARGER: dict[str, dict[str, Any]] = {
    "dspy-gepa": {},
    "dspy-mipro": {"num_candidates": 6, "num_trials": 20},
    "dspy-copro": {"breadth": 4, "depth": 5},
}
"""Settings that no budget of these tests holds."""


@pytest.mark.parametrize("name", NAMES)
def test_a_spent_budget_ends_the_trial_with_the_best_that_was_reported(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond, latency=0.002) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", name, "130calls", settings=LARGER[name])
        paid = sum(endpoint.served().values())
    assert (result.ended, result.reason) == ("budget", "The budget of 130 calls is spent.")
    assert sum(use.calls for use in result.use.values()) == paid == 130
    best = max(result.candidates, key=lambda one: (one.score or 0.0, -one.number))
    assert (result.candidate, result.claimed) == (best.candidate, best.score)


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_call_fails_the_trial_and_is_never_a_score(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.03)) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", name, "300calls")
        served = sum(endpoint.served().values())
    assert (result.ended, result.candidate) == ("failed", None)
    assert "filtered" in result.reason
    assert result.failures >= 1
    assert served < 200, "DSPy did not go on"


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_proposal_fails_the_trial(tmp_path: Path, name: str) -> None:
    path = write_task(tmp_path)

    # COPRO's first call of all is a proposal: were it refused, the endpoint would be said not to answer at all.
    late = "attempted_instructions" if name == "dspy-copro" else "[[ ## "

    def refuse(body: Body) -> tuple[int, Body, dict[str, str]] | None:
        return (400, {"error": {"message": "No such parameter."}}, {}) if late in str(body) else None

    with Endpoint(responder=respond, refuse=refuse) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", name, "130calls")
    assert (result.ended, result.candidate) == ("failed", None)
    assert "No such parameter" in result.reason
    assert result.use["optimizer"].failed >= 1


@pytest.mark.parametrize(
    ("name", "goes_on"), [("dspy-gepa", True), ("dspy-mipro", False), ("dspy-copro", False)]
)
def test_an_empty_reply_is_the_models_own_answer_and_an_unusable_proposal_the_librarys_affair(
    tmp_path: Path, name: str, goes_on: bool
) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=lambda body, number: "" if number % 2 or proposing(body) else "up") as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", name, "110calls")
        found = asked(endpoint)
    assert result.failures == 0
    asked_again = [body for body in found.proposers if "1. `answer`" in str(body)]
    assert not asked_again, "a reply of the task's model is not asked for again in DSPy's format"
    if goes_on:
        assert result.ended == "budget"
        assert [one.candidate.prompt for one in result.candidates] == ["Is the mood up or down?"]
    else:
        assert result.ended == "failed"
        assert "proposed_instruction" in result.reason


@pytest.mark.parametrize(
    ("name", "budget", "says"),
    [
        ("dspy-gepa", "26calls", "26 calls holds no round of dspy.GEPA, which asks 27"),
        ("dspy-mipro", "100calls", "100 calls holds no round of dspy.MIPROv2, which asks up to 101"),
        ("dspy-copro", "40calls", "40 calls holds no round of dspy.COPRO, which asks 41"),
        ("dspy-gepa", "9ktokens", "needs a budget in calls, or one of the settings"),
    ],
)
def test_a_budget_that_holds_no_round_is_one_line_and_asks_nothing(
    tmp_path: Path, name: str, budget: str, says: str
) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError) as caught:
        run(path, endpoint.url, tmp_path / "l.db", name, budget)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not endpoint.log


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("dspy-gepa", {"minibatch": 4}, "dspy.GEPA takes no setting minibatch"),
        ("dspy-mipro", {"max_labeled_demos": 4}, "dspy.MIPROv2 takes no setting max_labeled_demos"),
        ("dspy-copro", {"breadth": 1, "depth": 1}, "Breadth must be greater than 1"),
    ],
)
def test_a_setting_that_the_optimizer_does_not_take_is_one_line(
    tmp_path: Path, name: str, settings: dict[str, Any], says: str
) -> None:
    path = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError) as caught:
        run(path, endpoint.url, tmp_path / "l.db", name, "300calls", settings=settings)
    assert says in str(caught.value)
    assert not endpoint.log


def adapter_file(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An adapter's own module; none of its package is imported by that."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(Path(adapter_of(name).file).stem)


def worker(calls: int, train: int, validation: int) -> Any:
    """What sizes are reckoned from."""
    return SimpleNamespace(calls=calls, train=[None] * train, validation=[None] * validation)


def test_copro_is_as_large_as_the_budget_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    copro = adapter_file("dspy-copro", monkeypatch)

    def asks(size: dict[str, int], validation: int) -> int:
        breadth, depth = size["breadth"], size["depth"]
        return breadth * depth * validation + breadth - 1 + breadth * (depth - 1)

    for validation in (1, 7, 20, 100):
        for calls in range(2 * (validation + 1) - 1, 3000, 13):
            size = copro.size(worker(calls, 5, validation), {})
            assert asks(size, validation) <= calls
            assert size["breadth"] >= 2
            more = (
                {**size, "depth": size["depth"] + 1}
                if size["breadth"] == 10
                else {**size, "breadth": size["breadth"] + 1}
            )
            assert asks(more, validation) > calls
    assert copro.size(worker(629, 5, 20), {}) == {"breadth": 10, "depth": 3}
    assert copro.size(worker(628, 5, 20), {}) == {"breadth": 9, "depth": 3}
    assert copro.size(worker(629, 5, 20), {"breadth": 5}) == {"breadth": 5, "depth": 6}
    assert copro.size(worker(629, 5, 20), {"breadth": 5, "depth": 9}) == {}


def test_mipro_has_as_many_candidates_as_the_budget_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    mipro = adapter_file("dspy-mipro", monkeypatch)
    for validation in (20, 50, 51, 120):
        fewest = mipro.calls(worker(0, 30, validation), 2, {})
        for calls in range(fewest, 4000, 37):
            one = worker(calls, 30, validation)
            candidates, trials = mipro.size(one, {})
            assert mipro.calls(one, candidates, {}) <= calls < mipro.calls(one, candidates + 1, {})
            assert trials == mipro.trials_of(candidates)
    # As published for its own presets: 100 rows, six candidates, nine trials.
    light = worker(0, 0, 100)
    assert mipro.trials_of(6) == 9
    assert mipro.calls(light, 6, {}) - mipro.calls(worker(0, 0, 0), 6, {"minibatch": False}) == 615


def with_much_validation(folder: Path) -> Path:
    """The task with more rows of validation than MIPROv2 evaluates whole each time."""
    path = write_task(folder)
    text = path.read_text().replace("train: 12, validation: 20", "train: 12, validation: 52")
    path.write_text(text.replace("test: 40", "test: 8"))
    return path


def test_a_score_on_a_minibatch_is_no_candidates_score(tmp_path: Path) -> None:
    with Endpoint(responder=respond) as endpoint:
        result = run(
            with_much_validation(tmp_path), endpoint.url, tmp_path / "l.db", "dspy-mipro", "600calls"
        )
    assert (result.ended, result.counters["mb_candidate_programs"]) == ("returned", 9)
    assert 2 <= len(result.candidates) <= result.counters["candidate_programs"] == 3
    rights = [52 * (one.score or 0.0) for one in result.candidates]
    assert rights == pytest.approx([round(one) for one in rights], abs=0.01)


@pytest.mark.parametrize(("labels", "accepted"), [("wrong", False), ("correct", True)])
def test_mipro_asks_no_more_than_was_reckoned_whatever_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str, accepted: bool
) -> None:
    mipro = adapter_file("dspy-mipro", monkeypatch)
    path = with_much_validation(tmp_path)

    def answer(body: Body, number: int) -> str:
        if proposing(body):
            return respond(body, number)
        line = int(str(body["messages"]).rpartition("line ")[2].split()[0])
        return "up" if line % 3 else "down"

    with Endpoint(responder=answer) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", f"dspy-mipro/{labels}/correct", "400calls")
    reckoned = worker(400, 12, 52)
    candidates, trials = mipro.size(reckoned, {})
    asked_for = sum(use.calls for use in result.use.values())
    assert result.ended == "returned", result.reason
    assert result.counters["mb_candidate_programs"] == trials
    # Where no output is accepted every row is asked for every set, and the reckoning is exact.
    assert asked_for == mipro.calls(reckoned, candidates, {}) if not accepted else asked_for <= 400


def fake_package(folder: Path, code: str) -> str:
    """An interpreter whose `dspy` is another one."""
    package = folder / "site" / "dspy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(code))
    info = folder / "site" / "dspy-9.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dspy\nVersion: 9.0.0\n")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


BASE = """
BaseLM = ChatAdapter = Example = Predict = Prediction = Signature = type("Known", (), {})
configure = configure_cache = None
class GEPA:
    def __init__(self, metric, reflection_lm): pass
    def compile(self, student, trainset, valset): pass
"""


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("dspy-gepa", "BaseLM = None\n", "dspy has no ChatAdapter, Example, Predict"),
        ("dspy-gepa", BASE, "dspy.GEPA takes no num_threads, track_stats, seed"),
        ("dspy-mipro", BASE, "dspy has no MIPROv2"),
        ("dspy-copro", BASE, "dspy has no COPRO"),
        ("dspy-copro", "import no_such_dependency\n", "No module named 'no_such_dependency'"),
    ],
)
def test_a_package_that_has_changed_is_one_line_with_the_install_command(
    tmp_path: Path, name: str, code: str, says: str
) -> None:
    path, python = write_task(tmp_path), fake_package(tmp_path, code)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError) as caught:
        run_optimizer(
            path, name, model="openai/test", base_url=endpoint.url, budget="300calls", ledger=tmp_path / "l.db", python=python,
        )  # fmt: skip
    line = str(caught.value)
    assert says in line
    assert adapter_of(name).install(python) in line
    assert "\n" not in line
    assert not endpoint.log
