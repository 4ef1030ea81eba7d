"""Task files: what they mean, and what every bad one is told."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from nullgrad.core.task import LAYOUTS
from nullgrad.edges.tasks import build as taskbuild
from nullgrad.edges.tasks import split as tasksplit
from nullgrad.edges.tasks.file import load_task, task_from_data
from nullgrad.errors import UserError

YAML = """\
name: reviews
data: reviews.csv
input: text
target: label
labels: [positive, negative]
scorer: exact
prompt: Is the movie review positive or negative?
format: "Answer with one word: positive or negative."
split: {train: 6, validation: 8, test: 12, seed: 0}
"""

WORDS = [
    "quiet",
    "river",
    "stone",
    "winter",
    "garden",
    "copper",
    "lantern",
    "meadow",
    "harbor",
    "violin",
    "marble",
    "orchard",
    "thunder",
    "velvet",
    "saddle",
    "pepper",
    "anchor",
    "blanket",
    "canyon",
    "dolphin",
    "ember",
    "falcon",
    "glacier",
    "hammer",
    "island",
    "jungle",
    "kettle",
    "lemon",
    "mirror",
    "needle",
    "olive",
    "planet",
]


def review(number: int) -> str:
    """A text that resembles no other."""
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (3, 5, 7, 11, 13)) + f" {number}"


ROWS = [(review(n), ("positive", "negative")[n % 2], f"p{n // 2}", str(n)) for n in range(30)]


def write_rows(path: Path, rows=ROWS, header=("text", "label", "page", "number")) -> Path:
    lines = [",".join(header), *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_rows(tmp_path / "reviews.csv")
    return tmp_path


def task_file(directory: Path, text: str = YAML, name: str = "reviews.yaml") -> Path:
    path = directory / name
    path.write_text(text, "utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in YAML
    return YAML.replace(old, new)


def refused(call, *fragments: str) -> UserError:
    """The error of a call: three parts, on one line, naming what is asked for."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert caught.value.what and caught.value.consequence and caught.value.ways_out
    assert "\n" not in message and "Traceback" not in message
    for fragment in fragments:
        assert fragment in message, message
    return caught.value


def everything(task) -> list:
    return [*task.view.train, *task.view.validation, *task.test]


# What a task file means


def test_a_whole_task(directory):
    task = load_task(task_file(directory))
    view = task.view
    assert (len(view.train), len(view.validation), len(task.test)) == (6, 8, 12)
    assert view.name == "reviews"
    assert view.seed_prompt == "Is the movie review positive or negative?"
    assert view.format == "Answer with one word: positive or negative."
    assert view.labels == ("positive", "negative") and view.slots == 1
    assert view.layout == LAYOUTS["system-user"] and view.unparsed == "wrong" and view.wrong == "label"
    by_id = {example.id: example for example in everything(task)}
    assert len(by_id) == 26
    for identity, example in by_id.items():
        text, label, _, _ = ROWS[int(identity) - 1]
        assert (example.input, example.target, example.group) == (text, label, "")
    assert view.scorer.score("positive", "positive") == 1.0
    assert view.scorer.score("negative", "positive") == 0.0
    assert task.notes == ()


def test_the_same_file_gives_the_same_task_and_another_seed_another(directory):
    path = task_file(directory)
    assert load_task(path) == load_task(path)
    other = load_task(path, split={"train": 6, "validation": 8, "test": 12, "seed": 1})
    assert {e.id for e in other.test} != {e.id for e in load_task(path).test}


def test_the_digest_is_pinned_and_follows_what_matters(directory, tmp_path_factory):
    task = load_task(task_file(directory))
    assert task.digest == PINNED
    elsewhere = tmp_path_factory.mktemp("other")
    write_rows(elsewhere / "b.csv")
    text = changed("reviews.csv", "b.csv").replace("name: reviews\n", "")
    moved = load_task(task_file(elsewhere, text, "elsewhere.yaml"))
    assert moved.view.name == "elsewhere" and moved.digest == task.digest
    path = directory / "reviews.yaml"
    digests = [task.digest]
    for change in (
        {"prompt": "Good or bad?"},
        {"format": ""},
        {"labels": ["negative", "positive"]},
        {"scorer": "contains"},
        {"layout": "user"},
        {"unparsed": "exclude"},
        {"wrong": "other-example"},
        {"split": {"train": 6, "validation": 8, "test": 11}},
        {"group": "page"},
        {"input": "{text} "},
    ):
        digests.append(load_task(path, **change).digest)
    assert len(set(digests)) == len(digests)


