"""`nullgrad compare` with the real GEPA and nullgrad's own arms: one meter, resume, failures, packages that are not there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nullgrad.api import Compare, open_view, verify_ledger
from nullgrad.core.arms import parse_arm
from nullgrad.core.compare_entries import own_calls
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.tasks.file import load_task
from nullgrad.errors import UserError
from nullgrad.surfaces.cli import run as command_line
from tests.support.endpoint import Body, Endpoint, Faults, obliging
from tests.support.peers import python_with
from tests.support.workload import environment, write_task

BUDGET = 170
OWN = "gradient/correct/validated@2"

_own = obliging(("up", "down"))


def respond(body: Body, number: int) -> str:
    """A new instruction in the form that is asked for, or a label by the request."""
    text = str(body["messages"][-1]["content"])
    if body["messages"][0]["role"] == "user" and "<prompt>" not in text and "How should" not in text:
        return f"```\nRule {number % 99_991}: say up or down.\n```"
    return _own(body, number)


def compared(
    task: Path, url: str, ledger: Path, optimizers: str = f"gepa,{OWN}", **more: Any
) -> dict[str, Any]:
    """The result of a comparison as JSON values."""
    options: dict[str, Any] = {
        "model": "openai/test", "base_url": url, "endpoint_name": "test", "budget": f"{BUDGET}calls", "trials": 2,
        "controls": "feedback", "concurrency": 8, "python": python_with("gepa"), **more,
    }  # fmt: skip
    result = asyncio.run(Compare(task, optimizers, **options).run(ledger=ledger))
    found: dict[str, Any] = result.to_dict()
    return found


def rows(result: dict[str, Any], table: str, **wanted: Any) -> list[dict[str, Any]]:
    """Rows of a table by the values of some columns."""
    return [row for row in result["tables"][table] if all(row[key] == value for key, value in wanted.items())]


def calls(result: dict[str, Any], entry: str) -> int:
    """Calls that all trials of an entry asked, by any role."""
    (row,) = rows(result, "entries", entry=entry)
    total: int = row["calls_total"]
    return total


def lasting(result: dict[str, Any]) -> Any:
    """What a comparison found, without who paid for it, when, and how long it took.

    Nor with its tokens: which of the calls that arrive together is the budget's last depends on their order.
    """
    passing = ("paid", "seconds", "usd", "replayed", "joined", "tokens")

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(one) for key, one in value.items() if not any(word in key for word in passing)}
        return [kept(one) for one in value] if isinstance(value, list) else value

    return kept(
        {key: value for key, value in result.items() if key not in ("calls", "tokens", "usd", "seconds")}
    )


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A comparison that nothing disturbed, with what the endpoint saw."""
    folder = tmp_path_factory.mktemp("compare")
    task = write_task(folder)
    with Endpoint(responder=respond) as endpoint:
        result = compared(task, endpoint.url, folder / "l.db")
        served = endpoint.served()
    return {"folder": folder, "task": task, "result": result, "served": served}


def test_every_trial_has_the_same_budget_to_the_call_as_if_nothing_were_shared(once: dict[str, Any]) -> None:
    result, task = once["result"], load_task(once["task"])
    assert calls(result, "gepa/correct/correct") == calls(result, "gepa/wrong/correct") == 2 * BUDGET
    steps = rows(result, "entries", entry=OWN)[0]["steps"]
    asked = [own_calls(parse_arm(OWN), task.view, 3, number).total for number in (steps, steps + 1)]
    assert asked[0] <= BUDGET < asked[1]
    assert calls(result, OWN) == calls(result, "gradient/wrong/validated@2") == 2 * asked[0]


def test_what_is_paid_is_what_the_endpoint_answered_and_less_than_what_is_counted(
    once: dict[str, Any],
) -> None:
    result, served = once["result"], once["served"]
    assert set(served.values()) == {1}
    assert result["calls"]["paid"] == sum(served.values())
    paid = sum(row["calls_paid_total"] for row in result["tables"]["entries"])
    counted = sum(row["calls_total"] for row in result["tables"]["entries"])
    readings = result["test_readings"] * result["test_examples"]
    assert paid < counted, "entries of a block share what they ask alike"
    assert paid <= result["calls"]["paid"] <= paid + readings


