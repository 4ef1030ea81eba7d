"""`nullgrad optimize` as its users run it: output, exit codes, budgets, failures, replays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nullgrad
from nullgrad.edges.models.named import open_model
from nullgrad.run.retry import RetryPolicy
from nullgrad.surfaces.cli import run
from tests.support.endpoint import MIXED, Endpoint, Faults
from tests.support.workload import command, environment, lasting, write_task

ARM = "gradient/correct/validated@2"

SWIFT = (6, 0.01, 0.05, 5.0)
"""Defaults of `RetryPolicy` that pause for no longer than a test should."""

SWIFTLY = f"""
from nullgrad.run.retry import RetryPolicy
from nullgrad.surfaces.cli import main
RetryPolicy.__init__.__defaults__ = {SWIFT}
main()
"""
"""The command line with those defaults, for `python -c`."""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return write_task(tmp_path)


def arguments(endpoint: Endpoint, *more: str) -> list[str]:
    return [
        "optimize", "task.yaml", "--model", "openai/test", "--base-url", endpoint.url, "--endpoint-name", "test",
        "--ledger", "l.db", "--arm", ARM, "--steps", "2", *more,
    ]  # fmt: skip


def as_json(capsys: pytest.CaptureFixture[str], line: list[str], code: int = 0) -> dict[str, Any]:
    found = run([*line, "--json", "--quiet"])
    captured = capsys.readouterr()
    assert found == code, captured.err
    result: dict[str, Any] = json.loads(captured.out)
    return result


def test_the_contract_of_json(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        result = as_json(capsys, arguments(endpoint, "--out", "result.json"))
    assert result["seed_prompt"] == "Is the mood up or down?"
    assert result["best_prompt"]
    assert result["recommendation"] in ("switch", "keep", "cannot tell")
    assert 0 <= result["test"]["seed"]["score"] <= 1
    assert 0 <= result["test"]["best"]["score"] <= 1
    low, high = result["test"]["gain"]["ci95"]
    assert low <= result["test"]["gain"]["points"] <= high
    assert set(result["classes"]) == {"up", "down"}
    for one in result["classes"].values():
        assert 0 <= one["seed"]["recall"] <= 1
        assert 0 <= one["best"]["recall"] <= 1
    assert {"paid", "replayed", "failed"} <= set(result["calls"])
    assert {"prompt", "completion"} <= set(result["tokens"])
    assert {"scored", "unparsed", "failed"} <= set(result["outcomes"])
    assert result["outcomes"]["scored"] == 40 * 2 + 20 * 5 + 3 * 2
    assert result["tokens"]["prompt"] > result["calls"]["paid"]
    assert json.loads(Path("result.json").read_text()) == result


def test_the_same_command_again_pays_nothing(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        first = as_json(capsys, arguments(endpoint))
        asked = len(endpoint.log)
        second = as_json(capsys, arguments(endpoint))
        assert len(endpoint.log) == asked
    assert second["calls"]["paid"] == 0
    assert second["calls"]["replayed"] == first["calls"]["paid"]
    assert lasting(first) == lasting(second)
    assert second["tokens"]["prompt"] == 0


def test_failures_are_missing_and_counted(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down"), faults=MIXED) as endpoint:
        with pytest.MonkeyPatch.context() as patch:
            # A hanging call costs its whole timeout; the endpoint answers all others at once.
            patch.setitem(open_model.__kwdefaults__, "timeout", 0.5)
            patch.setattr(RetryPolicy.__init__, "__defaults__", SWIFT)
            result = as_json(capsys, arguments(endpoint, "--steps", "3"))
        rejected = {one.body for one in endpoint.log if one.fault == "rejected"}
    assert rejected
    assert result["calls"]["failed"] == len(rejected)
    for split in ("seed", "best"):
        outcomes = result["test"][split]["outcomes"]
        assert sum(outcomes.values()) == 40
    forward_failures = sum(result["outcomes"][split]["failed"] for split in ("train", "validation", "test"))
    assert forward_failures + result["unparsed_proposals"].get("failed", 0) <= result["calls"]["failed"]
    lost = [result["test"][which]["outcomes"]["failed"] for which in ("seed", "best")]
    assert max(lost) <= 40 - result["test"]["gain"]["pairs"] <= sum(lost)


def test_every_call_failing_is_exit_code_3_and_no_result(task: Path, tmp_path: Path) -> None:
    with Endpoint(faults=Faults(every=500)) as endpoint:
        line = command(task, endpoint.url, tmp_path / "l.db", "--steps", "1", "--concurrency", "64")
        line[1:3] = ["-c", SWIFTLY]
        done = subprocess.run(
            line, capture_output=True, text=True, env=environment(), timeout=120, check=False
        )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr


def test_a_wrong_key_is_exit_code_2(
    task: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with Endpoint(key="sk-right") as endpoint:
        assert run(arguments(endpoint, "--quiet", "--concurrency", "4")) == 2
        assert len(endpoint.log) <= 4
    captured = capsys.readouterr()
    assert "OPENAI_API_KEY" in captured.err
    assert "sk-wrong" not in captured.err


def test_an_unknown_model_is_exit_code_2(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(model="another") as endpoint:
        assert run(arguments(endpoint, "--quiet")) == 2
    assert "'test'" in capsys.readouterr().err


def test_a_budget_ends_the_run_with_a_result_and_exit_code_4(
    task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        whole = as_json(
            capsys, [*arguments(endpoint)[:-4], "--ledger", "whole.db", "--arm", ARM, "--steps", "2"]
        )
        paid = 0
        stopped = as_json(capsys, arguments(endpoint, "--max-calls", "130"), 4)
        assert stopped["calls"]["paid"] <= 130
        assert not stopped["complete"]
        assert "budget" in stopped["stopped"]
        assert sum(stopped["test"]["seed"]["outcomes"].values()) == 40
        paid += stopped["calls"]["paid"]
        again = as_json(capsys, arguments(endpoint))
        assert lasting(again) == lasting(whole)
        assert again["calls"]["paid"] < whole["calls"]["paid"]
        replayed = as_json(capsys, arguments(endpoint, "--max-calls", "0"))
        assert lasting(replayed) == lasting(whole)
        assert replayed["calls"]["paid"] == 0


def test_what_an_earlier_run_read_of_the_sealed_test_is_not_set_aside_again(
    task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of 214 calls: 50 of them and 80 of the test, then the other 84 and the 40 of another best prompt."""
    with Endpoint(answers=("up", "down")) as endpoint:
        first = as_json(capsys, arguments(endpoint, "--max-calls", "130"), 4)
        second = as_json(capsys, arguments(endpoint, "--max-calls", "130"))
        asked = len(endpoint.log)
    assert second["complete"]
    assert second["calls"]["paid"] <= 130
    assert first["calls"]["paid"] + second["calls"]["paid"] == asked