PINNED = "1005bd1037cbb1bd793c90b7107e601e9ffc4d92062b9b1c9e60927bfa40b875"


def test_labels_keep_the_words_that_were_written(directory):
    write_rows(
        directory / "reviews.csv",
        [(text, ("yes", "no")[n % 2], p, i) for n, (text, _, p, i) in enumerate(ROWS)],
    )
    task = load_task(task_file(directory, changed("[positive, negative]", "[yes, no]")))
    assert task.view.labels == ("yes", "no")
    assert {e.target for e in task.test} == {"yes", "no"}


def test_the_input_may_be_a_template_and_data_passes_through_it(directory):
    rows = [(text + " {label} {{x}} $& %s", *rest) for text, *rest in ROWS]
    write_rows(directory / "reviews.csv", rows)
    text = changed("input: text", 'input: "Page {page}:\\n{text} {{end}}"')
    task = load_task(task_file(directory, text))
    for example in everything(task):
        row = rows[int(example.id) - 1]
        assert example.input == f"Page {row[2]}:\n{row[0]} {{end}}"


def test_a_column_of_any_name_is_an_input(directory):
    write_rows(directory / "reviews.csv", header=("text {raw} (en)", "label", "page", "number"))
    task = load_task(task_file(directory, changed("input: text", 'input: "text {raw} (en)"')))
    assert task.test[0].input == ROWS[int(task.test[0].id) - 1][0]


def test_prompt_from_a_file(directory):
    (directory / "prompt.md").write_text("Line one\nline {two}\n", "utf-8")
    task = load_task(
        task_file(
            directory,
            changed("prompt: Is the movie review positive or negative?", "prompt: {file: prompt.md}"),
        )
    )
    assert task.view.seed_prompt == "Line one\nline {two}"


def test_ids_groups_and_classes_from_columns(directory):
    text = YAML + "id: number\ngroup: page\n"
    task = load_task(task_file(directory, text.replace("train: 6", "train: 8")))
    assert {e.group for e in everything(task)} <= {row[2] for row in ROWS}
    assert all(ROWS[int(e.id)][2] == e.group for e in everything(task))
    groups = [{e.group for e in part} for part in (task.view.train, task.view.validation, task.test)]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


@pytest.mark.parametrize(("stratify", "place"), [(True, 1), ("page", 2)])
def test_stratified_splits(directory, stratify, place):
    rows = [
        (text, ("positive", "negative")[n % 3 == 0], ("long", "short")[n % 10 < 3], number)
        for n, (text, _, _, number) in enumerate(ROWS)
    ]
    write_rows(directory / "reviews.csv", rows)
    task = load_task(
        task_file(directory), stratify=stratify, split={"train": 10, "validation": 10, "test": 10}
    )
    for part in (task.view.train, task.view.validation, task.test):
        # A third of the targets, three tenths of the pages.
        counts = Counter(rows[int(e.id) - 1][place] for e in part)
        assert min(counts.values()) in ((3, 4) if place == 1 else (3,))


def test_one_file_per_split(directory):
    for name, part in (("a", ROWS[:10]), ("b", ROWS[10:18]), ("c", ROWS[18:])):
        write_rows(directory / f"{name}.csv", part)
    text = changed("data: reviews.csv", "data: {train: a.csv, validation: b.csv, test: c.csv}")
    text = text.replace("split: {train: 6, validation: 8, test: 12, seed: 0}\n", "")
    task = load_task(task_file(directory, text))
    assert [e.id for e in task.view.train] == [f"train-{n}" for n in range(1, 11)]
    assert [e.input for e in task.test] == [row[0] for row in ROWS[18:]]
    some = load_task(directory / "reviews.yaml", split={"test": 5})
    assert (len(some.view.train), len(some.view.validation), len(some.test)) == (10, 8, 5)


