"""Every mistake gives one line (what, consequence, ways out), exit code 2, and no traceback."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from nullgrad.surfaces.cli import run
from tests.support.endpoint import Endpoint

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
    open("asked", "a").write(".")
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


def write(name: str, text: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def jsonl(*extra: str) -> Callable[[Path], None]:
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    return both(
        replace("reviews.csv", "reviews.jsonl"), write("reviews.jsonl", "\n".join([*lines, *extra]) + "\n")
    )


def as_is(folder: Path) -> None:
    """Nothing is changed."""


def option(*extra: str) -> tuple[Callable[[Path], None], list[str]]:
    """The good task with further options."""
    return as_is, [*OPTIMIZE, *extra]


def rows(*extra: str, header: str = "text,label") -> str:
    return header + "\n" + "".join(f"{text},{label}\n" for text, label in ROWS) + "".join(extra)


BAD: dict[str, tuple[Callable[[Path], None], list[str], str | tuple[str, ...]]] = {
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
    # The files.
    "invalid UTF-8 in the task": (write("task.yaml", TASK.encode() + b"# caf\xe9\n"), OPTIMIZE, ("task.yaml", "line 10", "Save it as UTF-8")),
    "NUL in the task": (write("task.yaml", TASK.encode() + b"# \0\n"), OPTIMIZE, ("task.yaml", "line 10", "NUL")),
    "UTF-16": (data(rows().encode("utf-16")), OPTIMIZE, "UTF-16"),
    "data a directory": (both(replace("reviews.csv", "folder"), lambda f: (f / "folder").mkdir()), OPTIMIZE, ("folder", "directory", "Name a file")),
    "task a directory": (lambda f: (f / "x.yaml").mkdir(), ["optimize", "x.yaml", "--model", "script:model.py"], ("x.yaml", "directory")),
    "directory without a task": (lambda f: (f / "sub").mkdir(), ["optimize", "sub", "--model", "script:model.py"], ("sub", "task.yaml")),
    "task of another kind": (as_is, ["optimize", "model.py", "--model", "script:model.py"], ("model.py", ".yaml", ".csv")),
    "task without its ending": (as_is, ["optimize", "task", "--model", "script:model.py"], "Did you mean task.yaml?"),
    "no task named": (as_is, ["optimize", "", "--model", "script:model.py"], "nullgrad tasks"),
    "data on the web": (replace("reviews.csv", "https://example.org/reviews.csv"), OPTIMIZE, ("line 2", "Download")),
    "data of another kind": (replace("reviews.csv", "reviews.xlsx"), OPTIMIZE, ("'.xlsx'", ".csv")),
    "semicolons": (data(rows().replace(",", ";")), OPTIMIZE, ("line 3", "semicolons", "commas")),
    "too many fields": (data(rows("a, b,positive\n")), OPTIMIZE, ("line 42", "3 fields", "quotes")),
    "too few fields": (data(rows("a\n")), OPTIMIZE, ("row 41", "'label'", "Fill it in")),
    "open quote": (data(rows('"open,positive\n')), OPTIMIZE, ("line 42", "quote")),
    "broken JSON line": (jsonl('{"text": "x",'), OPTIMIZE, ("reviews.jsonl", "line 41", "Mend")),
    "JSON list as lines": (both(replace("reviews.csv", "r.jsonl"), write("r.jsonl", '[\n{"text": "x"}]')), OPTIMIZE, ".json,"),
    "NUL in JSON": (jsonl('{"text": "a\\u0000b", "label": "positive"}'), OPTIMIZE, ("row 41", "U+0000", "Remove")),
    "lone surrogate": (jsonl('{"text": "a\\ud800b", "label": "positive"}'), OPTIMIZE, ("row 41", "U+D800", "Remove")),
    "null input": (jsonl('{"text": null, "label": "positive"}'), OPTIMIZE, ("row 41", "'text'", "Fill it in")),
    "prompt file missing": (replace("prompt: Is the review positive or negative?", "prompt: {file: p.md}"), OPTIMIZE, ("line 7", "p.md", "Check the path")),
    # The YAML.
    "unknown key and its line": (replace("scorer:", "scorrer:"), OPTIMIZE, ("task.yaml, line 6", "'scorrer'", "Did you mean 'scorer'?")),
    "duplicate key": (replace("scorer: exact", "scorer: exact\nscorer: number"), OPTIMIZE, ("line 7", "'scorer' occurs twice", "Keep one")),
    "tab": (replace("labels: [positive, negative]", "labels:\n\t- positive"), OPTIMIZE, ("line 6", "tab", "spaces")),
    "a list": (write("task.yaml", "- a\n- b\n"), OPTIMIZE, ("the file must be a mapping", "is a list")),
    "two documents": (write("task.yaml", TASK + "---\n" + TASK), OPTIMIZE, ("line 10", "single document")),
    "an alias that holds itself": (replace("scorer: exact", "scorer: &a {number: *a}"), OPTIMIZE, ("task.yaml", "alias")),
    "nested too deeply": (write("task.yaml", "a: " + "[" * 3000), OPTIMIZE, "too deeply"),
    "unquoted braces": (replace("input: text", "input: {text}: {label}"), OPTIMIZE, ("line 3", "quotes")),
    "open brace in the input": (replace("input: text", 'input: "{text"'), OPTIMIZE, ("line 3", "'{'")),
    "layout without the format": (replace("scorer: exact", 'scorer: exact\nlayout: [{user: "{prompt} {input}"}]'), OPTIMIZE, ("line 7", "{format}")),
    "layout with another role": (replace("scorer: exact", 'scorer: exact\nlayout: [{sytem: "{prompt}{input}{format}"}]'), OPTIMIZE, ("line 7", "'system'")),
    "one label": (replace("[positive, negative]", "[positive]"), OPTIMIZE, ("line 5", "two labels", "open answers")),
    "labels as text": (replace("[positive, negative]", "positive, negative"), OPTIMIZE, ("line 5", "list of labels")),
    "split without a name": (replace("validation: 8", "valid: 8"), OPTIMIZE, ("line 9", "'validation'")),
    "split of nothing": (replace("train: 6", "train: 0"), OPTIMIZE, ("line 9", "train", "at least one")),
    # The scorers.
    "judge without rubric": (replace("scorer: exact", "scorer: judge"), OPTIMIZE, ("line 6: the scorer judge lacks its rubric", "scorer: {judge: {rubric:")),
    "judge with another option": (replace("scorer: exact", "scorer: {judge: {rubrik: x}}"), OPTIMIZE, ("line 6", "Did you mean rubric?")),
    "a pattern that is none": (replace("scorer: exact", "scorer: {regex: {pattern: '('}}"), OPTIMIZE, ("line 6", "'('")),
    "no module": (replace("scorer: exact", "scorer: absent:score"), OPTIMIZE, ("line 6", "absent", "beside the task file")),
    "no function in the module": (both(replace("scorer: exact", "scorer: mine:score"), write("mine.py", "")), OPTIMIZE, ("line 6", "no function score")),
    "a module that exits": (both(replace("scorer: exact", "scorer: mine:score"), write("mine.py", "raise SystemExit(7)")), OPTIMIZE, ("line 6", "SystemExit")),
    # The options.
    "steps a word": (*option("--steps", "many"), ("--steps", "'many'", "nullgrad optimize --help")),
    "no trials": (*option("--trials", "0"), ("--trials is 0", "1 or more")),
    "temperature a word": (*option("--temperature", "abc"), ("--temperature", "'abc'")),
    "temperature not a number": (*option("--temperature", "nan"), ("--temperature is nan", "0 or more")),
    "temperature below 0": (*option("--temperature", "-1"), "--temperature is -1"),
    "optimizer's temperature": (*option("--optimizer-temperature", "inf"), "--optimizer-temperature is inf"),
    "top-p above 1": (*option("--top-p", "7"), ("--top-p is 7", "1 at most")),
    "no completion": (*option("--max-completion", "0"), "--max-completion is 0"),
    "dollars not a number": (*option("--max-usd", "nan"), "--max-usd is nan"),
    "dollars below 0": (*option("--max-usd", "-1"), "--max-usd is -1"),
    "calls below 0": (*option("--max-calls", "-1"), "--max-calls is -1"),
    "tokens below 0": (*option("--max-tokens", "-1"), "--max-tokens is -1"),
    "dollars without a price": (as_is, ["optimize", "task.yaml", "--model", "openai/nonesuch", "--base-url", "http://127.0.0.1:1/v1", "--max-usd", "1"], ("price", "--max-calls")),
    "split of two": (*option("--split", "1/2"), ("--split is '1/2'", "30/50/120")),
    "split of words": (*option("--split", "a/b/c"), "30/50/120"),
    "split too large by option": (*option("--split", "100/100/100"), ("300", "at most 40")),
    "one label by option": (*option("--labels", "positive"), "two labels"),
    "unknown scorer by option": (*option("--scorer", "exakt"), "'exact'"),
    "arm of nothing": (*option("--arm", ""), "update/evaluation/selection"),
    "why without controls": (*option("--why", "--controls", "none"), ("--why", "--controls none")),
    "controls without steps": (as_is, ["optimize", "task.yaml", "--model", "script:model.py", "--steps", "0", "--why"], ("--steps 0", "--why")),
    "base URL that is none": (as_is, ["optimize", "task.yaml", "--model", "openai/x", "--base-url", "notaurl"], ("'notaurl'", "http://")),
    "further argument": (*option("more"), "(more). Nothing was run."),
    "unknown command": (as_is, ["optimise", "task.yaml"], ("'optimise'", "Did you mean 'optimize'?")),
    "task name of a publisher mistyped": (as_is, ["optimize", "bbeh/web_of_lie", "--model", "script:model.py"], "Did you mean 'bbeh/web_of_lies'?"),
    # Where results and replies go.
    "--out in no directory": (*option("--out", "nowhere/result.json"), ("nowhere", "Nothing was run", "Make it")),
    "--out a directory": (*option("--out", "."), ("--out .", "directory")),
    "--out the task": (*option("--out", "task.yaml"), ("task.yaml", "left as it is")),
    "--out the data": (*option("--out", "reviews.csv"), ("reviews.csv", "left as it is")),
    "ledger a directory": (*option("--ledger", "."), ("directory", "--ledger")),
    "ledger the task": (*option("--ledger", "task.yaml"), ("task.yaml", "no ledger")),
    "another database": (lambda f: sqlite3.connect(f / "o.db").executescript("CREATE TABLE t (x)"), [*OPTIMIZE, "--ledger", "o.db"], ("o.db", "no ledger of nullgrad")),
    # The other commands.
    "export of half a result": (write("r.json", '{"best_prompt": "x", "layout": []}'), ["export", "r.json"], ("r.json", "no result")),
    "export of another layout": (write("r.json", '{"best_prompt": "x", "layout": 3}'), ["export", "r.json", "--json"], ("r.json", "no result")),
    "export of a directory": (lambda f: (f / "r.json").mkdir(), ["export", "r.json"], ("r.json", "directory")),
    "export of a missing file": (as_is, ["export", "absent.json"], ("absent.json", "--out")),
    "export into no directory": (as_is, ["export", "r.json", "--out", "no/p.txt"], ("no/p.txt", "Nothing was written")),
    "verify of a CSV": (as_is, ["verify", "--ledger", "reviews.csv"], ("reviews.csv", "no ledger")),
    "verify of a directory": (as_is, ["verify", "--ledger", "."], "directory"),
    "verify of an empty file": (write("e.db", ""), ["verify", "--ledger", "e.db"], ("e.db", "empty")),
    "init of a directory": (as_is, ["init", "."], "directory"),
    "init over a file": (as_is, ["init", "reviews.csv", "--out", "task.yaml"], ("task.yaml exists", "--force")),
    "init into a directory": (as_is, ["init", "reviews.csv", "--out", "."], ("directory", "--out")),
    "init with one column twice": (as_is, ["init", "reviews.csv", "--input", "text", "--target", "text"], ("'text'", "two columns")),
    "init with no such column": (as_is, ["init", "reviews.csv", "--target", "lable"], ("'lable'", "Did you mean 'label'?")),
    "init of semicolons": (write("s.csv", "a;b\n1;2\n" * 5), ["init", "s.csv"], ("s.csv", "semicolons")),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_one_line_and_exit_code_2(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, arguments, named = BAD[case]
    change(folder)
    code = run(arguments)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert code == 2, captured.err
    assert captured.out == ""
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    for word in (named,) if isinstance(named, str) else named:
        assert word in lines[0]
    assert lines[0].count(". ") >= 1, "what, consequence and ways out are sentences"
    assert not (folder / "asked").exists(), "nothing was asked"


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
    asked = (folder / "asked").read_text()
    for command in ([*OPTIMIZE], ["verify"], ["export"]):
        assert run([*command, "--ledger", "l.db"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert "newer nullgrad" in captured.err and "Upgrade" in captured.err
    assert (folder / "asked").read_text() == asked, "nothing was asked"


def mounted(folder: Path, options: str) -> Path | None:
    """A small or read-only file system, None where this user may not mount one."""
    place = folder / "mounted"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    return place if done.returncode == 0 else None


@pytest.mark.parametrize(
    ("options", "word"), [("ro", "read-only"), ("size=64k", "full"), ("size=16k", "nothing was asked")]
)
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
        assert len(error.splitlines()) == 1
        assert error.startswith("error: ")
        assert not (folder / "asked").exists(), "nothing was asked"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_for_the_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    assert run([*OPTIMIZE, "--out", "/dev/full"]) == 2
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "model", "words"),
    [
        ("sk-wrong", "openai/known", ("refuses the key", "401", "nothing was retried", "OPENAI_API_KEY")),
        ("sk-right", "openai/unknown", ("knows no model 'unknown'", "404", "--model")),
    ],
)
def test_a_wrong_key_and_an_unknown_model_are_not_retried(
    key: str,
    model: str,
    words: tuple[str, ...],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with Endpoint(key="sk-right", model="known") as endpoint:
        asked = ["optimize", "task.yaml", "--model", model, "--base-url", endpoint.url, "--quiet"]
        assert run(asked) == 2
        assert endpoint.log
        assert set(Counter(one.body for one in endpoint.log).values()) == {1}, "no request was sent twice"
        assert not endpoint.served()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    for word in words:
        assert word in captured.err
    assert key not in captured.err
    assert "). " in captured.err, "the sentence ends before the next one begins"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("raise KeyError('boo')", "KeyError: 'boo'"),
        ("return None", "returned None"),
        ("return 2", "returned 2"),
        ("return float('nan')", "returned nan"),
        ("raise SystemExit(7)", "exit(7)"),
    ],
)
def test_a_scorer_that_fails_scores_nothing(
    body: str, word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace("scorer: exact", "scorer: mine:score")(folder)
    (folder / "mine.py").write_text(f"def score(answer, target):\n    {body}\n")
    assert run(OPTIMIZE) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "mine:score" in captured.err and word in captured.err
    assert "No score was made up" in captured.err


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("raise KeyError('boo')", "KeyError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("return 3", "returned int"),
    ],
)
def test_a_script_that_fails_ends_the_run(
    body: str, word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model.py").write_text(f"def reply(request):\n    {body}\n")
    assert run(OPTIMIZE) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "script:model.py" in captured.err and word in captured.err


def test_parquet_without_pyarrow(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace("reviews.csv", "reviews.parquet")(folder)
    (folder / "reviews.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(OPTIMIZE) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "reviews.parquet" in error and "nullgrad[parquet]" in error


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_a_byte_order_mark_and_any_line_ending_are_read(
    newline: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "reviews.csv").write_bytes(b"\xef\xbb\xbf" + rows().replace("\n", newline).encode())
    assert run([*OPTIMIZE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["seed"]["score"] == 1.0


def test_a_layout_of_ones_own_is_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = 'layout: [{system: "{format}"}, {user: "{input}\\n\\n{prompt}"}]'
    replace("scorer: exact", f"scorer: exact\n{own}")(folder)
    (folder / "model.py").write_text(
        "def reply(request):\n"
        "    first, last = request.messages\n"
        "    assert first.role == 'system' and first.content.startswith('Answer with one word')\n"
        "    assert last.content.endswith('\\n\\nIs the review positive or negative?')\n"
        "    return 'positive' if 'lovely' in last.content else 'negative'\n"
    )
    asked = ["optimize", "task.yaml", "--model", "script:model.py", "--steps", "0", "--quiet", "--json"]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["test"]["seed"]["score"] == 1.0


def test_a_disk_that_fills_up_on_the_way_loses_one_group(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = mounted(folder, "size=200k")
    if place is None:
        pytest.skip("this user may not mount a file system")
    ledger = ["--ledger", str(place / "l.db")]
    try:
        assert run([*OPTIMIZE, *ledger]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert "is full" in captured.err and "the same command again" in captured.err
        first = len((folder / "asked").read_text())
        assert first > 0, "the disk was not full from the beginning"
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        assert run(["verify", *ledger]) == 0
        assert "Everything agrees." in capsys.readouterr().out
        assert run([*OPTIMIZE, *ledger, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["calls"]["replayed"] > 0, "what was recorded is not paid again"
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    "arguments",
    [
        [*OPTIMIZE, "--out", "r.json", "--ledger", "../absent/l.db"],
        ["init", "reviews.csv"],
        ["export", "--out", "p.txt"],
    ],
)
def test_a_read_only_directory_for_a_result(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "mounted"
    place.mkdir()
    bound = subprocess.run(["mount", "--bind", str(folder), str(place)], capture_output=True, check=False)
    if bound.returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        monkeypatch.chdir(place)
        assert run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert "Read-only file system" in captured.err
        assert not (folder / "asked").exists()
        assert not (folder / "absent").exists(), "the place of the result was looked at first"
    finally:
        monkeypatch.chdir(folder)
        subprocess.run(["umount", str(place)], check=True)


def test_a_result_that_cannot_be_written_is_shown_and_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    assert run([*OPTIMIZE, "--json", "--out", "/dev/full"]) == 2
    captured = capsys.readouterr()
    paid = json.loads(captured.out)["calls"]["paid"]
    assert paid > 0
    assert "/dev/full" in captured.err and "kept in the ledger" in captured.err
    assert run([*OPTIMIZE, "--json", "--out", "r.json"]) == 0
    assert json.loads((folder / "r.json").read_text())["calls"]["paid"] == 0


def test_an_earlier_result_is_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "r.json").write_text("")
    for _ in range(2):
        assert run([*OPTIMIZE, "--out", "r.json"]) == 0
    assert json.loads((folder / "r.json").read_text())["calls"]["paid"] == 0
    assert run(["export", "r.json", "--which", "seed"]) == 0
    assert "Is the review positive or negative?" in capsys.readouterr().out
