"""`nullgrad audit` as its users run it: any two prompts, recorded runs, budgets, replays, mistakes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nullgrad
from nullgrad.surfaces.cli import run
from tests.support.endpoint import Endpoint
from tests.support.workload import environment, lasting, run_json, write_task

SCRIPT = '''
"""Right four times out of five; "Never answer down" is obeyed; an optimizer proposes that rule."""

import re


def reply(request):
    text = request.messages[-1].content
    whole = "\\n".join(message.content for message in request.messages)
    line = re.search(r"line (\\d+) of the diary", text)
    if "<prompt>" in whole or line is None or "Answer with one word" not in whole:
        return f"<prompt>Is the mood up or down? Never answer down. Variant {request.draw % 7}.</prompt>"
    number = int(line[1])
    right = "up" if number % 3 else "down"
    if "Never answer down" in whole:
        return "up"
    return right if number % 5 else {"up": "down", "down": "up"}[right]
'''

AFTER = "Is the mood up or down? Read the whole line. Never answer down. Then say it."


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    write_task(tmp_path)
    (tmp_path / "model.py").write_text(SCRIPT)
    (tmp_path / "before.md").write_text("Is the mood up or down?\n")
    (tmp_path / "after.md").write_text(AFTER + "\n")
    return tmp_path


PAIR = ("--before", "before.md", "--after", "after.md")


def line(*more: str, pair: tuple[str, ...] = PAIR, model: str = "script:model.py") -> list[str]:
    return ["audit", "task.yaml", *pair, "--model", model, "--ledger", "l.db", *more]


def as_json(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int = 0) -> dict[str, Any]:
    found = run([*arguments, "--json", "--quiet"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    result: dict[str, Any] = json.loads(captured.out)
    return result


def mistake(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int = 2) -> str:
    found = run([*arguments, "--quiet"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_the_contract_of_json_and_the_replay(capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--sections",
        "--repeats",
        "2",
        "--fresh",
        "--prior",
        "up=0.5",
        "--curve",
        "down",
        "--out",
        "a.json",
    )
    first = as_json(capsys, line(*options))
    assert first["test"]["before"]["score"] == pytest.approx(0.8, abs=0.1)
    assert first["predictions"]["fitted"] == "validation"
    assert {row["label"] for row in first["predictions"]["slots"][0]["classes"]} == {"up", "down"}
    assert first["rules"][0]["labels"] == ["down"]
    assert first["rules"][0]["counterexamples"][0]["recall_after"] == 0.0
    assert len(first["ablation"]["sections"]) == 4
    assert first["fresh"]["group"] == "test"
    assert "re-weighted from the recorded answers" in " ".join(first["not_applicable"])
    assert first["predictions"]["slots"][0]["curve"]["label"] == "down"
    assert first["shortest"]["characters"] < first["shortest"]["full_characters"]
    assert first["test"]["readings"] == 5
    assert json.loads(Path("a.json").read_text()) == first
    second = as_json(capsys, line(*options))
    assert second["calls"]["paid"] == 0
    assert lasting(second) == lasting(first)
    assert run(["verify", "--ledger", "l.db"]) == 0


def test_the_text_tells_the_verdict_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line("--sections", "--repeats", "1")) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Simulation: script:model.py")
    for words in (
        "Classes",
        "Suspicious rules",
        "Never answer down.",
        "Copied text",
        "opened 3 times by this run",
    ):
        assert words in captured.out
    assert "Forecast:" in captured.err


def test_the_forecast_is_what_is_asked_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--sections", "--repeats", "2", "--fresh")
    assert run([*line(*options), "--dry-run", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert not Path("l.db").exists()
    asked = as_json(capsys, line(*options))["calls"]
    assert asked["asked"]["generator"] <= expected["calls"]["asked"]
    assert asked["asked"]["generator"] >= expected["calls"]["asked"] - 2 * 20 * 2
    plain = as_json(capsys, line(pair=("--before", "seed", "--after", "after.md"), model="script:model.py"))
    assert plain["calls"]["asked"] == {"generator": 2 * (20 + 40)}


def test_a_recorded_run_is_audited_without_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    optimized = as_json(
        capsys,
        ["optimize", "task.yaml", "--model", "script:model.py", "--ledger", "l.db", "--arm", "improve/none/best@2",
         "--steps", "1", "--seed", "3"],
    )  # fmt: skip
    assert "Never answer down" in optimized["best_prompt"]
    pair = ("--before", f"run:{optimized['run'][:8]}", "--after", "last")
    audited = as_json(capsys, line(pair=pair))
    # best@2 never runs the seed prompt on validation; all else is recorded.
    assert audited["calls"]["paid"] == 20
    assert audited["seed"] == 3
    assert audited["before"]["prompt"] == optimized["seed_prompt"]
    assert audited["after"]["prompt"] == optimized["best_prompt"]
    assert audited["test"]["before"]["score"] == optimized["test"]["seed"]["score"]
    assert audited["test"]["after"]["score"] == optimized["test"]["best"]["score"]
    assert audited["test"]["readings_before"] == 2
    assert optimized["audit"]["fitted"] == "cross-fitted"
    assert (
        optimized["audit"]["decomposition"]["accuracy"] == audited["predictions"]["decomposition"]["accuracy"]
    )


def test_the_end_of_an_optimization_is_audited_on_validation_where_both_were_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = Path("model.py")
    script.write_text(
        SCRIPT.replace("if number % 5 else", "if number % 5 or 'Variant' in whole else").replace(
            "Never answer down. Variant", "Variant"
        )
    )
    arguments = ["optimize", "task.yaml", "--model", "script:model.py", "--ledger", "l.db", "--arm",
                 "improve/none/validated@2", "--steps", "1"]  # fmt: skip
    found = as_json(capsys, arguments)
    assert found["audit"]["fitted"] == "validation"
    assert found["audit"]["fitted_on"] == 20
    assert found["audit"]["verdict"] == "genuine"
    audited = as_json(capsys, line(pair=("--before", "last", "--after", "last")))
    assert audited["calls"]["paid"] == 0
    assert audited["predictions"] == found["audit"]
    assert run(arguments) == 0
    assert "What the gain is made of: genuine" in capsys.readouterr().out


def test_the_shortest_prompt_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, line("--minimize", "short.md", "--repeats", "1"))
    assert found["ablation"] is not None
    assert Path("short.md").read_text() == found["shortest"]["prompt"] + "\n"
    assert "Never answer down" not in found["shortest"]["prompt"]


def test_a_budget_leaves_what_is_complete_and_goes_on_from_there(capsys: pytest.CaptureFixture[str]) -> None:
    message = mistake(capsys, line("--sections", "--repeats", "2", "--max-calls", "70"))
    assert "sealed test alone needs 80 calls" in message
    part = as_json(capsys, line("--sections", "--repeats", "2", "--max-calls", "150"), 4)
    assert part["ablation"] is None
    assert not part["complete"]
    assert "budget" in part["stopped"]
    assert part["calls"]["paid"] <= 150
    assert part["predictions"] is not None
    full = as_json(capsys, line("--sections", "--repeats", "2"))
    assert full["complete"]
    assert full["calls"]["replayed"] >= part["calls"]["paid"]
    again = as_json(capsys, line("--sections", "--repeats", "2", "--max-calls", "0"))
    assert again["complete"] and again["calls"]["paid"] == 0


def test_a_budget_that_only_the_test_fits_into_still_audits_it(capsys: pytest.CaptureFixture[str]) -> None:
    part = as_json(capsys, line("--max-calls", "80"), 4)
    assert part["validation"]["before"] is None
    assert part["predictions"]["fitted"] == "cross-fitted"
    assert part["calls"]["paid"] == 80


def test_an_endpoint_is_asked_for_log_probabilities_and_what_it_lacks_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        options = ("--base-url", endpoint.url, "--endpoint-name", "test")
        found = as_json(capsys, line(*options, model="openai/test"))
        assert len(endpoint.log) == 120
        assert "returned no log-probabilities" in found["bias_fitted_unavailable"]
        assert found["predictions"]["decomposition"]["biased"] is None
        asked = len(endpoint.log)
        without = as_json(capsys, line(*options, "--no-logprobs", model="openai/test"))
        assert len(endpoint.log) == 2 * asked
        fewer = as_json(capsys, line(*options, "--logprobs", "5", model="openai/test"))
        assert len(endpoint.log) == 3 * asked
    assert len({found["run"], without["run"], fewer["run"]}) == 3


def test_a_killed_audit_goes_on_where_it_was() -> None:
    with Endpoint(answers=("up", "down"), latency=0.03) as endpoint:
        arguments = [sys.executable, "-m", "nullgrad", *line("--base-url", endpoint.url, "--endpoint-name", "test",
                     "--concurrency", "4", "--json", "--quiet", model="openai/test")]  # fmt: skip
        process = subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        deadline = time.monotonic() + 60
        while len(endpoint.log) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        answered = len(endpoint.log)
        assert 40 <= answered < 120
        found = run_json(arguments)
        again = run_json(arguments)
    # At most the calls in flight are asked twice.
    assert found["calls"]["replayed"] >= answered - 2 * 4
    assert found["calls"]["paid"] + found["calls"]["replayed"] == 120
    assert again["calls"]["paid"] == 0
    assert lasting(again) == lasting(found)


def test_openings_of_the_test_are_counted_over_audits(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(capsys, line())["test"]["readings_before"] == 0
    Path("other.md").write_text("Which mood is it? Up or down?")
    second = as_json(capsys, line(pair=("--before", "before.md", "--after", "other.md")))
    assert (second["test"]["readings"], second["test"]["readings_before"]) == (2, 2)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--after", "before.md"), "are the same text"),
        (("--after", "none.md"), "There is no file none.md for --after"),
        (("--after", "."), "cannot be read"),
        (("--after", "last"), "There is no ledger"),
        (("--after", "best"), "No recorded run has a prompt for moods"),
        (("--curve", "sideways"), "'sideways' is no label of the task"),
        (("--prior", "up"), "--prior is 'up'"),
        (("--prior", "up=0.9,down=0.9"), "sum to 1.8"),
        (("--prior", "left=0.5"), "'left' is no label"),
        (("--shares", "0,2", "--curve", "down"), "--shares is '0,2'"),
        (("--margin", "0"), "margin is 0 points"),
        (("--repeats", "0"), "--repeats is 0"),
        (("--items", "0"), "--items is 0"),
        (("--minimize", "task.yaml"), "exists and is no prompt"),
        (("--minimize", "after.md"), "is the file of the after prompt"),
        (("--minimize", "no/where.md"), "There is no directory no for --minimize"),
        (("--out", "task.yaml"), "is no result of nullgrad"),
        (("--concurrency", "0"), "--concurrency is 0"),
        (("--logprobs", "-1"), "--logprobs is -1"),
        (("--logprobs", "5", "--no-logprobs"), "--no-logprobs for none"),
    ],
)
def test_mistakes_are_one_clear_line(
    more: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("task.yaml").read_text()
    assert message in mistake(capsys, line(*more))
    assert Path("task.yaml").read_text() == before
    assert not Path("l.db").exists()


def test_a_run_of_another_task_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    optimize = ["optimize", "task.yaml", "--model", "script:model.py", "--ledger", "l.db", "--steps", "0"]
    assert run([*optimize, "--quiet"]) == 0
    capsys.readouterr()
    Path("others.yaml").write_text(Path("task.yaml").read_text().replace("name: moods", "name: others"))
    arguments = line("--after", "last")
    arguments[1] = "others.yaml"
    assert "optimized a prompt of moods, not of others" in mistake(capsys, arguments)


def test_the_preset_of_the_paper_audits_the_best_recorded_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    preset = ["paper-sections", "--task", "task.yaml", "--model", "script:model.py", "--ledger", "l.db"]
    assert "No recorded run has a prompt for moods" in mistake(capsys, ["run", *preset])
    optimized = as_json(
        capsys,
        ["optimize", "task.yaml", "--model", "script:model.py", "--ledger", "l.db", "--arm", "improve/none/best@2",
         "--steps", "1"],
    )  # fmt: skip
    assert run(["plan", *preset]) == 0
    planned = capsys.readouterr()
    assert "paper-sections is: nullgrad audit task.yaml" in planned.err
    assert "for the ablation of 3 sections, each prompt 5 times" in " ".join(planned.out.split())
    found = as_json(capsys, ["run", *preset])
    assert found["after"]["prompt"] == optimized["best_prompt"]
    assert found["ablation"]["repeats"] == 5
    assert "audits one prompt" in mistake(capsys, ["run", *preset, "--scale", "0.5"])
    assert "2 models were given" in mistake(capsys, ["run", *preset, "--model", "script:model.py"])


STUDY = """\
tasks: [task.yaml]
arms: [improve/none/validated@2, improve/none/naive]
trials: 3
steps: 1
batch_size: 3
design: paired
contrasts:
  - {family: f, better: improve/none/validated@2, than: improve/none/naive}