def test_validation_is_taken_from_train_where_it_has_no_file(directory):
    write_rows(directory / "a.csv", ROWS[:16])
    write_rows(directory / "c.csv", ROWS[16:])
    task = load_task(
        task_file(directory), data={"train": "a.csv", "test": "c.csv"}, split={"train": 6, "validation": 10}
    )
    assert (len(task.view.train), len(task.view.validation), len(task.test)) == (6, 10, 14)
    assert {e.id.split("-")[0] for e in task.view.validation} == {"train"}


def test_shares_of_the_data(directory):
    task = load_task(task_file(directory), split={"train": 0.15, "validation": 0.25, "test": 0.6})
    assert len({e.id for e in everything(task)}) == 30
    assert len(task.test) == 18
    assert {len(task.view.train), len(task.view.validation)} in ({4, 8}, {5, 7})


def test_a_layout_of_ones_own(directory):
    layout = '\nlayout:\n  - user: "{prompt} {format}"\n  - assistant: "Ready."\n  - user: "{input}"\n'
    task = load_task(task_file(directory, YAML + layout))
    messages = task.view.messages("P", task.test[0])
    assert [message.role for message in messages] == ["user", "assistant", "user"]
    assert messages[0].content == "P Answer with one word: positive or negative."


def test_options_of_a_scorer(directory):
    rows = [(text, f"{n}.0", p, i) for n, (text, _, p, i) in enumerate(ROWS)]
    write_rows(directory / "reviews.csv", rows)
    text = changed("labels: [positive, negative]\n", "").replace(
        "scorer: exact", "scorer: {number: {tolerance: 1e-1}}"
    )
    task = load_task(task_file(directory, text))
    assert task.view.wrong == "number"
    assert task.view.scorer.score("3.05", "3") == 1.0
    assert task.view.scorer.score("3.5", "3") == 0.0


def test_a_scorer_beside_the_task_file(directory):
    (directory / "scorers.py").write_text(
        "def score(answer, target):\n    return float(answer[:1] == target[:1])\n"
    )
    task = load_task(task_file(directory, changed("scorer: exact", "scorer: scorers:score")))
    read = task.view.scorer.read("p…")
    assert task.view.scorer.score(read, "positive") == 1.0


def test_a_judge_has_its_words(directory):
    text = changed("labels: [positive, negative]\n", "").replace(
        "scorer: exact", "scorer: {judge: {rubric: 'Is it kind?'}}"
    )
    assert load_task(task_file(directory, text)).view.scorer.asks


def test_multiple_choice_columns(directory):
    lines = ["Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3"]
    lines += [f"rec{n},{review(n)}?,right {n},x{n},y{n},z{n}" for n in range(30)]
    (directory / "q.csv").write_text("\n".join(lines), "utf-8")
    text = "data: q.csv\ninput: Question\nchoices: gpqa\nid: Record ID\nprompt: Answer.\nsplit: {train: 6, validation: 8, test: 12}\n"
    task = load_task(task_file(directory, text))
    assert task.view.labels == ("A", "B", "C", "D") and task.view.wrong == "choice"
    for example in everything(task):
        assert f"({example.target}) right {example.id[3:]}" in example.input.splitlines()


def test_a_generated_task(directory):
    text = "procedural: {task: web-of-lies, seed: 3}\nsplit: {train: 5, validation: 6, test: 7}\n"
    task = load_task(task_file(directory, text))
    view = task.view
    assert (len(view.train), len(view.validation), len(task.test)) == (5, 6, 7)
    assert view.slots == 3 and set(view.labels) == {"yes", "no", "unknown"} and view.wrong == "slots"
    assert view.seed_prompt and view.format
    assert load_task(directory / "reviews.yaml").digest == task.digest
    assert (
        load_task(directory / "reviews.yaml", procedural={"task": "web-of-lies", "seed": 4}).digest
        != task.digest
    )


def test_defaults_are_said(directory):
    text = "data: reviews.csv\ninput: text\ntarget: label\nprompt: P\nlabels: [positive, negative]\n"
    task = load_task(task_file(directory, text))
    assert (len(task.view.train), len(task.view.validation), len(task.test)) == (4, 8, 18)
    assert task.view.format == "Answer with one of: positive, negative."
    said = " ".join(task.notes)
    assert "4 train, 8 validation, 18 test" in said and "scorer" in said and "Answer with one of" in said


