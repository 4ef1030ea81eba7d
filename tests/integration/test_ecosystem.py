"""`nullgrad export` and `nullgrad audit` with what other tools write and read: their own packages where they are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import nullgrad
from nullgrad.api import read_run
from nullgrad.api.export_prompts import evaluated_prompts
from nullgrad.edges.export.wandb import has_key
from nullgrad.errors import UserError
from nullgrad.surfaces.cli import run
from tests.support.ecosystem import run_with
from tests.support.endpoint import Endpoint
from tests.support.peers import python_with
from tests.support.workload import write_task

MODEL = """
def reply(request):
    whole = "\\n".join(message.content for message in request.messages)
    if "Answer with one word" not in whole or "<prompt>" in whole:
        return f"<prompt>Up or down? Variant {request.draw % 97}.</prompt>"
    number = int(request.identity()[:8], 16) % 13
    return "Perhaps." if number == 0 else ("up", "down")[number % 2]
"""

STUDY = """\
name: small
tasks: [task.yaml]
arms: {improve: 2, gradient/correct/best@2: 2}
steps: 1
contrasts: [{family: f, better: improve, than: seed}]
"""

OPTIMIZE = [
    "--model",
    "script:model.py",
    "--arm",
    "gradient/correct/best@2",
    "--steps",
    "2",
    "--ledger",
    "l.db",
    "--quiet",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    write_task(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


@pytest.fixture
def optimized(folder: Path) -> dict[str, Any]:
    assert run(["optimize", "task.yaml", *OPTIMIZE, "--trials", "2", "--out", "r.json"]) == 0
    value: dict[str, Any] = json.loads((folder / "r.json").read_text())
    return value


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    code = run([*arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run([*arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.strip().splitlines()) == 1
    return captured.err


def exported(package: str, folder: Path, *arguments: str, **around: str) -> dict[str, Any]:
    """`nullgrad export --json` in an interpreter that has the package."""
    done = run_with(
        package, ["-m", "nullgrad", "export", *arguments, "--ledger", "l.db", "--json"], folder, around
    )
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def asked(package: str, folder: Path, script: str, *arguments: str) -> Any:
    """What a script prints as JSON in that interpreter."""
    done = run_with(package, ["-c", script, *arguments], folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


READ_LOGS = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log

out = []
for info in list_eval_logs(sys.argv[1]):
    log = read_eval_log(info.name)
    (score,) = log.results.scores
    out.append({
        "status": log.status, "task": log.eval.task, "model": log.eval.model, "tags": log.tags, "metadata": log.metadata,
        "samples": len(log.samples), "dataset": log.eval.dataset.samples, "metrics": {k: m.value for k, m in score.metrics.items()},
        "scored": score.scored_samples, "unparsed": log.results.metadata["unparsed"], "config": log.plan.config.temperature,
        "usage": {k: [u.input_tokens, u.output_tokens, u.total_tokens] for k, u in log.stats.model_usage.items()},
        "rows": {str(s.id): [
            s.scores[score.name].value if s.scores else None, s.input, s.target, s.output.completion,
            [[m.role, m.text] for m in s.messages], s.error.message if s.error else None,
            [e.event for e in s.events], (s.scores or {}) and s.scores[score.name].answer] for s in log.samples},
    })
print(json.dumps(out))
"""


