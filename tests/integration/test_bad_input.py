"""Every mistake gives one line (what, consequence, ways out), exit code 2, and no traceback."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nullgrad.surfaces.cli import run

ROWS = [
    (f"the film number {n} was {'lovely' if n % 3 else 'dreadful'}", "positive" if n % 3 else "negative")
    for n in range(40)
]

TASK = """\
name: reviews
data: reviews.csv
input: text
target: label
labels: [positive, negative]
scorer: exact
prompt: Is the review positive or negative?
format: "Answer with one word: positive or negative."
split: {train: 6, validation: 8, test: 20, seed: 0}
"""

SCRIPT = """\
def reply(request):
    text = request.messages[-1].content
    if "<prompt>" in text:
        return "<prompt>Decide how the reviewer liked the film, number %d.</prompt>" % (request.draw % 1000)
    return "positive" if "lovely" in text else "negative"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good task, its data and a scripted model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "reviews.csv").write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
    )
    (tmp_path / "model.py").write_text(SCRIPT)
    return tmp_path


OPTIMIZE = ["optimize", "task.yaml", "--model", "script:model.py", "--steps", "1", "--quiet"]


def replace(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "task.yaml").read_text()
        assert old in text
        (folder / "task.yaml").write_text(text.replace(old, new))

    return change


def data(text: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "reviews.csv").write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def rows(*extra: str, header: str = "text,label") -> str:
    return header + "\n" + "".join(f"{text},{label}\n" for text, label in ROWS) + "".join(extra)