def test_default_splits_stop_at_a_thousand(directory):
    assert tasksplit.default_sizes(200) == {"train": 30, "validation": 50, "test": 120}
    assert sum(tasksplit.default_sizes(50_000).values()) == 1000
    assert tasksplit.default_sizes(3) == {"train": 1, "validation": 1, "test": 1}


def test_a_large_example(directory):
    rows = [(("x" * 5_000_000 if n == 0 else text), *rest) for n, (text, *rest) in enumerate(ROWS)]
    write_rows(directory / "reviews.csv", rows)
    assert (
        max(
            len(e.input)
            for e in everything(
                load_task(task_file(directory), split={"train": 9, "validation": 9, "test": 12})
            )
        )
        == 5_000_000
    )


def test_hub_data(directory, monkeypatch):
    rows = [{"text": text, "label": label} for text, label, _, _ in ROWS]
    asked = []
    monkeypatch.setattr(taskbuild, "read_hub_rows", lambda ref: asked.append(ref) or rows)
    task = load_task(task_file(directory, changed("data: reviews.csv", "data: hf:someone/reviews@train")))
    assert asked == ["hf:someone/reviews@train"] and len(everything(task)) == 26


# What bad ones are told


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("input: text", "inptu: text", ["reviews.yaml, line 3", "'inptu'", "'input'"]),
        ("input: text", "input: txt", ["line 3", "'txt'", "'text'", "reviews.csv"]),
        ("input: text", 'input: "{txt}: {page}"', ["line 3", "{txt}", "'text'"]),
        ("input: text", 'input: "{text"', ["line 3", "template"]),
        ("input: text", 'input: "{{text}}"', ["line 3", "no column"]),
        ("input: text\n", "", ["reviews.yaml", "'input' is missing"]),
        ("input: text", "input: [text]", ["line 3", "'input'", "a list"]),
        ("input: text", "input:", ["line 3", "'input'", "empty"]),
        ("input: text", 'input: ""', ["line 3", "'input'", "empty"]),
        ("target: label", "target: lable", ["line 4", "'lable'", "'label'"]),
        ("labels: [positive, negative]", "labels: positive", ["line 5", "'labels'", "a list"]),
        ("labels: [positive, negative]", "labels: [positive]", ["line 5", "two labels"]),
        ("labels: [positive, negative]", "labels:\n- positive\n- positive", ["line 7", "twice"]),
        ("labels: [positive, negative]", "labels: [good, bad]", ["reviews.csv, row 1", "positive"]),
        ("scorer: exact", "scorer: exakt", ["line 6", "'exakt'", "'exact'"]),
        ("scorer: exact", "scorer: {exact: {}, contains: {}}", ["line 6", "2 kinds"]),
        ("scorer: exact", "scorer: {exact: {tolerence: 1}}", ["line 6", "tolerence"]),
        ("scorer: exact", "scorer: none_such:score", ["line 6", "none_such"]),
        ("scorer: exact", "scorer: json:none_such", ["line 6", "no function none_such"]),
        (
            "prompt: Is the movie review positive or negative?",
            "prompt: {fiel: a.md}",
            ["line 7", "'fiel'", "'file'"],
        ),
        ("prompt: Is the movie review positive or negative?", "prompt: {file: a.md}", ["line 7", "a.md"]),
        ("train: 6", "trian: 6", ["line 9", "'trian'", "'train'"]),
        ("train: 6, ", "", ["line 9", "train"]),
        ("train: 6", "train: six", ["line 9", "'split.train'", "a number"]),
        ("train: 6", "train: 0", ["line 9", "train", "empty"]),
        ("train: 6", "train: -1", ["line 9", "train", "empty"]),
        ("train: 6", "train: 1.5", ["line 9", "1.5"]),
        ("train: 6", "train: 0.01", ["line 9", "train", "empty"]),
        ("train: 6", "train: true", ["line 9", "a number"]),
        ("train: 6", "train: 60", ["line 9", "80 examples", "reviews.csv", "there are 30"]),
        ("train: 6, validation: 8, test: 12", "train: 0.5, validation: 0.5, test: 0.5", ["line 9", "1.5"]),
        ("seed: 0", "seed: a", ["line 9", "'split.seed'"]),
        (
            "split: {train: 6, validation: 8, test: 12, seed: 0}",
            "split: 5",
            ["line 9", "'split'", "a mapping"],
        ),
        ("name: reviews", "name: reviews\nname: again", ["line 2", "'name'", "twice"]),
        ("name: reviews", "id: nr", ["line 1", "'nr'", "'number'"]),
        ("name: reviews", "id: page", ["line 1", "'p0'", "more than once"]),
        ("name: reviews", "group: pagge", ["line 1", "'page'"]),
        ("name: reviews", "stratify: lable", ["line 1", "'label'"]),
        ("name: reviews", "leaks: maybe", ["line 1", "'leaks'", "'maybe'", "error, warn, allow"]),
        ("name: reviews", "unparsed: exlude", ["line 1", "'exclude'"]),
        ("name: reviews", "wrong: labl", ["line 1", "'label'"]),
        ("name: reviews", "slots: 0", ["line 1", "'slots'", "at least 1"]),
        ("name: reviews", "layout: usr", ["line 1", "'user'"]),
        ("name: reviews", "layout: [{user: '{prompt} {format}'}]", ["line 1", "{input}"]),
        ("name: reviews", "layout: [{user: '{prompt} {text}'}]", ["line 1", "'text'"]),
        ("name: reviews", "layout: [{usr: '{prompt}'}]", ["line 1", "'usr'", "'user'"]),
        ("name: reviews", "choices: gpqa", ["'target'", "choices"]),
        ("name: reviews", "procedural: web-of-lies", ["'data'", "procedural"]),
        ("name: reviews", "name: [", ["reviews.yaml", "line", "YAML"]),
        ("name: reviews", "name: a: b", ["line 1", "YAML"]),
        ("data: reviews.csv", "data: reviws.csv", ["reviws.csv"]),
        ("data: reviews.csv", "data: {train: reviews.csv}", ["line 2", "test"]),
        ("data: reviews.csv", "data: {trian: reviews.csv}", ["line 2", "'trian'", "'train'"]),
        ("data: reviews.csv", "data: [reviews.csv]", ["line 2", "'data'"]),
        ("data: reviews.csv", "data: hf:a/b/c", ["hf:a/b/c", "hf:owner/name"]),
    ],
)
def test_bad_task_files(directory, old, new, fragments):
    path = task_file(directory, changed(old, new))
    refused(lambda: load_task(path), *fragments)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [("", ["empty"]), ("# nothing\n", ["empty"]), ("- a\n", ["a mapping"]), ("a: 1\n---\nb: 2\n", ["YAML"])],
)
def test_task_files_that_are_none(directory, text, fragments):
    refused(lambda: load_task(task_file(directory, text)), "reviews.yaml", *fragments)


