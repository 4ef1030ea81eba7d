"""`nullgrad plan`, `run` and `report` as their users run them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nullgrad
from nullgrad.core.chat import Request
from nullgrad.edges.models.script import ScriptModel
from nullgrad.errors import UserError
from nullgrad.run.retry import RetryPolicy
from nullgrad.surfaces.cli import run
from tests.integration.test_optimize import SWIFT
from tests.support.endpoint import Endpoint, Faults
from tests.support.workload import environment, lasting, write_task

STUDY = """\
name: small
tasks: [task.yaml]
arms:
  gradient/correct/naive: 4
  one-step/correct/validated@3: 4
  gradient/critic-binary/naive: 4
  improve: 4
steps: 3
curve: [2, 3]
margin: 5 points
contrasts:
  - {family: feedback, better: gradient/correct/naive, than: improve}
  - {family: critic, better: gradient/correct/naive, than: gradient/critic-binary/naive}
  - {family: course, plateau: gradient/correct/naive}
"""

SCRIPT = """\
def reply(request):
    text = "\\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        return "<prompt>Think first; rule number %d.</prompt>" % (request.draw % 99991)
    if '"Verdict: correct"' in text:
        return "Verdict: " + ("correct", "incorrect")[request.draw % 2]
    if "How should the" in text:
        return "It should be clearer in point %d." % (request.draw % 997)
    return ("up", "down", "up")[int(request.identity()[:8], 16) % 3]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a task, a study and a scripted model."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "model.py").write_text(SCRIPT)
    return tmp_path


SCRIPTED = ["--model", "script:model.py"]