BAD: dict[str, tuple[Callable[[Path], None], list[str], str]] = {
    "missing task file": (lambda f: (f / "task.yaml").unlink(), OPTIMIZE, "task.yaml"),
    "missing data file": (lambda f: (f / "reviews.csv").unlink(), OPTIMIZE, "reviews.csv"),
    "empty data file": (data(""), OPTIMIZE, "empty"),
    "empty task file": (lambda f: (f / "task.yaml").write_text(""), OPTIMIZE, "task.yaml"),
    "header only": (data("text,label\n"), OPTIMIZE, "reviews.csv"),
    "unknown key": (replace("scorer:", "scorrer:"), OPTIMIZE, "scorer"),
    "broken YAML": (replace("labels: [", "labels: [["), OPTIMIZE, "line"),
    "no such column": (replace("input: text", "input: texts"), OPTIMIZE, "text"),
    "undeclared variable in the input": (replace("input: text", 'input: "{txt} and more"'), OPTIMIZE, "txt"),
    "undeclared variable in the layout": (
        replace("scorer: exact", 'scorer: exact\nlayout: [{user: "{promt} {input}"}]'), OPTIMIZE, "promt",
    ),
    "duplicate ids": (
        lambda f: (replace("target: label", "target: label\nid: text")(f), data(rows(f"{ROWS[0][0]},positive\n"))(f))[0],
        OPTIMIZE, "id",
    ),
    "target outside the label set": (data(rows("a strange one,neutral\n")), OPTIMIZE, "neutral"),
    "one class only": (
        data("text,label\n" + "".join(f"text {n},positive\n" for n in range(40))), OPTIMIZE, "class",
    ),
    "a split larger than the data": (replace("test: 20", "test: 2000"), OPTIMIZE, "2000"),
    "duplicates across splits": (data("text,label\n" + "same text,positive\nother text,negative\n" * 20), OPTIMIZE, "leak"),
    "NUL in the data": (data(rows("bad\x00byte,positive\n")), OPTIMIZE, "NUL"),
    "invalid UTF-8": (data(rows().encode() + b"caf\xe9,positive\n"), OPTIMIZE, "UTF-8"),
    "an arm without meaning": (lambda f: None, [*OPTIMIZE, "--arm", "improve/correct/naive"], "improve"),
    "an arm that does not exist": (lambda f: None, [*OPTIMIZE, "--arm", "gradiant/correct/naive"], "gradient"),
    "why of a control": (lambda f: None, [*OPTIMIZE, "--why", "--arm", "gradient/wrong/naive"], "control"),
    "negative steps": (lambda f: None, ["optimize", "task.yaml", "--model", "script:model.py", "--steps", "-1"], "steps"),
    "no batch": (lambda f: None, [*OPTIMIZE, "--batch-size", "0"], "batch"),
    "no concurrency": (lambda f: None, [*OPTIMIZE, "--concurrency", "0"], "concurrency"),
    "unknown scorer": (replace("scorer: exact", "scorer: exakt"), OPTIMIZE, "exact"),
    "unknown option": (lambda f: None, [*OPTIMIZE, "--stepz", "3"], "--step"),
    "no model": (lambda f: None, ["optimize", "task.yaml"], "--model"),
    "unknown kind of model": (lambda f: None, ["optimize", "task.yaml", "--model", "opnai/gpt"], "openai/"),
    "no key": (lambda f: None, ["optimize", "task.yaml", "--model", "openai/gpt-4o-mini", "--quiet"], "OPENAI_API_KEY"),
    "no such script": (lambda f: None, ["optimize", "task.yaml", "--model", "script:absent.py"], "absent.py"),
    "no such weights": (lambda f: None, ["optimize", "task.yaml", "--model", "local:absent.gguf"], "absent.gguf"),
    "budget too small for the sealed test": (lambda f: None, [*OPTIMIZE, "--max-calls", "5"], "--max-calls"),
    "ledger in no directory": (
        lambda f: None, [*OPTIMIZE, "--ledger", "task.yaml/ledger.db"], "ledger",
    ),
    "ledger that is no ledger": (lambda f: (f / "x.db").write_text("no database " * 500), [*OPTIMIZE, "--ledger", "x.db"], "x.db"),
    "prompt for a data file missing": (lambda f: None, ["optimize", "reviews.csv", "--model", "script:model.py", "--input", "text", "--target", "label"], "prompt"),
    "columns for a data file missing": (lambda f: None, ["optimize", "reviews.csv", "--model", "script:model.py", "--prompt", "x"], "--input"),
    "unknown task name": (lambda f: None, ["optimize", "web-of-lie", "--model", "script:model.py"], "web-of-lies"),
    "unknown task to fetch": (lambda f: None, ["tasks", "fetch", "nonsense"], "nonsense"),
    "unknown weights to fetch": (lambda f: None, ["models", "fetch", "nonsense"], "nonsense"),
    "export without a ledger": (lambda f: None, ["export"], "ledger"),
    "export of something else": (lambda f: None, ["export", "reviews.csv"], "reviews.csv"),
    "verify without a ledger": (lambda f: None, ["verify"], "ledger"),
    "init without data": (lambda f: None, ["init", "absent.csv"], "absent.csv"),
    "unreadable --out": (lambda f: None, [*OPTIMIZE, "--out", "nowhere/result.json"], "nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_one_line_and_exit_code_2(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, arguments, named = BAD[case]
    change(folder)
    code = run(arguments)
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert code == 2, captured.err
    assert len(lines) == 1, captured.err
    assert named in lines[0]
    assert lines[0].count(". ") >= 1, "what, consequence and ways out are sentences"
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_the_good_task_is_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*OPTIMIZE, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["test"]["seed"]["score"] == 1.0
    assert result["simulated"] == ["script:model.py"]


def test_template_syntax_in_data_passes_through_untouched(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "{prompt} {{input}} {% x %} ${y} %s {0} </prompt> `` lovely"
    (folder / "reviews.csv").write_text(
        "text,label\n" + "".join(f'"{nasty} {n}",{label}\n' for n, (_, label) in enumerate(ROWS))
    )
    (folder / "model.py").write_text(
        "import re\ndef reply(request):\n"
        "    text = request.messages[-1].content\n"
        f"    assert {nasty!r} in text, text\n"
        "    return 'positive'\n"
    )
    assert (
        run(["optimize", "task.yaml", "--model", "script:model.py", "--steps", "0", "--quiet", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["outcomes"]["scored"] == 20


def test_an_example_of_five_megabytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    huge = "lovely " * 750_000
    (folder / "reviews.csv").write_text(rows(f"{huge},positive\n"))
    change = replace("test: 20", "test: 27")
    change(folder)
    assert (
        run(["optimize", "task.yaml", "--model", "script:model.py", "--steps", "0", "--quiet", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["outcomes"]["scored"] == 27


def test_a_ledger_from_a_newer_version(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*OPTIMIZE, "--ledger", "l.db"]) == 0
    capsys.readouterr()
    with sqlite3.connect(folder / "l.db") as book:
        for (trigger,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            book.execute(f"DROP TRIGGER {trigger}")
        tables = [name for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "meta" in tables
        book.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
        assert book.total_changes
        book.execute("PRAGMA user_version = 999")
    book.close()
    assert run([*OPTIMIZE, "--ledger", "l.db"]) == 2
    error = capsys.readouterr().err
    assert "newer" in error
    assert "Traceback" not in error


def mounted(folder: Path, options: str) -> Path | None:
    """A small or read-only file system, None where this user may not mount one."""
    place = folder / "mounted"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    return place if done.returncode == 0 else None


@pytest.mark.parametrize(("options", "word"), [("ro", "read-only"), ("size=64k", "full")])
def test_a_read_only_directory_and_a_full_disk(
    options: str, word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = mounted(folder, options)
    if place is None:
        pytest.skip("this user may not mount a file system")
    try:
        assert run([*OPTIMIZE, "--ledger", str(place / "l.db")]) == 2
        error = capsys.readouterr().err
        assert word in error.lower()
        assert len([line for line in error.splitlines() if line.startswith("error: ")]) == 1
        assert "Traceback" not in error
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_for_the_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    assert run([*OPTIMIZE, "--out", "/dev/full"]) == 2
    assert "No space left" in capsys.readouterr().err