def test_a_task_file_that_is_missing(directory):
    refused(lambda: load_task(directory / "none.yaml"), "none.yaml", "no file")


@pytest.mark.parametrize(
    ("number", "row", "fragments"),
    [
        (4, ("a text", "", "p", "1"), ["reviews.csv", "row 5", "'label'"]),
        (4, ("a text",), ["reviews.csv", "row 5", "'label'"]),
        (4, (" ", "positive", "p", "1"), ["reviews.csv", "row 5", "'text'"]),
        (4, ("a text", "neutral", "p", "1"), ["reviews.csv", "row 5", "neutral"]),
    ],
)
def test_bad_rows_are_named(directory, number, row, fragments):
    write_rows(directory / "reviews.csv", [*ROWS[:number], row, *ROWS[number + 1 :]])
    refused(lambda: load_task(task_file(directory)), *fragments)


def test_many_bad_rows_are_named_shortly(directory):
    write_rows(directory / "reviews.csv", [(text, "", p, i) for text, _, p, i in ROWS])
    refused(lambda: load_task(task_file(directory)), "rows 1, 2, 3, 4, 5 and 25 more")


def test_null_and_what_cannot_be_sent(directory):
    rows = [{"text": text, "label": label} for text, label, _, _ in ROWS]
    path = task_file(directory, changed("reviews.csv", "reviews.jsonl"))

    def told(row: dict, *fragments: str) -> None:
        lines = [json.dumps(r) for r in [*rows[:2], row, *rows[3:]]]
        (directory / "reviews.jsonl").write_text("\n".join(lines), "utf-8")
        refused(lambda: load_task(path), "reviews.jsonl", "row 3", *fragments)

    told({"text": None, "label": "positive"}, "'text'")
    told({"text": "a", "label": None}, "'label'")
    told({"text": "a\0b", "label": "positive"}, "U+0000")
    told({"text": "a\ud800b", "label": "positive"}, "U+D800")


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"", ["empty"]),
        (b"text,label\n\0,a", ["NUL", "line 2"]),
        (b"text,label\n\xff,a", ["UTF-8", "line 2", "byte 11"]),
        (b"text;label\na;positive\n", ["semicolons"]),
    ],
)
def test_bad_data_files(directory, content, fragments):
    (directory / "reviews.csv").write_bytes(content)
    refused(lambda: load_task(task_file(directory)), "reviews.csv", *fragments)