def test_the_result_is_read_once_on_the_sealed_test_and_the_gain_is_against_the_seed_of_its_block(
    once: dict[str, Any],
) -> None:
    result = once["result"]
    trials = result["tables"]["trials"]
    assert result["test_readings"] == len(trials) + 2 == 10
    for row in result["tables"]["entries"]:
        own = rows(result, "trials", entry=row["entry"])
        gains = [one["score"] - one["seed_score"] for one in own]
        assert row["sealed_points"] == pytest.approx(100 * sum(gains) / len(gains), abs=1e-3)
    assert not verify_ledger(once["folder"] / "l.db").problems


def test_the_same_again_asks_nothing_and_starts_no_process(once: dict[str, Any]) -> None:
    again = compared(once["task"], "http://127.0.0.1:1/v1", once["folder"] / "l.db", python="/nowhere/python")
    assert again["calls"]["paid"] == 0
    assert {key: again[key] for key in ("tables", "crown", "notes")} == {
        key: once["result"][key] for key in ("tables", "crown", "notes")
    }


def test_the_view_names_comparisons_and_runs_of_foreign_programs(
    once: dict[str, Any], tmp_path: Path
) -> None:
    with open_ledger(tmp_path / "l.db") as book:
        book.begin_run("g", json.dumps({"verb": "gateway", "arm": "program", "cast": {"generator": "model"}}))
    named = []
    for ledger in (once["folder"] / "l.db", tmp_path / "l.db"):
        view = open_view(ledger)
        view.catch_up()
        named += [row["name"] for row in view.runs()]
        view.close()
    assert named == ["compare on moods", "program on "]


def test_more_trials_and_more_optimizers_go_on_with_the_same_run(once: dict[str, Any]) -> None:
    with Endpoint(responder=respond) as endpoint:
        more = compared(
            once["task"], endpoint.url, once["folder"] / "l.db", f"{OWN},rewrite/best@2", controls="off", trials=3,
            python="/nowhere/python",
        )  # fmt: skip
    assert more["run"] == once["result"]["run"]
    before = rows(once["result"], "trials", entry=OWN)
    assert rows(more, "trials", entry=OWN)[:2] == before
    assert len(rows(more, "trials", entry="rewrite/none/best@2")) == 3


def arguments(task: Path, url: str, ledger: Path, *more: str) -> list[str]:
    """`nullgrad compare` against an endpoint."""
    return [
        sys.executable, "-m", "nullgrad", "compare", str(task), "--optimizers", f"gepa,{OWN}", "--model", "openai/test",
        "--base-url", url, "--endpoint-name", "test", "--budget", f"{BUDGET}calls", "--trials", "2",
        "--controls", "feedback", "--concurrency", "8", "--ledger", str(ledger), "--json", "--quiet", *more,
    ]  # fmt: skip