"""


def test_a_study_counts_verdicts_and_its_best_prompt_can_be_audited(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("study.yaml").write_text(STUDY)
    study = as_json(capsys, ["run", "study.yaml", "--model", "script:model.py", "--ledger", "l.db"])
    rows = study["tables"]["audits"]
    assert {(row["arm"], row["verdict"]): row["count"] for row in rows if row["count"]} == {
        ("improve/none/validated@2", "unchanged"): 3,
        ("improve/none/naive", "cannot tell"): 3,
    }
    assert {row["trials"] for row in rows} == {3}
    assert run(["run", "study.yaml", "--model", "script:model.py", "--ledger", "l.db", "--quiet"]) == 0
    assert "Audit: final prompts against the seed prompt" in capsys.readouterr().out
    found = as_json(capsys, line(pair=("--after", "best")))
    assert "of improve/none/naive in run" in found["after"]["name"]
    assert found["test"]["readings_before"] == len(study["tables"]["trials"])
    # The paired design's draws are the trial's: the test is replayed, and validation as far as an arm ran it.
    assert found["calls"]["paid"] <= 20


def test_the_api_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    told = as_json(capsys, line())
    report = nullgrad.audit(
        "task.yaml",
        "Is the mood up or down?",
        AFTER,
        model="script:model.py",
        ledger="l.db",
        names=("before.md", "after.md"),
    )
    assert isinstance(report, nullgrad.AuditReport)
    assert lasting(report.to_dict()) == lasting(told)
    assert report.verdict == told["verdict"]
    again = asyncio.run(
        nullgrad.aaudit("task.yaml", "Is the mood up or down?", AFTER, model="script:model.py", ledger="l.db")
    )
    assert again.spend.paid == 0


def test_selection_by_balanced_accuracy_is_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["optimize", "task.yaml", "--model", "script:model.py", "--ledger", "l.db", "--arm",
                 "improve/none/validated@2", "--steps", "1"]  # fmt: skip
    plain = as_json(capsys, arguments)
    same = as_json(capsys, [*arguments, "--objective", "accuracy"])
    other = as_json(capsys, [*arguments, "--objective", "balanced"])
    assert same["run"] == plain["run"] != other["run"]
    assert other["calls"]["paid"] == 0
    assert (plain["objective"], other["objective"]) == ("accuracy", "balanced")
    assert plain["selection"] is not None
    assert other["selection"]["first_step"]["candidates"] == plain["selection"]["first_step"]["candidates"]
    recalls = [row["best"]["recall"] for row in other["classes"].values()]
    assert other["selection"]["final_test"] == pytest.approx(sum(recalls) / len(recalls), abs=1e-6)
    assert any("balanced accuracy" in note for note in other["notes"])
    assert run(["verify", "--ledger", "l.db"]) == 0