def test_one_class_only(directory):
    write_rows(directory / "reviews.csv", [(text, "positive", p, i) for text, _, p, i in ROWS])
    refused(lambda: load_task(task_file(directory)), "'positive'", "same target", "two")


def test_a_split_of_one_class_is_noted(directory):
    for name, part in (("a", [row for row in ROWS if row[1] == "positive"]), ("c", ROWS[1::2])):
        write_rows(directory / f"{name}.csv", part)
    data = {"train": "a.csv", "test": "c.csv"}
    task = load_task(task_file(directory), data=data, split={"train": 5, "validation": 5})
    assert sum("one class only" in note for note in task.notes) == 3


def test_exact_duplicates_across_splits(directory):
    write_rows(directory / "a.csv", ROWS[:20])
    write_rows(directory / "c.csv", [*ROWS[20:], ROWS[3]])
    path = task_file(
        directory, changed("data: reviews.csv", "data: {train: a.csv, test: c.csv}").replace(", test: 12", "")
    )
    refused(
        lambda: load_task(path, split={"train": 10, "validation": 10}), "train-4", "test-11", "leaks: warn"
    )
    warned = load_task(path, split={"train": 10, "validation": 10}, leaks="warn")
    assert any("train-4" in note and "test-11" in note for note in warned.notes)
    allowed = load_task(path, split={"train": 10, "validation": 10}, leaks="allow")
    assert not any("train-4" in note for note in allowed.notes)


def test_near_duplicates_are_noted(directory):
    write_rows(directory / "a.csv", ROWS[:20])
    text, *rest = ROWS[3]
    write_rows(directory / "c.csv", [*ROWS[20:], (text.upper() + "!", *rest)])
    task = load_task(
        task_file(directory),
        data={"train": "a.csv", "test": "c.csv"},
        split={"train": 10, "validation": 10},
        leaks="warn",
    )
    assert any("train-4" in note and "test-11" in note for note in task.notes)


def test_ids_repeat_across_files(directory):
    write_rows(directory / "a.csv", ROWS[:20])
    write_rows(directory / "c.csv", [*ROWS[20:-1], (*ROWS[-1][:3], "4")])
    path = task_file(
        directory, changed("data: reviews.csv", "data: {train: a.csv, test: c.csv}") + "id: number\n"
    )
    refused(
        lambda: load_task(path, split={"train": 10, "validation": 10}), "line 10", "'4'", "a.csv", "c.csv"
    )


def test_bad_overrides_name_the_option(directory):
    path = task_file(directory)
    refused(lambda: load_task(path, split={"train": "six"}), "Option split.train", "a number")
    refused(lambda: load_task(path, scorer="exakt"), "'exakt'", "'exact'")
    with pytest.raises(TypeError, match="prompt"):
        load_task(path, promt="x")


def test_bad_dials(directory):
    text = "procedural: {task: web-of-lies, unknwon: 0.3}\n"
    refused(lambda: load_task(task_file(directory, text)), "line 1", "unknwon")
    refused(lambda: load_task(task_file(directory, "procedural: web-of-lie\n")), "line 1", "'web-of-lies'")
    text = "procedural: web-of-lies\nsplit: {train: 0.3, validation: 1, test: 1}\n"
    refused(lambda: load_task(task_file(directory, text)), "line 2", "train")


