"""The command line as a process: signals, pipes, closed outputs, narrow terminals, and `init` on many shapes of data."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import nullgrad
from nullgrad.surfaces.cli import run
from nullgrad.surfaces.progress import PlainProgress
from nullgrad.surfaces.text import print_result
from tests.support.endpoint import Endpoint

NULLGRAD = [sys.executable, "-m", "nullgrad"]

TASK = """\
data: data.csv
input: text
target: label
labels: [lovely, dreadful]
scorer: exact
prompt: How was the film?
format: "Answer with one word: lovely or dreadful."
split: {train: 6, validation: 8, test: 20}
"""

SCRIPT = """\
def reply(request):
    text = request.messages[-1].content
    if "<prompt>" in text:
        return "<prompt>Say how film number %d was.</prompt>" % (request.draw % 1000)
    return "lovely" if request.draw % 3 else "dreadful"
"""

OPTIMIZE = ["optimize", "task.yaml", "--model", "script:model.py", "--steps", "1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a task and a scripted model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    (tmp_path / "task.yaml").write_text(TASK)
    rows = "".join(f"film number {n} by {n * 7919},{'lovely' if n % 2 else 'dreadful'}\n" for n in range(40))
    (tmp_path / "data.csv").write_text("text,label\n" + rows)
    (tmp_path / "model.py").write_text(SCRIPT)
    return tmp_path


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which `nullgrad` is the command; its outputs are buffered, as users' are."""
    function = f'unset PYTHONUNBUFFERED; nullgrad() {{ "{sys.executable}" -m nullgrad "$@"; }}; '
    return subprocess.run(["bash", "-c", function + line], capture_output=True, text=True, check=False)