@pytest.mark.slow
def test_inspect_reads_what_was_written(folder: Path, optimized: dict[str, Any]) -> None:
    done = exported(
        "inspect_ai", folder, "last", "--format", "inspect", "--task", "task.yaml", "--out", "logs"
    )
    assert len(done["written"]) == 2 and all((folder / name).is_file() for name in done["written"])
    logs = {log["metadata"]["which_prompt"]: log for log in asked("inspect_ai", folder, READ_LOGS, "logs")}
    own = {
        one.purpose: one
        for one in evaluated_prompts(read_run("last", Path("l.db")), Path("l.db"), ["task.yaml"])
    }
    assert logs.keys() == own.keys() == {"seed", "best"}
    for which, log in logs.items():
        one, test = own[which], optimized["test"][which]  # type: ignore[index]
        assert (log["status"], log["task"], log["model"]) == ("success", "moods", "script:model.py")
        assert log["metrics"] == {"accuracy": pytest.approx(test["score"], abs=1e-6)}
        assert log["samples"] == log["dataset"] == 40 == len(one.examples)
        assert log["unparsed"] == test["outcomes"]["unparsed"] > 0
        assert log["metadata"]["prompt"] == optimized[f"{which}_prompt"]
        assert log["metadata"]["simulated"] is True and "simulated" in log["tags"]
        for example in one.examples:
            score, input_, target, completion, messages, error, events, _ = log["rows"][example.example.id]
            assert (score, input_, target) == (example.score, example.example.input, example.example.target)
            assert completion == example.reply.text  # type: ignore[union-attr]
            sent = [[message.role, message.content] for message in example.request.messages]
            assert messages == [*sent, ["assistant", completion]]
            assert error is None and events == ["model"]
        scores = [row[0] for row in log["rows"].values()]
        assert sum(scores) / len(scores) == pytest.approx(log["metrics"]["accuracy"])
        tokens = [
            sum(getattr(example.reply.usage, kind) for example in one.examples)
            for kind in ("prompt", "completion")
        ]  # type: ignore[union-attr]
        assert log["usage"] == {"script:model.py": [*tokens, sum(tokens)]}


@pytest.mark.slow
def test_an_export_for_inspect_replaces_its_own_logs_alone(folder: Path, optimized: dict[str, Any]) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "mine.txt").write_text("mine")
    line = ("--format", "inspect", "--task", "task.yaml", "--out", "logs")
    first = exported("inspect_ai", folder, "last", *line)
    assert exported("inspect_ai", folder, "r.json", *line)["written"] == first["written"]
    assert len(list((folder / "logs").iterdir())) == 3


@pytest.mark.slow
def test_inspect_has_failed_calls_as_errors(folder: Path) -> None:
    from tests.support.endpoint import Faults

    with Endpoint(answers=("up", "down", "half \ud83d"), faults=Faults(rejected=0.1)) as endpoint:
        result = nullgrad.optimize(
            "task.yaml", model="openai/test", base_url=endpoint.url, endpoint_name="test", ledger="l.db", steps=0,
            temperature=0.5,
        )  # fmt: skip
    exported("inspect_ai", folder, "last", "--format", "inspect", "--task", "task.yaml", "--out", "logs")
    (log,) = asked("inspect_ai", folder, READ_LOGS, "logs")
    failed = [row for row in log["rows"].values() if row[5] is not None]
    assert len(failed) == result.seed_test.outcomes.failed > 0
    assert all(row[0] is None and row[3] == "" for row in failed)
    assert log["scored"] == 40 - len(failed) and log["samples"] == 40
    assert log["metrics"]["accuracy"] == pytest.approx(result.seed_test.score)
    assert log["config"] == 0.5 and "simulated" not in log["tags"]


@pytest.mark.slow
def test_a_study_has_a_log_for_every_trial(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY)
    assert run(["run", "study.yaml", "--model", "script:model.py", "--ledger", "l.db", "--quiet"]) == 0
    report = read_run("last", Path("l.db"))
    done = exported("inspect_ai", folder, "last", "--format", "inspect", "--task", "task.yaml")
    assert done["written"][0].startswith(f"inspect-{report['run']}/") and len(done["written"]) == 6
    logs = asked("inspect_ai", folder, READ_LOGS, f"inspect-{report['run']}")
    found = {(log["metadata"]["arm"], log["metadata"]["trial"]): log["metrics"]["accuracy"] for log in logs}
    assert found == {
        (row["arm"], row["trial"]): pytest.approx(row["score"], abs=1e-6)
        for row in report["tables"]["trials"]
    }