def test_a_scorer_that_does_not_import(directory):
    (directory / "broken.py").write_text("1 / 0\n")
    path = task_file(directory, changed("scorer: exact", "scorer: broken:score"))
    refused(lambda: load_task(path), "line 6", "ZeroDivisionError")


# Without a task file


def test_data_alone(directory):
    task = task_from_data(directory / "reviews.csv", input="text", target="label", prompt="Good or bad?")
    view = task.view
    assert view.name == "reviews" and view.labels == ("negative", "positive")
    assert view.format == "Answer with one of: negative, positive."
    assert (len(view.train), len(view.validation), len(task.test)) == (4, 8, 18)
    said = " ".join(task.notes)
    assert "inferred" in said and "negative, positive" in said and "No split" in said and "No format" in said


def test_open_targets_are_no_labels(directory):
    task = task_from_data(directory / "reviews.csv", input="text", target="page", prompt="P", scorer="exact")
    assert task.view.labels and len(task.view.labels) == 15
    task = task_from_data(directory / "reviews.csv", input="text", target="number", prompt="P")
    assert task.view.labels == () and task.view.wrong == "number" and task.view.format == ""


def test_given_labels_are_not_guessed(directory):
    task = task_from_data(
        directory / "reviews.csv",
        input="text",
        target="label",
        prompt="P",
        labels=["positive", "negative", "mixed"],
    )
    assert task.view.labels == ("positive", "negative", "mixed")
    assert any("'mixed'" in note for note in task.notes) and "inferred" not in " ".join(task.notes)


def test_data_with_bad_options(directory):
    def call(**options):
        return lambda: task_from_data(
            directory / "reviews.csv", **({"input": "text", "target": "label", "prompt": "P"} | options)
        )

    refused(call(input="txt"), "Option input", "'text'")
    refused(call(prompt=" "), "Option prompt", "empty")
    refused(call(labels=["good", "bad"]), "reviews.csv, row 1")
    refused(call(split={"train": 100, "validation": 1, "test": 1}), "102", "30")


def test_a_judge_and_a_function_need_no_target(directory):
    (directory / "mine.py").write_text("def score(answer, target):\n    return 1.0\n")
    for scorer in ("mine:score", "{judge: {rubric: 'Is it kind?'}}"):
        text = changed("labels: [positive, negative]\n", "").replace("target: label\n", "")
        task = load_task(task_file(directory, text.replace("scorer: exact", f"scorer: {scorer}")))
        assert {e.target for e in everything(task)} == {""}


def test_the_digest_follows_the_source_of_a_users_scorer(directory):
    (directory / "mine.py").write_text("def score(answer, target):\n    return 1.0\n")
    path = task_file(directory, changed("scorer: exact", "scorer: mine:score"))
    first = load_task(path)
    (directory / "mine.py").write_text("def score(answer, target):\n    return 0.5\n")
    second = load_task(path)
    assert first.digest != second.digest
    assert (first.view.scorer.score("a", "b"), second.view.scorer.score("a", "b")) == (1.0, 0.5)


def test_a_group_in_two_files(directory):
    write_rows(directory / "a.csv", ROWS[:19])
    write_rows(directory / "c.csv", ROWS[19:])
    path = task_file(directory)
    sources = {"data": {"train": "a.csv", "test": "c.csv"}, "split": {"train": 9, "validation": 10}}
    refused(lambda: load_task(path, group="page", **sources), "'p9'", "test", "leaks: warn")


def test_sets_of_labels(directory):
    rows = [(text, ("positive", "negative; positive")[n % 2], p, i) for n, (text, _, p, i) in enumerate(ROWS)]
    write_rows(directory / "reviews.csv", rows)
    text = changed("scorer: exact", "scorer: labels").replace(
        'format: "Answer with one word: positive or negative."\n', ""
    )
    task = load_task(task_file(directory, text))
    assert task.view.format.startswith("Answer with those of these that apply")
    assert task.view.scorer.score("negative, positive", "positive, negative") == 1.0