def interrupted(
    endpoint: Endpoint, signals: Sequence[signal.Signals], *options: str
) -> subprocess.CompletedProcess[str]:
    """A run over an endpoint that is sent signals, the first once replies have come."""
    process = subprocess.Popen(
        [*NULLGRAD, "optimize", "task.yaml", "--model", "openai/m", "--base-url", endpoint.url, "--concurrency", "4", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    waited = time.monotonic()
    while len(endpoint.log) < 8 and time.monotonic() - waited < 60:
        time.sleep(0.02)
    said = ""
    for number in signals:
        process.send_signal(number)
        # The next one must not arrive before this one was heard.
        while number is not signals[-1] and "Stopping" not in said:
            said += process.stderr.readline()
    out, error = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, said + error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(number: signal.Signals, folder: Path) -> None:
    with Endpoint(latency=0.1, answers=("lovely", "dreadful")) as endpoint:
        done = interrupted(endpoint, [number], "--quiet", "--json")
        assert done.returncode == 130
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("interrupted: ") and "the same command" in done.stderr
        served = sum(endpoint.served().values())
    checked = shell("nullgrad verify")
    assert f"{served} replies" in checked.stdout, "what was in flight arrived and is kept"


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(second: signal.Signals, folder: Path) -> None:
    with Endpoint(latency=0.5, answers=("lovely", "dreadful")) as endpoint:
        done = interrupted(endpoint, [signal.SIGINT, second])
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted: " in done.stderr.splitlines()[-1]
    assert "Everything agrees." in shell("nullgrad verify").stdout


@pytest.mark.parametrize(
    "command",
    [f"{' '.join(OPTIMIZE)} --quiet", f"{' '.join(OPTIMIZE)} --quiet --json", "tasks", "models", "--help"],
)
def test_a_reader_that_leaves_is_no_error(command: str, folder: Path) -> None:
    done = shell(f"nullgrad {command} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.strip() in ("0", "141"), "141 where the reader left before the end"
    assert done.stderr == ""


@pytest.mark.parametrize("form", ["", "--json"])
def test_a_reader_that_leaves_gives_the_exit_code_of_a_broken_pipe(form: str, folder: Path) -> None:
    line = f"nullgrad {' '.join(OPTIMIZE)} --quiet {form} | true; exit ${{PIPESTATUS[0]}}"
    assert shell(line).returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("form", ["--json", ""])
def test_standard_output_that_is_full(form: str, folder: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    done = shell(f"nullgrad {' '.join(OPTIMIZE)} --quiet {form} > /dev/full")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Standard output cannot be written" in done.stderr and "kept in the ledger" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs(closed: str, folder: Path) -> None:
    done = shell(f"nullgrad {' '.join(OPTIMIZE)} --json --out r.json {closed}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert json.loads((folder / "r.json").read_text())["complete"] is True
    assert "Everything agrees." in shell("nullgrad verify").stdout


def test_an_error_that_nobody_can_read_keeps_its_exit_code(folder: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    assert shell("nullgrad optimize absent.yaml --model script:model.py 2> /dev/full").returncode == 2
    done = shell(f"nullgrad {' '.join(OPTIMIZE)} --quiet --json 2> /dev/full")
    assert done.returncode == 0 and json.loads(done.stdout)


def test_progress_that_nobody_reads_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    PlainProgress(1).say("a line")


class Terminal(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_result_fits_the_terminal_and_no_number_is_cut(
    columns: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = nullgrad.optimize("task.yaml", model="script:model.py", steps=1, why=True, trials=3)
    assert result.ladder is not None and not result.ladder.reason
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = Terminal()
    print_result(result, screen)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(len(line) for line in shown.splitlines()) <= columns
    assert "…" not in shown
    for step in result.ladder.steps:
        assert step.arm in shown
        if step.effect is not None:
            assert f"{100 * step.effect:+.1f}" in shown
    assert f"{result.gain.gained} gained, {result.gain.lost} lost" in shown


def test_no_color_means_no_colour(folder: Path) -> None:
    result = nullgrad.optimize("task.yaml", model="script:model.py", steps=1)
    code = re.compile(r"\x1b\[(?:[0-9]+;)*3[0-7]m")
    screens = {}
    for name in ("", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TERM", "xterm-256color")
            if name:
                patch.setenv("NO_COLOR", name)
            else:
                patch.delenv("NO_COLOR", raising=False)
            screens[name] = Terminal()
            print_result(result, screens[name])
    assert code.search(screens[""].getvalue())
    assert not code.search(screens["1"].getvalue())


def test_why_with_a_scripted_model_attributes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*OPTIMIZE, "--why", "--trials", "3", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "Simulation: script:model.py is no real model." in shown
    assert "What the gain is made of (3 blocks" in shown
    for ingredient in ("paraphrase", "drawing and choosing", "the label's information", "the guard"):
        assert ingredient in shown


def test_models_and_tasks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for command, name in (("models", "local:smollm2-135m"), ("tasks", "web-of-lies")):
        assert run([command]) == 0
        assert name in capsys.readouterr().out
        assert run([command, "--json"]) == 0
        assert name in [row["name"] for row in json.loads(capsys.readouterr().out)]


def table(header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    """A data file."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def text(number: int) -> str:
    """A text like no other."""
    return f"about {number * 7919} and {number * 104729}, said number {number}"


N = range(60)
SHAPES: dict[str, tuple[str, str, list[str]]] = {
    "closed": ("d.csv", table(["text", "label"], [(text(n), ["yes", "no"][n % 2]) for n in N]), ["no", "yes"]),
    "open": ("d.csv", table(["question", "answer"], [(text(n), f"it is {n}") for n in N]), []),
    "numbers": ("d.csv", table(["question", "answer"], [(text(n), n * 31) for n in N]), []),
    "digits": ("d.csv", table(["review", "stars"], [(text(n), n % 5 + 1) for n in N]), ["1", "2", "3", "4", "5"]),
    "a class with one example": (
        "d.csv", table(["text", "label"], [(text(n), "rare" if n == 3 else "ab"[n % 2]) for n in N]), ["a", "b", "rare"],
    ),
    "an index": ("d.csv", table(["", "text", "label"], [(n, text(n), "ab"[n % 2]) for n in N]), ["a", "b"]),
    "strange names": (
        "my data.csv", table(["Text: {x}", 'The "label" #1'], [(text(n), ["a, b", "it's: {c}"][n % 2]) for n in N]), ["a, b", "it's: {c}"],
    ),
    "words of YAML": ("d.csv", table(["text", "label"], [(text(n), ["null", "yes"][n % 2]) for n in N]), ["null", "yes"]),
    "letters": ("données.csv", table(["texte", "étiquette"], [(text(n), ["été", "hiver"][n % 2]) for n in N]), ["hiver", "été"]),
    "tabs": ("d.tsv", table(["text", "label"], [(text(n), "ab"[n % 2]) for n in N], "\t"), ["a", "b"]),
    "lines in a text": ("d.csv", table(["text", "label"], [(text(n) + "\n{a line}\n", "ab"[n % 2]) for n in N]), ["a", "b"]),
    "JSON lines": ("d.jsonl", "\n".join(json.dumps({"q": text(n), "a": n % 2}) for n in N), ["0", "1"]),
    "JSON": ("d.json", json.dumps([{"input": text(n), "target": "ab"[n % 2]} for n in N]), ["a", "b"]),
    "three rows": ("d.csv", table(["text", "label"], [(text(n), "ab"[n % 2]) for n in range(3)]), []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_what_init_writes_can_be_optimized(
    shape: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, labels = SHAPES[shape]
    (folder / name).write_text(content, "utf-8")
    assert run(["init", name]) == 0
    capsys.readouterr()
    written = Path(name).with_suffix(".yaml")
    assert nullgrad.load_task(str(written)).view.labels == tuple(labels)
    asked = ["optimize", str(written), "--model", "script:model.py", "--steps", "1", "--quiet", "--json"]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True


def test_init_says_the_command_as_a_shell_takes_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, content, _ = SHAPES["strange names"]
    (folder / name).write_text(content)
    assert run(["init", name]) == 0
    assert "nullgrad optimize 'my data.yaml' --model" in capsys.readouterr().out


def test_missing_targets_do_not_hide_that_the_answers_are_closed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "d.csv").write_text(table(["text", "label"], [(text(n), "ab"[n % 2] if n else "") for n in N]))
    assert run(["init", "d.csv"]) == 0
    assert 'labels: ["a", "b"]' in (folder / "d.yaml").read_text()
    capsys.readouterr()
    assert run(["optimize", "d.yaml", "--model", "script:model.py", "--quiet"]) == 2
    assert "row 1 has nothing in the column 'label'" in capsys.readouterr().err


def test_verify_counts_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*OPTIMIZE, "--quiet"]) == 0
    capsys.readouterr()
    assert run(["verify"]) == 0
    assert "1 run, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("encoding", "written"),
    # Click takes ASCII for a terminal that was set up badly, and writes UTF-8.
    [("ascii", "utf-8"), ("latin-1", "latin-1"), ("utf-8", "utf-8")],
)
def test_json_is_json_in_every_encoding(encoding: str, written: str, folder: Path) -> None:
    prompt = "Wie gefiel der Film? Größe, 評価, \N{GRINNING FACE}"
    done = subprocess.run(
        [*NULLGRAD, *OPTIMIZE, "--quiet", "--json", "--prompt", prompt],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert json.loads(done.stdout.decode(written))["seed_prompt"] == prompt