READ_MLFLOW = """
import json, sys
from mlflow.tracking import MlflowClient

client = MlflowClient(tracking_uri=sys.argv[1])
out = []
for experiment in client.search_experiments():
    for found in client.search_runs([experiment.experiment_id]):
        own = found.info.run_id
        files = [one.path for one in client.list_artifacts(own)] + [one.path for one in client.list_artifacts(own, "prompts")]
        out.append({
            "experiment": experiment.name, "id": own, "name": found.info.run_name, "status": found.info.status,
            "params": found.data.params, "metrics": found.data.metrics, "tags": found.data.tags, "files": sorted(files),
            "validation": {m.step: m.value for m in client.get_metric_history(own, "validation")},
            "hours": [found.info.start_time, found.info.end_time],
            "best": client.download_artifacts(own, "prompts/best.md") if "prompts" in files else None,
        })
print(json.dumps(out))
"""


@pytest.mark.slow
def test_mlflow_has_the_run_with_its_trials(folder: Path, optimized: dict[str, Any]) -> None:
    done = exported("mlflow", folder, "last", "--format", "mlflow", "--out", "store")
    (store,) = done["written"]
    assert store == f"sqlite:///{folder}/store/mlflow.db" and store in done["say"]
    runs = asked("mlflow", folder, READ_MLFLOW, store)
    parents = [one for one in runs if "mlflow.parentRunId" not in one["tags"]]
    (parent,) = parents
    children = [one for one in runs if one["tags"].get("mlflow.parentRunId") == parent["id"]]
    assert len(runs) == 3 and len(children) == 2
    assert {one["experiment"] for one in runs} == {"nullgrad moods"} and {one["status"] for one in runs} == {
        "FINISHED"
    }
    assert parent["metrics"]["test_best"] == optimized["test"]["best"]["score"]
    assert parent["metrics"]["gain_points_ci95_low"] == optimized["test"]["gain"]["ci95"][0]
    assert parent["metrics"]["calls"] == optimized["calls"]["paid"]
    assert parent["params"]["arm"] == optimized["arm"] and parent["params"]["steps"] == "2"
    assert parent["tags"]["nullgrad.run"] == optimized["run"]
    assert "is no real model" in parent["tags"]["mlflow.note.content"]
    assert parent["files"] == ["prompts", "prompts/best.md", "prompts/seed.md", "result.json"]
    assert Path(parent["best"]).read_text() == optimized["best_prompt"] + "\n"
    # The scores by step of both trials, and the reported one's are the run's.
    assert all(set(one["validation"]) == {"1", "2"} for one in runs)
    reported = next(one for one in children if one["params"]["trial"] == str(optimized["trial"]))
    assert parent["validation"] == reported["validation"]
    assert parent["hours"][0] <= parent["hours"][1]