def test_controls_are_paid_last(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        alone = as_json(capsys, arguments(endpoint))
        budget = str(alone["calls"]["paid"] + 50)
        result = as_json(
            capsys,
            [*arguments(endpoint, "--controls", "standard", "--max-calls", budget, "--ledger", "m.db")],
            4,
        )
    assert result["test"] | {"readings": 0} == alone["test"] | {"readings": 0}
    assert result["best_prompt"] == alone["best_prompt"]


def test_why_adds_the_ladder(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        result = as_json(capsys, arguments(endpoint, "--why"))
        two = as_json(capsys, arguments(endpoint, "--controls", "standard", "--trials", "2"))
    ladder = result["attribution"]["ladder"]
    assert ladder["blocks"] == 5
    assert ladder["steps"][0]["arm"] == "seed"
    assert ladder["steps"][-1]["arm"] == ARM
    assert ladder["steps"][0]["ci95"] is None
    for step in ladder["steps"][1:]:
        (low, high), (lowest, highest) = step["ci95"], step["ci95_simultaneous"]
        assert lowest < low < step["points"] < high < highest
    assert "one draw per arm: not attributable" in two["attribution"]["ladder"]["reason"]


def test_the_dry_run_asks_nothing(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint() as endpoint:
        assert run(arguments(endpoint, "--dry-run", "--json")) == 0
        forecast = json.loads(capsys.readouterr().out)
        assert run(arguments(endpoint, "--dry-run")) == 0
        assert endpoint.log == []
    assert forecast["calls"]["main"] == {
        "generator": 6 + 20 * 5 + 80,
        "optimizer": 28,
        "critic": 0,
        "judge": 0,
    }
    assert forecast["usd_estimate"] is None, "an unknown price is unknown, not 0"
    text = capsys.readouterr().out
    assert "214 calls" in text
    assert "price unknown" in text
    assert not Path("l.db").exists()


def test_controls_that_cannot_be_attributed_are_told_beforehand(
    task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Endpoint() as endpoint:
        assert run(arguments(endpoint, "--dry-run", "--controls", "standard", "--trials", "2")) == 0
        assert "2 of the 3 trials" in capsys.readouterr().out
        assert run(arguments(endpoint, "--dry-run", "--why")) == 0
    assert "attribution needs" not in capsys.readouterr().out


def test_dollars_need_a_known_price(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint() as endpoint:
        assert run(arguments(endpoint, "--max-usd", "1")) == 2
    assert "price" in capsys.readouterr().err


def test_tables_for_people(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        assert run(arguments(endpoint)) == 0
    captured = capsys.readouterr()
    for word in ("Sealed test: 40 examples", "Recall of each class", "gain", "McNemar", "calls paid"):
        assert word in captured.out
    for word in ("Forecast:", "step 1", "on validation"):
        assert word in captured.err
    assert "\x1b[" not in captured.out + captured.err, "no colours where there is no terminal"


def test_unreadable_answers_are_shown_raw(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down", "It depends on the [day].")) as endpoint:
        assert run(arguments(endpoint)) == 0
        text = capsys.readouterr().out
        result = as_json(capsys, arguments(endpoint))
    assert "It depends on the [day]." in text
    assert result["outcomes"]["test"]["unparsed"] > 8
    assert len(result["unparsed_replies"]) == 3


def test_zero_steps_score_the_seed(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        result = as_json(capsys, [*arguments(endpoint)[:-2], "--steps", "0"])
        assert len(endpoint.log) == 40
    assert result["best_prompt"] == result["seed_prompt"]
    assert result["recommendation"] == "keep"


def test_export_in_every_form(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    nasty = 'Mood {{x}} {% y %} ``` "q" and \\n?'
    text = Path("task.yaml").read_text().replace("Is the mood up or down?", json.dumps(nasty))
    Path("task.yaml").write_text(text)
    with Endpoint(answers=("up", "down")) as endpoint:
        assert run([*arguments(endpoint)[:-2], "--steps", "0", "--quiet", "--out", "r.json"]) == 0
    capsys.readouterr()
    outputs = {}
    for form in ("text", "json", "markdown", "promptfoo", "dspy"):
        assert run(["export", "--ledger", "l.db", "--format", form]) == 0
        outputs[form] = capsys.readouterr().out
        assert run(["export", "r.json", "--format", form]) == 0
        assert capsys.readouterr().out == outputs[form]
    assert outputs["text"].startswith(nasty)
    assert json.loads(outputs["json"])["prompt"] == nasty
    assert nasty in outputs["markdown"]
    raw = yaml.safe_load(outputs["promptfoo"])["prompts"][0]["raw"]
    chat = json.loads(raw.replace("{% raw %}", "").replace("{% endraw %}", ""))
    assert chat[0]["content"].startswith(nasty)
    assert chat[1]["content"] == "{{input}}"
    namespace: dict[str, Any] = {}
    exec(
        "\n".join(line for line in outputs["dspy"].splitlines() if line.startswith("INSTRUCTIONS")), namespace
    )
    assert namespace["INSTRUCTIONS"].startswith(nasty)


def test_verify_finds_nothing_in_a_good_ledger(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down"), faults=Faults(rejected=0.03)) as endpoint:
        assert run(arguments(endpoint, "--quiet", "--why")) == 0
    capsys.readouterr()
    assert run(["verify", "--ledger", "l.db", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == [] or report["problems"] == ()


def test_the_api_does_the_same(task: Path) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        result = nullgrad.optimize(
            "task.yaml",
            model="openai/test",
            base_url=endpoint.url,
            endpoint_name="test",
            arm=ARM,
            steps=2,
            ledger="api.db",
        )
    assert result.arm == ARM
    assert result.gain is not None
    assert json.loads(result.to_json())["run"] == result.run


def test_three_models_for_three_roles(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        result = as_json(
            capsys,
            arguments(
                endpoint,
                "--optimizer-model",
                "openai/writer",
                "--temperature",
                "0.5",
                "--optimizer-temperature",
                "1",
            ),
        )
        models = {body["model"] for body in endpoint.bodies.values()}
        assert models == {"test", "writer"}
        for body in endpoint.bodies.values():
            assert body["temperature"] == (1 if body["model"] == "writer" else 0.5)
    assert result["models"]["optimizer"] == "openai/writer"


def test_importing_nullgrad_is_light() -> None:
    code = "import sys, nullgrad; print([m for m in ('scipy', 'numpy', 'aiohttp', 'openai', 'litellm', 'xllamacpp', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom nullgrad.surfaces.cli import run\nrun(['--help'])\nprint([m for m in ('scipy', 'numpy', 'aiohttp', 'rich', 'sqlalchemy', 'pydantic', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