def as_json(capsys: pytest.CaptureFixture[str], line: list[str], code: int = 0) -> dict[str, Any]:
    found = run([*line, "--json"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    value: dict[str, Any] = json.loads(captured.out)
    return value


def refused(capsys: pytest.CaptureFixture[str], line: list[str], code: int = 2) -> str:
    found = run(line)
    captured = capsys.readouterr()
    assert found == code, captured.out
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_calls_asked_are_the_plans(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = as_json(capsys, ["plan", "study.yaml", *SCRIPTED, "--allow-unreachable"])
    result = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet"])
    asked = {role: n for role, n in plan["calls"]["asked"].items() if n and role != "total"}
    assert result["calls"]["asked"] == asked
    assert sum(asked.values()) == plan["calls"]["asked"]["total"]
    assert result["calls"]["paid"] <= plan["calls"]["paid_at_most"]["total"] < plan["calls"]["asked"]["total"]
    assert plan["run"] == result["run"]
    (folder / "independent.yaml").write_text(STUDY + "design: independent\n")
    plan = as_json(capsys, ["plan", "independent.yaml", *SCRIPTED, "--allow-unreachable"])
    independent = as_json(capsys, ["run", "independent.yaml", *SCRIPTED, "--quiet"])
    assert independent["calls"]["asked"] == asked
    assert result["calls"]["paid"] < independent["calls"]["paid"] <= plan["calls"]["paid_at_most"]["total"]


def test_a_plan_in_words_and_its_refusals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, ["plan", "study.yaml", *SCRIPTED])
    assert "cannot reach" in said
    assert run(["plan", "study.yaml", *SCRIPTED, "--allow-unreachable", "--max-calls", "500"]) == 0
    text = capsys.readouterr().out
    assert "calls asked" in text
    assert "gradient/critic-binary/naive" in text
    assert "Warning:" in text
    assert "power" in text
    assert "No cut" in text or "To get under the limit" in text
    assert not (folder / ".nullgrad").exists(), "a plan writes nothing"


def test_a_pilot_measures_and_is_replayed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["plan", "study.yaml", *SCRIPTED, "--allow-unreachable"]
    thumb = as_json(capsys, line)
    assert not thumb["tokens_estimate"]["measured"] and thumb["seconds_at_least"] is None
    piloted = as_json(capsys, [*line, "--pilot", "30"])
    assert piloted["tokens_estimate"]["measured"]
    assert piloted["seconds_at_least"] >= 0
    assert piloted["calls"] == thumb["calls"]
    again = as_json(capsys, line)
    assert again == piloted, "recorded calls are measured without a pilot"
    result = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet"])
    fresh = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet", "--ledger", "fresh.db"])
    assert lasting(result) == lasting(fresh), "a pilot is no fact of the study"
    assert 0 < fresh["calls"]["paid"] - result["calls"]["paid"] <= 30
    assert "--pilot is -1" in refused(capsys, [*line, "--pilot", "-1"])


def test_the_same_command_again_pays_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet", "--out", "result.json"])
    assert json.loads(Path("result.json").read_text()) == first
    again = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet"])
    assert again["calls"]["paid"] == 0
    assert lasting(again) == lasting(first)
    assert first["complete"] and not first["stopped"]
    assert first["simulated"] == ["script:model.py"]


def test_reports_are_what_was_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet", "--out", "result.json"])
    kept = as_json(capsys, ["report", "last"])
    assert kept == lasting(result)
    assert as_json(capsys, ["report", result["run"][:8]]) == kept
    assert as_json(capsys, ["report", "result.json"]) == result
    assert run(["report"]) == 0
    text = capsys.readouterr().out
    assert "Simulation: script:model.py is no real model." in text
    for word in ("Predictions of the gradient hypothesis", "cannot tell", "least p", "Run " + result["run"]):
        assert word in text
    assert run(["report", "--format", "csv", "--table", "trials"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 5 * 4 == len(result["tables"]["trials"])
    assert [float(row["score"]) for row in rows] == [row["score"] for row in result["tables"]["trials"]]
    for name in result["tables"]:
        assert run(["report", "--table", name]) == 0
        assert run(["report", "--format", "csv", "--table", name, "--out", f"{name}.csv"]) == 0
        assert run(["report", "--format", "parquet", "--table", name, "--out", f"{name}.parquet"]) == 0
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table("contrasts.parquet").to_pylist()
    assert [row["difference_points"] for row in found] == [
        row["difference_points"] for row in result["tables"]["contrasts"]
    ]
    capsys.readouterr()
    assert "Known: contrasts, arms" in refused(capsys, ["report", "--format", "csv", "--table", "nothing"])
    assert "--out" in refused(capsys, ["report", "--format", "parquet"])
    assert "no run 'ffff'" in refused(capsys, ["report", "ffff"])
    assert "no ledger" in refused(capsys, ["report", "--ledger", "none.db"])
    assert "no result of nullgrad run" in refused(capsys, ["report", "study.yaml"])


def test_an_export_passes_studies_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arm = ["optimize", "task.yaml", *SCRIPTED, "--arm", "improve/naive", "--steps", "1", "--quiet"]
    optimized = as_json(capsys, arm)
    studied = as_json(capsys, ["run", "study.yaml", *SCRIPTED, "--quiet"])
    later = as_json(capsys, [*arm, "--seed", "1"])
    assert later["test"]["readings_before"] == optimized["test"]["readings"] + studied["test_readings"], (
        "a study's openings of the sealed test are told like any other's"
    )
    optimized = later
    assert as_json(capsys, ["export"])["prompt"] == optimized["best_prompt"]
    assert as_json(capsys, ["report"])["run"] == studied["run"]
    assert "nullgrad export" in refused(capsys, ["report", optimized["run"]])
    assert "nullgrad report" in refused(capsys, ["export", studied["run"]])


def test_the_ledgers_events_fold_to_the_result(folder: Path) -> None:
    study = nullgrad.Study.from_file("study.yaml", model="script:model.py")
    result = study.run(ledger="l.db")
    assert study.report("l.db").canonical() == result.canonical()
    with pytest.raises(UserError, match="no run of the study"):
        nullgrad.Study.from_file("study.yaml", model="openai/other").report("l.db")


def test_a_budget_stops_with_complete_blocks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["run", "study.yaml", *SCRIPTED, "--quiet", "--concurrency", "4", "--max-calls", "900"]
    seen = -1
    for command in range(9):
        found = run([*line, "--json"])
        result = json.loads(capsys.readouterr().out)
        blocks = result["cells"][0]["complete_blocks"]
        assert result["calls"]["paid"] <= 900
        assert blocks >= seen
        assert {row["trial"] for row in result["tables"]["trials"]} == set(range(blocks))
        seen = blocks
        if found == 0:
            break
        assert found == 4
        assert "budget of 900 calls" in result["stopped"]
        if command == 0:
            assert run(["report"]) == 0
            assert "Stopped early" in capsys.readouterr().out
    assert (found, seen, result["complete"]) == (0, 4, True)
    whole = as_json(capsys, [*line[:5], "--ledger", "fresh.db"])
    assert lasting(whole) == lasting(result)


def test_progress_is_told_in_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "study.yaml", *SCRIPTED]) == 0
    told = capsys.readouterr().err
    assert "calls asked" in told
    assert "warning: The contrast" in told
    assert told.count("is complete") == 4
    assert "improve/none/naive 4/4" in told


def test_an_endpoint_that_is_down_suspends(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy.__init__, "__defaults__", SWIFT)
    with Endpoint(answers=("up", "down"), faults=Faults(every=500)) as endpoint:
        line = ["run", "study.yaml", "--model", "openai/test", "--base-url", endpoint.url, "--quiet"]
        said = refused(capsys, line, 3)
        assert "does not answer" in said
        assert "run the same command again" in said
        endpoint.faults = Faults()
        assert as_json(capsys, line)["calls"]["failed"] == 0, "no failure was recorded"


def test_calls_that_stay_failed_are_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down"), faults=Faults(rejected=0.02)) as endpoint:
        result = as_json(
            capsys,
            ["run", "study.yaml", "--model", "openai/test", "--base-url", endpoint.url, "--quiet"],
        )
    assert result["calls"]["failed"] > 0
    assert result["complete"], "every block ran"
    assert sum(row["failed"] for row in result["tables"]["arms"]) > 0


def test_looks_end_what_is_decided(folder: Path) -> None:
    """A prompt that was improved answers rightly, so that the first look at which the level can be reached decides."""

    def reply(request: Request) -> str:
        text = "\n".join(message.content for message in request.messages)
        if "between <prompt> and </prompt>" in text:
            return f"<prompt>Be right, rule {request.draw % 997}.</prompt>"
        number = int("".join(one for one in text.rpartition("line ")[2].split(" ")[0] if one.isdigit()))
        right = "up" if number % 3 else "down"
        wrong = "down" if right == "up" else "up"
        return right if "Be right" in text or request.draw % 3 == 0 else wrong

    (folder / "looks.yaml").write_text(
        "name: looks\ntasks: [task.yaml]\narms: {improve: 30}\nsteps: 1\nsequential: [5, 10, 20, 30]\n"
        "contrasts: [{family: improve, better: improve, than: seed, margin: 5 points}]\n"
    )
    model = ScriptModel(reply, "script:right", "right")
    result = nullgrad.Study.from_file("looks.yaml", model=model, concurrency=4).run(ledger="l.db")
    (contrast,) = result.contrasts
    assert (contrast.verdict, contrast.stop) == ("supported", "efficacy")
    assert contrast.look < 30
    assert {trial.trial for trial in result.trials} == set(range(contrast.look)), (
        "no block behind the look ran"
    )
    assert result.stopped == ""
    again = nullgrad.Study.from_file("looks.yaml", model=model, concurrency=32).run(ledger="l.db")
    assert again.spend.paid == 0
    assert again.canonical() == result.canonical()


def test_looks_of_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["plan", "study.yaml", *SCRIPTED, "--allow-unreachable"]
    assert "look at" in " ".join(as_json(capsys, [*plan, "--sequential"])["problems"])
    assert "rising numbers of blocks that end with 4" in refused(capsys, [*plan, "--sequential", "3,2"])
    assert "numbers of blocks such as" in refused(capsys, [*plan, "--sequential", "few"])


def test_an_interrupt_keeps_the_calls_in_flight_and_exits_130(folder: Path) -> None:
    import signal

    with Endpoint(answers=("up", "down"), latency=0.02) as endpoint:
        line = [
            sys.executable, "-m", "nullgrad", "run", "study.yaml", "--model", "openai/test", "--base-url", endpoint.url,
            "--endpoint-name", "test", "--json", "--concurrency", "8",
        ]  # fmt: skip
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=folder
        )
        while len(endpoint.log) < 60 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert out == b""
        assert b"same command" in err
        assert b"Traceback" not in err
        paid = sum(endpoint.served().values())
        endpoint.latency = 0.0
        done = subprocess.run(line, capture_output=True, env=environment(), cwd=folder, check=False)
        assert done.returncode == 0, done.stderr
        assert max(endpoint.served().values()) == 1, "nothing was paid twice"
        assert json.loads(done.stdout)["calls"]["paid"] == sum(endpoint.served().values()) - paid


def test_models_and_mistakes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "names no model" in refused(capsys, ["run", "study.yaml"])
    assert "There is no study" in refused(capsys, ["run", "paper-mian", *SCRIPTED])
    assert "--scale is 2" in refused(capsys, ["run", "study.yaml", *SCRIPTED, "--scale", "2"])
    assert "price of script" not in refused(capsys, ["run", "study.yaml", *SCRIPTED, "--concurrency", "0"])
    assert "price of openai/nobody is unknown" in refused(
        capsys,
        ["run", "study.yaml", "-m", "openai/nobody", "--base-url", "http://127.0.0.1:9/v1", "--max-usd", "1"],
    )
    assert "is no result of nullgrad" in refused(
        capsys, ["run", "study.yaml", *SCRIPTED, "--out", "study.yaml"]
    )


def test_the_package_alone_imports_no_numbers() -> None:
    code = "import sys, nullgrad; print(sorted({'numpy', 'scipy', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert nullgrad.Study.__name__ == "Study"