def test_a_killed_comparison_pays_nothing_twice_and_ends_like_an_undisturbed_one(
    tmp_path: Path, once: dict[str, Any]
) -> None:
    around = {**environment(), "NULLGRAD_OPTIMIZERS_PYTHON": python_with("gepa")}
    total = sum(once["served"].values())
    task, ledger = once["task"], tmp_path / "killed.db"
    with Endpoint(responder=respond, latency=0.003) as endpoint:
        for moment in (total // 4, total // 2, 3 * total // 4):
            process = subprocess.Popen(
                arguments(task, endpoint.url, ledger),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=around,
            )  # fmt: skip
            while process.poll() is None and len(endpoint.served()) < moment:
                time.sleep(0.001)
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            while endpoint.in_flight:
                time.sleep(0.001)
        done = subprocess.run(
            arguments(task, endpoint.url, ledger),
            capture_output=True, text=True, env=around, timeout=300, check=False,
        )  # fmt: skip
        served = endpoint.served()
    assert done.returncode == 0, done.stderr
    assert sum(count - 1 for count in served.values()) <= 3 * 16, (
        "only what was in flight at a kill is paid twice"
    )
    assert abs(len(served) - total) <= 4 * 8, "and the last calls of a budget may be others"
    assert lasting(json.loads(done.stdout)) == lasting(once["result"])
    assert not verify_ledger(ledger).problems


def test_a_failed_trial_is_one_without_a_result_and_the_others_go_on(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond, faults=Faults(rejected=0.03)) as endpoint:
        result = compared(task, endpoint.url, tmp_path / "l.db", controls="off")
    third = rows(result, "trials", entry="gepa/correct/correct")
    assert {row["ended"] for row in third} == {"failed"}
    assert all(row["failures"] >= 1 and "filtered" in row["reason"] for row in third)
    assert {row["ended"] for row in rows(result, "trials", entry=OWN)} == {"returned"}
    assert rows(result, "entries", entry="gepa/correct/correct")[0]["with_result"] == 0
    assert result["complete"]


def test_a_missing_package_is_one_line_before_anything_is_asked(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    python = tmp_path / "bare-python"
    python.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -S "$@"\n')
    python.chmod(0o755)
    with (
        Endpoint(responder=respond) as endpoint,
        pytest.raises(UserError, match=r"pip install 'gepa") as caught,
    ):
        compared(task, endpoint.url, tmp_path / "l.db", python=str(python))
    assert "\n" not in str(caught.value)
    assert not endpoint.log


def test_a_setting_that_the_library_does_not_take_stops_it_before_anything_is_asked(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    with Endpoint(responder=respond) as endpoint, pytest.raises(UserError, match="no_such_knob"):
        compared(task, endpoint.url, tmp_path / "l.db", settings={"gepa": {"no_such_knob": 1}})
    assert not endpoint.log


def test_a_limit_of_the_command_ends_it_with_what_is_complete_and_the_same_with_more_goes_on(
    tmp_path: Path, once: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULLGRAD_OPTIMIZERS_PYTHON", python_with("gepa"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    ledger, total = tmp_path / "l.db", once["result"]["calls"]["paid"]
    with Endpoint(responder=respond) as endpoint:
        few = arguments(once["task"], endpoint.url, ledger, "--max-calls", "100")[3:]
        assert command_line(few) == 4
        assert "nothing to compare yet" in capsys.readouterr().err
        most = arguments(once["task"], endpoint.url, ledger, "--max-calls", str(total - 150))[3:]
        assert command_line(most) == 4
        stopped = json.loads(capsys.readouterr().out)
        assert (stopped["blocks"], stopped["complete"]) == (1, False)
        assert stopped["stopped"]
        assert command_line(arguments(once["task"], endpoint.url, ledger)[3:]) == 0
        whole = json.loads(capsys.readouterr().out)
        served = endpoint.served()
    assert lasting(whole) == lasting(once["result"])
    assert set(served.values()) == {1}
    assert command_line(["report", whole["run"], "--ledger", str(ledger), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tables"] == whole["tables"]


def test_a_plan_asks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(tmp_path)
    code = command_line([*arguments(task, "http://127.0.0.1:1/v1", tmp_path / "l.db", "--dry-run")[3:]])
    plan = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [one["name"] for one in plan["entries"]] == [
        "gepa/correct/correct", "gepa/wrong/correct", OWN, "gradient/wrong/validated@2",
    ]  # fmt: skip
    own = plan["entries"][2]["calls_per_trial"]
    assert plan["calls"] == 2 * (2 * BUDGET + 2 * own) + 40 * plan["sealed_test"]["readings"]
    assert plan["sealed_test"]["readings"] == 2 * 5
    assert not (tmp_path / "l.db").exists()


def test_a_budget_in_tokens_ends_own_trials_with_their_last_whole_step(tmp_path: Path) -> None:
    result = asyncio.run(
        Compare("sim/gradient", OWN, model="sim:gradient", budget="20ktokens", trials=1, controls="off").run(
            ledger=tmp_path / "l.db"
        )
    ).to_dict()
    (trial,) = result["tables"]["trials"]
    assert trial["ended"] == "budget"
    (row,) = result["tables"]["entries"]
    # The limit holds to within the calls in flight.
    assert 20_000 * 0.9 <= row["tokens"] <= 20_000 * 1.2
    assert not verify_ledger(tmp_path / "l.db").problems


def test_in_a_world_where_the_right_label_leads_to_the_right_rule_gepa_depends_on_it(tmp_path: Path) -> None:
    result = asyncio.run(
        Compare(
            "sim/gradient", "gepa", model="sim:gradient", budget="800calls", trials=4, controls="feedback",
            python=python_with("gepa"),
        ).run(ledger=tmp_path / "l.db")
    ).to_dict()  # fmt: skip
    right, wrong = (
        rows(result, "entries", entry=f"gepa/{labels}/correct")[0] for labels in ("correct", "wrong")
    )
    assert result["simulated"] == ["sim:gradient"]
    assert right["sealed_points"] > 5 > wrong["sealed_points"]
    assert right["claimed_points"] > right["sealed_points"], "what it selects on flatters it"
