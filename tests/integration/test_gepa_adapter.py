"""The adapter of GEPA with the real package: labels, budget, kill and resume, and packages that are not as expected."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from nullgrad.api import run_optimizer, verify_ledger
from nullgrad.core.events import ForeignDone
from nullgrad.core.foreign import ForeignResult
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.optimizers import FOLDER
from nullgrad.edges.tasks.file import load_task
from nullgrad.errors import UserError
from tests.support.endpoint import Body, Endpoint, Faults
from tests.support.peers import python_with
from tests.support.workload import environment, write_task

BUDGET = "160calls"


def reflection(body: Body) -> bool:
    """Whether a request is one of GEPA's reflections."""
    return body["messages"][0]["role"] == "user"


def respond(body: Body, number: int) -> str:
    """A new instruction, or a label by the request."""
    if reflection(body):
        return f"```\nRule {number % 99_991}: say up or down.\n```"
    return ("up", "down")[number % 2]


def run(
    task: Path, url: str, ledger: Path, optimizer: str = "gepa", budget: str = BUDGET, **more: Any
) -> ForeignResult:
    """One trial."""
    return run_optimizer(
        task, optimizer, model="openai/test", base_url=url, endpoint_name="test", budget=budget, ledger=ledger,
        python=python_with("gepa"), concurrency=8, **more,
    )  # fmt: skip


def texts(endpoint: Endpoint) -> tuple[list[str], list[str]]:
    """(what GEPA reflected on, what the task's model was asked)."""
    asked = [
        ("\n".join(str(one["content"]) for one in body["messages"]), reflection(body))
        for body in endpoint.bodies.values()
    ]
    return [text for text, own in asked if own], [text for text, own in asked if not own]