@pytest.mark.slow
def test_mlflow_takes_its_own_environment(folder: Path, optimized: dict[str, Any]) -> None:
    place = f"sqlite:///{folder}/elsewhere.db"
    around = {"MLFLOW_TRACKING_URI": place, "MLFLOW_EXPERIMENT_NAME": "mine"}
    assert exported("mlflow", folder, "last", "--format", "mlflow", **around)["written"] == [place]
    runs = asked("mlflow", folder, READ_MLFLOW, place)
    assert {one["experiment"] for one in runs} == {"mine"}
    done = run_with(
        "mlflow",
        ["-m", "nullgrad", "export", "last", "--format", "mlflow", "--ledger", "l.db"],
        folder,
        around,
    )
    assert done.returncode == 0 and "held this run already" in done.stderr
    done = run_with(
        "mlflow", ["-m", "nullgrad", "export", "last", "--format", "mlflow", "--ledger", "l.db"], folder,
        {"MLFLOW_TRACKING_URI": "sqlite:////proc/none/x.db"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: MLflow's store")


READ_WANDB = """
import json, sys
from pathlib import Path
from wandb.proto import wandb_internal_pb2

BLOCK = 32768


def records(data):
    # The file is a log of LevelDB's form behind seven bytes of its own: blocks, and in them checksum, length and kind.
    at, parts = 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


out = []
for path in sorted(Path(sys.argv[1]).glob("wandb/offline-run-*/*.wandb")):
    one = {"config": {}, "history": [], "summary": {}, "files": []}
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            one["name"], one["group"], one["kind"] = record.run.display_name, record.run.run_group, record.run.job_type
            one["tags"], one["notes"], one["project"] = list(record.run.tags), record.run.notes, record.run.project
            one["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        for item in record.history.item:
            one["history"].append([record.history.step.num, item.key or "/".join(item.nested_key), json.loads(item.value_json)])
        for item in record.summary.update:
            one["summary"][item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        one["files"] += [item.path for item in record.files.files]
    one["texts"] = {p.name: p.read_text() for p in (path.parent / "files").rglob("*") if p.is_file() and p.suffix in (".md", ".json")}
    out.append(one)
print(json.dumps(out))
"""


@pytest.mark.slow
def test_wandb_has_the_run_with_its_trials(folder: Path, optimized: dict[str, Any]) -> None:
    done = exported("wandb", folder, "last", "--format", "wandb", "--out", "w")
    assert len(done["written"]) == 3 and done["say"].startswith("wandb sync ")
    assert all((folder / name).is_dir() for name in done["written"])
    runs = asked("wandb", folder, READ_WANDB, "w")
    (parent,) = (one for one in runs if one["kind"] == "optimization")
    assert {one["group"] for one in runs} == {optimized["run"]} and {one["project"] for one in runs} == {
        "nullgrad"
    }
    assert parent["summary"]["test_best"] == optimized["test"]["best"]["score"]
    assert parent["summary"]["gain_points"] == optimized["test"]["gain"]["points"]
    assert parent["config"]["arm"] == optimized["arm"] and parent["config"]["steps"] == 2
    assert parent["config"]["nullgrad_run"] == optimized["run"]
    assert "simulated" in parent["tags"] and "is no real model" in parent["notes"]
    assert {step for step, name, _ in parent["history"] if name == "validation"} == {1, 2}
    assert parent["texts"]["best.md"] == optimized["best_prompt"] + "\n"
    assert json.loads(parent["texts"]["result.json"])["run"] == optimized["run"]
    assert [one["kind"] for one in runs].count("trial") == 2


def test_whether_weights_and_biases_has_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not has_key()
    (tmp_path / "netrc").write_text("machine own.example login user password k\n")
    (tmp_path / "netrc").chmod(0o600)
    assert not has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://own.example:8443")
    assert has_key()
    (tmp_path / "netrc").write_text("this is none")
    assert not has_key()
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert has_key()


@pytest.mark.parametrize(
    ("form", "module", "extra"),
    [("inspect", "inspect_ai", "inspect"), ("mlflow", "mlflow", "mlflow"), ("wandb", "wandb", "wandb")],
)
def test_a_missing_extra_is_one_line(
    folder: Path, optimized: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    form: str, module: str, extra: str,
) -> None:  # fmt: skip
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    said = mistake(capsys, "export", "last", "--format", form, "--task", "task.yaml", "--ledger", "l.db")
    assert f"pip install 'nullgrad[{extra}]'" in said and "Nothing was written" in said
    assert not list(folder.glob("inspect-*"))


def test_promptfoo_gets_a_folder(
    folder: Path, optimized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "export",
        "last",
        "--format",
        "promptfoo",
        "--task",
        "task.yaml",
        "--ledger",
        "l.db",
        "--out",
        "pf",
    )
    said = shown(capsys, *line)
    assert said.splitlines() == [
        "pf/promptfooconfig.yaml", "pf/seed.json", "pf/best.json", "pf/tests.yaml", "promptfoo eval -c pf/promptfooconfig.yaml",
    ]  # fmt: skip
    config = yaml.safe_load((folder / "pf" / "promptfooconfig.yaml").read_text())
    assert config["defaultTest"] == {"assert": [{"type": "equals", "value": "{{target}}"}]}
    tests = yaml.safe_load((folder / "pf" / "tests.yaml").read_text())
    assert [one["description"] for one in tests] == [one.id for one in nullgrad.load_task("task.yaml").test]
    assert json.loads((folder / "pf" / "best.json").read_text())[0]["content"].startswith(
        optimized["best_prompt"]
    )
    # Again replaces its own; what is somebody else's stays.
    assert shown(capsys, *line) == said
    (folder / "pf" / "promptfooconfig.yaml").write_text("description: mine\n")
    assert "no earlier export" in mistake(capsys, *line)
    assert (folder / "pf" / "promptfooconfig.yaml").read_text() == "description: mine\n"


def test_promptfoo_sends_what_the_user_set_where_the_user_sent_it(folder: Path) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        nullgrad.optimize(
            "task.yaml", model="openai/test", base_url=endpoint.url, ledger="l.db", steps=0, max_tokens=5
        )
        assert (
            run(["export", "--format", "promptfoo", "--task", "task.yaml", "--ledger", "l.db", "--out", "pf"])
            == 0
        )
        (provider,) = yaml.safe_load((folder / "pf" / "promptfooconfig.yaml").read_text())["providers"]
        assert provider == {
            "id": "openai:chat:test",
            "config": {"omitDefaults": True, "max_tokens": 5, "apiBaseUrl": endpoint.url},
        }


def test_what_an_export_refuses(
    folder: Path, optimized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*more: str) -> str:
        return mistake(capsys, "export", *more, "--ledger", "l.db")

    assert "--which" in refused("last", "--format", "promptfoo", "--which", "seed", "--out", "pf")
    assert "--task" in refused("last", "--format", "text", "--task", "task.yaml")
    assert "is a file" in refused("last", "--format", "inspect", "--task", "task.yaml", "--out", "r.json")
    assert "no run 'ffff'" in refused("ffff", "--format", "promptfoo", "--out", "pf")
    assert "--task FILE" in refused("last", "--format", "promptfoo", "--out", "pf")
    assert "does not hold the run" in mistake(
        capsys, "export", "r.json", "--format", "promptfoo", "--out", "pf", "--ledger", other_ledger(folder)
    )
    (folder / "study.yaml").write_text(STUDY)
    assert run(["run", "study.yaml", "--model", "script:model.py", "--ledger", "l.db", "--quiet"]) == 0
    assert "is a study" in refused("last", "--format", "promptfoo", "--out", "pf")
    assert not (folder / "pf").exists()
    with pytest.raises(UserError, match="no form"):
        nullgrad.api.export_run("excel", "last", Path("l.db"))


def test_half_a_result_is_refused(
    folder: Path, optimized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    half = {name: value for name, value in optimized.items() if name != "classes"}
    (folder / "half.json").write_text(json.dumps(half))
    said = mistake(capsys, "export", "half.json", "--format", "mlflow", "--ledger", "l.db", "--out", "ml")
    assert "no whole result" in said and "classes" in said
    (folder / "c.json").write_text(json.dumps({"nullgrad": "0", "run": "r", "comparison": "c", "tables": {}}))
    assert "no whole result" in mistake(capsys, "export", "c.json", "--format", "mlflow")
    (folder / "d.json").write_text(json.dumps({"nullgrad": "0", "run": "r", "calibration": "c"}))
    assert "is no result" in mistake(capsys, "export", "d.json", "--format", "mlflow")


def other_ledger(folder: Path) -> str:
    assert run(["optimize", "task.yaml", *OPTIMIZE, "--seed", "5", "--ledger", "other.db"]) == 0
    return "other.db"


SAVE_DSPY = """
import dspy


class Program(dspy.Module):
    def __init__(self):
        self.first = dspy.ChainOfThought(dspy.Signature("text -> label", "Is the mood up or down? Think of day one."))
        self.second = dspy.Predict(dspy.Signature("text -> label", "Up or down? Say it."))


one = dspy.Predict(dspy.Signature("text -> label", "Up or down, then?"))
one.save("one.json")
one.demos = [dspy.Example(text="a", label="up")]
one.save("demos.json")
one.save("one.pkl")
one.save("whole", save_program=True)
Program().save("two.json")
"""

AUDIT = ["--model", "script:model.py", "--ledger", "l.db", "--quiet", "--json"]


def audited(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(shown(capsys, "audit", "task.yaml", *arguments, *AUDIT))
    return value


def test_a_program_that_dspy_saved_is_audited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run([python_with("dspy"), "-c", SAVE_DSPY], cwd=folder, check=True, capture_output=True)
    report = audited(capsys, "--after", "demos.json")
    assert report["after"] == {"name": "demos.json", "prompt": "Up or down, then?"}
    assert any("1 demonstration beside" in note for note in report["notes"])
    assert "first.predict, second" in mistake(capsys, "audit", "task.yaml", "--after", "two.json", *AUDIT)
    both = audited(capsys, "--before", "one.json", "--after", "two.json", "--component", "second")
    assert both["before"]["prompt"] == "Up or down, then?"
    assert both["after"] == {"name": "two.json (predictor second)", "prompt": "Up or down? Say it."}
    for name in ("one.pkl", "whole"):
        assert "is a Python pickle" in mistake(capsys, "audit", "task.yaml", "--after", name, *AUDIT)


SAVE_GEPA = """
import json
import gepa
from gepa.core.adapter import EvaluationBatch


class Adapter:
    propose_new_texts = None

    def evaluate(self, batch, candidate, capture_traces=False):
        score = min(len(candidate["mood"]) / 100, 1.0)
        return EvaluationBatch(
            outputs=["o"] * len(batch), scores=[score] * len(batch), trajectories=[{}] * len(batch) if capture_traces else None
        )

    def make_reflective_dataset(self, candidate, eval_batch, components):
        return {name: [{"Inputs": "x", "Generated Outputs": "y", "Feedback": "z"}] for name in components}


made = 0


def reflect(prompt):
    global made
    made += 1
    return "```\\nUp or down? " + "Read it. " * made + "\\n```"


result = gepa.optimize(
    seed_candidate={"mood": "Up or down?"}, trainset=[1, 2, 3, 4], valset=[1, 2, 3], adapter=Adapter(), reflection_lm=reflect,
    max_metric_calls=40, seed=0, run_dir="run",
)
json.dump(result.to_dict(), open("gepa.json", "w"))
print(json.dumps([result.best_idx, len(result.candidates), result.best_candidate["mood"]]))
"""


def test_a_run_of_gepa_is_audited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [python_with("gepa"), "-c", SAVE_GEPA], cwd=folder, check=True, capture_output=True, text=True
    )
    number, count, best = json.loads(done.stdout.strip().splitlines()[-1])
    assert number > 0
    for place in ("gepa.json", "run"):
        report = audited(capsys, "--before", place, "--after", place)
        assert report["before"]["prompt"] == "Up or down?"
        assert report["after"]["prompt"] == best.strip()
        assert f"candidate {number} of {count}, GEPA's best" in report["after"]["name"]


def test_a_result_of_nullgrad_is_audited_with_its_draws(
    folder: Path, optimized: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    report = audited(capsys, "--before", "r.json", "--after", "r.json", "--no-logprobs")
    assert report["before"]["prompt"] == optimized["seed_prompt"]
    assert report["after"]["prompt"] == optimized["best_prompt"]
    assert (report["seed"], report["trial"]) == (optimized["seed"], optimized["trial"])
    assert report["test"]["after"]["score"] == optimized["test"]["best"]["score"]
    other = {**optimized, "task": "other"}
    (folder / "other.json").write_text(json.dumps(other))
    assert "of other, not of moods" in mistake(capsys, "audit", "task.yaml", "--after", "other.json", *AUDIT)


def test_the_api_takes_the_same_files(folder: Path) -> None:
    program = {"signature": {"instructions": "Up or down? Say it."}, "demos": [], "metadata": {}}
    (folder / "two.json").write_text(json.dumps({"a": program, "b": program, "metadata": {}}))
    options: dict[str, Any] = {"model": "script:model.py", "ledger": "l.db"}
    report = nullgrad.audit(
        "task.yaml", "Is the mood up or down?", Path("two.json"), component="b", **options
    )
    assert report.after_prompt == "Up or down? Say it." and report.before_name == "before"
    assert any("own layout" in note for note in report.notes)
    with pytest.raises(UserError, match="--component"):
        nullgrad.audit("task.yaml", "Is the mood up or down?", Path("two.json"), **options)
    with pytest.raises(UserError, match="component 'b'"):
        nullgrad.audit("task.yaml", "Is the mood up or down?", "Up or down?", component="b", **options)


def test_a_component_of_nothing_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "p.md").write_text("Up or down?")
    said = mistake(capsys, "audit", "task.yaml", "--after", "p.md", "--component", "b", *AUDIT)
    assert "Leave out --component" in said