def test_gepa_runs_unchanged_behind_the_gateway(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = run(task, endpoint.url, tmp_path / "l.db")
        paid = sum(endpoint.served().values())
        reflections, forwards = texts(endpoint)
    assert result.ended == "budget"
    assert sum(use.calls for use in result.use.values()) == paid == 160
    assert (result.use["optimizer"].calls, result.use["generator"].calls) == (len(reflections), len(forwards))
    assert reflections
    assert result.candidate is not None
    assert result.candidates[0].candidate.prompt == load_task(task).view.seed_prompt
    assert result.claimed == max(one.score or 0.0 for one in result.candidates)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", result.version)
    assert (result.failures, result.swallowed) == (0, False)
    assert not verify_ledger(tmp_path / "l.db").problems


def test_gepa_returns_by_its_own_limit_and_its_counters_are_reported_beside_ours(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        result = run(
            task, endpoint.url, tmp_path / "l.db", budget="1000calls", settings={"max_metric_calls": 100}
        )
    assert (result.ended, result.reason) == ("returned", "")
    assert result.counters["metric_calls"] == result.use["generator"].calls
    assert result.counters["candidates"] == len(result.candidates)
    best = max(result.candidates, key=lambda one: (one.score or 0.0, -one.number))
    assert (result.candidate, result.claimed) == (best.candidate, best.score)


def test_the_same_seed_gives_the_same_result_and_another_trial_another(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint:
        first = run(task, endpoint.url, tmp_path / "a.db")
        again = run(task, endpoint.url, tmp_path / "b.db")
        other = run(task, endpoint.url, tmp_path / "b.db", trial=1)
    assert (first.candidate, first.claimed, first.candidates) == (
        again.candidate,
        again.claimed,
        again.candidates,
    )
    assert other.candidates != first.candidates


def sentinel_task(folder: Path) -> Path:
    """The same task with targets that occur nowhere else, and a prompt that does not name them."""
    path = write_task(folder)
    text = path.read_text().replace("[up, down]", "[SENTINELUP, SENTINELDOWN]")
    path.write_text(
        text.replace("prompt: Is the mood up or down?", "prompt: What is the mood?").replace(
            "Answer with one word: up or down.", "Answer with one word."
        )
    )
    data = folder / "moods.csv"
    data.write_text(data.read_text().replace(",up", ",SENTINELUP").replace(",down", ",SENTINELDOWN"))
    return path


def told(reflections: list[str]) -> list[tuple[str, str]]:
    """(input, label) pairs that reflections were told."""
    pairs = []
    for text in reflections:
        for block in text.split("## Inputs")[1:]:
            found = re.search(r"(line \d+ of the diary about day \d+)", block)
            labels = set(re.findall(r"SENTINEL(?:UP|DOWN)", block.partition("## Feedback")[2]))
            assert found is not None
            pairs += [(found[1], label) for label in labels]
    return pairs


@pytest.mark.parametrize(
    ("arm", "kind"),
    [("gepa/correct/correct", "correct"), ("gepa/wrong/correct", "wrong"), ("gepa/none/correct", "none")],
)
def test_labels_reach_the_text_as_the_arm_says_and_no_test_row_at_all(
    tmp_path: Path, arm: str, kind: str
) -> None:
    path = sentinel_task(tmp_path)
    task = load_task(path)
    right = {one.input: one.target for one in task.view.train}
    with Endpoint(
        responder=lambda body, number: f"```\nRule {number}.\n```" if reflection(body) else "nothing"
    ) as endpoint:
        result = run(path, endpoint.url, tmp_path / "l.db", arm)
        reflections, forwards = texts(endpoint)
    assert result.use["optimizer"].calls >= 5
    pairs = told(reflections)
    assert all(asked in right for asked, _ in pairs), "only training rows are reflected on"
    if kind == "correct":
        assert pairs
        assert all(label == right[asked] for asked, label in pairs)
    elif kind == "wrong":
        assert pairs
        assert all(label != right[asked] for asked, label in pairs)
    else:
        assert not pairs
        assert "SENTINEL" not in "".join(reflections)
        assert "Feedback" not in "".join(reflections)
    assert "SENTINEL" not in "".join(forwards)
    everything = "\n".join((*reflections, *forwards))
    assert not any(re.search(rf"{re.escape(one.input)}(?!\d)", everything) for one in task.test)


SCRIPT = """
import json, sys
from nullgrad.api import run_optimizer
task, url, ledger, budget = sys.argv[1:]
result = run_optimizer(task, "gepa", model="openai/test", base_url=url, endpoint_name="test", budget=budget, ledger=ledger, concurrency=8)
print(json.dumps({
    "ended": result.ended, "prompt": result.candidate.prompt, "claimed": result.claimed,
    "candidates": [[one.candidate.prompt, one.score, one.parents] for one in result.candidates],
    "paid": sum(use.paid for use in result.use.values()), "calls": sum(use.calls for use in result.use.values()),
}))
"""


def test_a_killed_run_pays_nothing_twice_that_the_ledger_holds(tmp_path: Path) -> None:
    task, total = write_task(tmp_path), 300
    around = {**environment(), "NULLGRAD_OPTIMIZERS_PYTHON": python_with("gepa")}

    def arguments(url: str, ledger: Path) -> list[str]:
        return [sys.executable, "-c", SCRIPT, str(task), url, str(ledger), f"{total}calls"]

    def finish(url: str, ledger: Path) -> dict[str, Any]:
        done = subprocess.run(
            arguments(url, ledger), capture_output=True, text=True, env=around, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    with Endpoint(responder=respond) as endpoint:
        reference = finish(endpoint.url, tmp_path / "reference.db")
    assert (reference["ended"], reference["calls"], reference["paid"]) == ("budget", total, total)
    ledger = tmp_path / "killed.db"
    with Endpoint(responder=respond, latency=0.003) as endpoint:
        for moment in (total // 3, total // 2):
            process = subprocess.Popen(
                arguments(endpoint.url, ledger),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=around,
            )
            while process.poll() is None and len(endpoint.served()) < moment:
                time.sleep(0.001)
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            while endpoint.in_flight:
                time.sleep(0.001)
        with open_ledger(ledger, read_only=True) as book:
            kept = book.counts()["replies"]
        sent = sum(endpoint.served().values())
        result = finish(endpoint.url, ledger)
        served = endpoint.served()
    assert kept >= total // 2 - 16
    assert result["paid"] == total - kept, "what the ledger holds is not paid again, though GEPA started over"
    assert sum(served.values()) - sent == result["paid"]
    assert sum(count - 1 for count in served.values()) <= 2 * 16, (
        "only what was in flight at a kill is paid twice"
    )
    assert {key: result[key] for key in result if key != "paid"} == {
        key: reference[key] for key in reference if key != "paid"
    }
    assert not verify_ledger(ledger).problems


def test_gepas_process_ends_with_a_killed_run(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    around = {**environment(), "NULLGRAD_OPTIMIZERS_PYTHON": python_with("gepa")}
    with Endpoint(responder=respond, latency=0.05) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(task), endpoint.url, str(tmp_path / "l.db"), "500calls"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=around,
        )  # fmt: skip
        while len(endpoint.log) < 20:
            time.sleep(0.005)
        children = (
            [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
            if Path("/proc").is_dir()
            else []
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while any(alive(one) for one in children) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert not any(alive(one) for one in children)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_failed_call_fails_the_trial_and_is_never_a_score(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.05)) as endpoint:
        result = run(task, endpoint.url, tmp_path / "l.db")
    assert (result.ended, result.candidate) == ("failed", None)
    assert "filtered" in result.reason
    assert result.failures >= 1
    with open_ledger(tmp_path / "l.db", read_only=True) as book:
        done = [
            event for row in book.runs() for event in book.events(row.run) if isinstance(event, ForeignDone)
        ]
    assert [event.ended for event in done] == ["failed"]


def fake_package(folder: Path, code: str) -> str:
    """An interpreter whose `gepa` is another one."""
    package = folder / "site" / "gepa"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(code))
    (package / "core" / "__init__.py").write_text("")
    (package / "core" / "adapter.py").write_text("class EvaluationBatch: pass\n")
    (package / "core" / "result.py").write_text("class GEPAResult:\n    __dataclass_fields__ = {}\n")
    info = folder / "site" / "gepa-9.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gepa\nVersion: 9.0.0\n")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def optimize(prompt, rows): pass\n", "gepa.optimize takes no seed_candidate"),
        ("import no_such_dependency\n", "No module named 'no_such_dependency'"),
        ("improve = 1\n", "no attribute 'optimize'"),
        (
            "def optimize(seed_candidate, trainset, valset, adapter, reflection_lm, stop_callbacks, callbacks, seed, max_metric_calls): pass\n",
            "its result has no best_idx",
        ),
    ],
)
def test_a_package_that_has_changed_is_one_line_with_the_install_command(
    tmp_path: Path, code: str, says: str
) -> None:
    task, python = write_task(tmp_path), fake_package(tmp_path, code)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError) as caught:
        run_optimizer(
            task,
            "gepa",
            model="openai/test",
            base_url=endpoint.url,
            budget=BUDGET,
            ledger=tmp_path / "l.db",
            python=python,
        )
    line = str(caught.value)
    assert says in line
    assert f"{python} -m pip install 'gepa>=0.1.4,<0.2'" in line
    assert "\n" not in line
    assert not endpoint.log


def test_a_missing_package_is_one_line_with_the_install_command(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with pytest.raises(UserError, match=r"pip install 'gepa") as caught:
        run_optimizer(
            task, "gepa", model="openai/test", base_url="http://127.0.0.1:1/v1", budget=BUDGET, ledger=tmp_path / "l.db",
            python=str(_without_packages(tmp_path)),
        )  # fmt: skip
    assert "is not installed" in str(caught.value)


def _without_packages(folder: Path) -> Path:
    """An interpreter with the standard library alone."""
    python = folder / "bare-python"
    python.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -S "$@"\n')
    python.chmod(0o755)
    return python


def test_the_adapters_import_nothing_of_nullgrad(tmp_path: Path) -> None:
    started = sorted({*FOLDER.glob("run_*.py"), *FOLDER.glob("nullgrad_*.py")})
    assert started
    for path in started:
        assert not re.search(r"^\s*(?:from|import) nullgrad\b", path.read_text(), re.MULTILINE), path.name
