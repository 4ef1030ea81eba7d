"""Reading rows: every format, and every way in which a file can be bad."""

from __future__ import annotations

import csv
import json
import sys
import types
from pathlib import Path

import pytest

from nullgrad.edges.tasks import choices
from nullgrad.edges.tasks.datasets import read_rows
from nullgrad.edges.tasks.hub import HubReference, read_hub_rows
from nullgrad.errors import UserError


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


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_keeps_quotes_newlines_and_template_syntax(tmp_path):
    path = write(
        tmp_path / "a.csv",
        b'\xef\xbb\xbftext,label\r\n"two\r\nlines, and a ""quote""",x\r\n{prompt} {{x}} {% raw %},y\r\n\r\n',
    )
    assert read_rows(path) == [
        {"text": 'two\r\nlines, and a "quote"', "label": "x"},
        {"text": "{prompt} {{x}} {% raw %}", "label": "y"},
    ]


def test_tsv_is_separated_by_tabs(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\na, b\tx\n")
    assert read_rows(path) == [{"text": "a, b", "label": "x"}]


def test_short_rows_lack_columns(tmp_path):
    assert read_rows(write(tmp_path / "a.csv", "a,b\n1\n")) == [{"a": "1"}]


def test_json_lines_keep_numbers_as_written_and_drop_null(tmp_path):
    line = '{"a": 1.50, "b": 10000000000000000000001, "c": true, "d": null, "e": [1.0, "x", null], "f": "u\\u2028v"}'
    path = write(tmp_path / "a.jsonl", line + "\n\n" + '{"a": "z\u2028"}' + "\r\n")
    first, second = read_rows(path)
    assert first == {
        "a": "1.50",
        "b": "10000000000000000000001",
        "c": "true",
        "e": '[1.0, "x", null]',
        "f": "u\u2028v",
    }
    assert second == {"a": "z\u2028"}
    assert all(type(value) is str for value in first.values())


def test_json_takes_a_list_and_the_publishers_form(tmp_path):
    rows = [{"input": "q", "target": "yes"}]
    assert read_rows(write(tmp_path / "a.json", json.dumps(rows))) == rows
    assert read_rows(write(tmp_path / "b.json", json.dumps({"canary": "…", "examples": rows}))) == rows


def test_parquet_round_trip(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"text": ["a\nb", None], "n": [1, 2], "x": [0.5, 1e-7], "l": [["p"], []]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == [
        {"text": "a\nb", "n": "1", "x": "0.5", "l": '["p"]'},
        {"n": "2", "x": "1e-07", "l": "[]"},
    ]


def test_a_field_of_five_megabytes_loads_and_the_limit_is_put_back(tmp_path):
    before = 131_072
    csv.field_size_limit(before)
    path = write(tmp_path / "a.csv", "text,label\n" + "x" * 5_000_000 + ",a\n")
    assert len(read_rows(path)[0]["text"]) == 5_000_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("a.csv", b"", ["a.csv", "empty"]),
        ("a.csv", b"\n \n", ["empty"]),
        ("a.csv", b"text,label\n", ["no rows"]),
        ("a.json", b"[]", ["no rows"]),
        ("a.csv", b"text,label\na,b\nc\0d,e\n", ["NUL", "line 3", "byte 16"]),
        ("a.csv", "text,label\na,b\n".encode("utf-16"), ["NUL", "UTF-16"]),
        ("a.csv", b"text,label\na,b\ncaf\xe9,e\n", ["UTF-8", "line 3", "byte 18", "0xe9"]),
        ("a.csv", b"\xef\xbb\xbftext\ncaf\xe9\n", ["UTF-8", "line 2", "byte 11"]),
        ("a.csv", b"text,label\na,b,c\n", ["line 2", "3 fields", "2"]),
        ("a.csv", b'text,label\na,"b\nc,d\n', ["a.csv", "line 3", "quote"]),
        ("a.csv", b"text,text\na,b\n", ["'text'", "Rename"]),
        ("a.jsonl", b'{"a": 1}\n{"a": }\n', ["line 2", "column 7"]),
        ("a.jsonl", b'{"a": 1}\n[1]\n', ["line 2", "no object"]),
        ("a.json", b'{"data": []}', ["a list of objects"]),
        ("a.json", b'[\n{"a": 1},\n]', ["line 3"]),
        ("a.json", b'[{"a": 1}, 2]', ["item 2"]),
        ("a.json", b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", ["nested too deeply"]),
        ("a.xlsx", b"PK", ["'.xlsx'", ".csv"]),
        ("noending", b"x", ["noending", ".csv"]),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, fragments):
    path = write(tmp_path / name, content)
    refused(lambda: read_rows(path), *fragments)


def test_a_parquet_file_that_is_none(tmp_path):
    pytest.importorskip("pyarrow")
    refused(lambda: read_rows(write(tmp_path / "a.parquet", b"nothing")), "a.parquet", "Parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused(lambda: read_rows(write(tmp_path / "a.parquet", b"x")), "nullgrad[parquet]")


def test_missing_files_and_directories(tmp_path):
    refused(lambda: read_rows(tmp_path / "none.csv"), "no file", "none.csv")
    (tmp_path / "dir.csv").mkdir()
    refused(lambda: read_rows(tmp_path / "dir.csv"), "directory")


class Table(list):
    """As much of `datasets.Dataset` as is used."""

    features = types.MappingProxyType(
        {
            "text": types.SimpleNamespace(dtype="string"),
            "label": types.SimpleNamespace(names=["neg", "pos"]),
        }
    )


def fake_datasets(monkeypatch, load) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_hub_rows_carry_class_names(monkeypatch):
    asked = []

    def load(name, config, *, split):
        asked.append((name, config, split))
        return Table(
            [
                {"text": "fine", "label": 1, "n": 3},
                {"text": None, "label": 0, "n": 4},
                {"text": "?", "label": -1},
            ]
        )

    fake_datasets(monkeypatch, load)
    assert read_hub_rows("hf:stanford/imdb:plain@test[:2]") == [
        {"text": "fine", "label": "pos", "n": "3"},
        {"label": "neg", "n": "4"},
        {"text": "?", "label": "-1"},
    ]
    assert asked == [("stanford/imdb", "plain", "test[:2]")]


def test_hub_references():
    assert HubReference.parse("hf:a/b") == HubReference("a/b", None, "train")
    assert HubReference.parse("hf:a/b@validation") == HubReference("a/b", None, "validation")
    refused(lambda: HubReference.parse("hf:a/b/c"), "hf:a/b/c", "hf:owner/name")


def test_hub_failures_are_quoted(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    refused(lambda: read_hub_rows("hf:a/b"), "nullgrad[hf]")

    def load(name, config, *, split):
        raise ValueError("Unknown split\n 'x'")

    fake_datasets(monkeypatch, load)
    refused(lambda: read_hub_rows("hf:a/b@x"), "Unknown split 'x'")
    fake_datasets(monkeypatch, lambda *a, **k: Table())
    refused(lambda: read_hub_rows("hf:a/b@x"), "no rows")


ROW = {
    "Question": "Which of these made-up metals is lightest?",
    "Correct Answer": "fluffium\n",
    "Incorrect Answer 1": "gravite",
    "Incorrect Answer 2": "plumbite",
    "Incorrect Answer 3": "tungstone",
}


def test_options_are_shuffled_by_the_record_alone():
    text, letter = choices.with_options(ROW["Question"], "rec1", choices.GPQA, ROW)
    assert (text, letter) == choices.with_options(
        ROW["Question"], "rec1", choices.GPQA, dict(reversed(ROW.items()))
    )
    lines = text.splitlines()
    assert lines[0] == ROW["Question"] and [line[:3] for line in lines[2:]] == ["(A)", "(B)", "(C)", "(D)"]
    assert f"({letter}) fluffium" in lines
    seen = {choices.with_options("q", f"rec{n}", choices.GPQA, ROW)[1] for n in range(40)}
    assert seen == {"A", "B", "C", "D"}


def test_equal_options_have_no_right_letter():
    with pytest.raises(ValueError, match="equal"):
        choices.with_options("q", "rec", choices.GPQA, ROW | {"Incorrect Answer 2": "fluffium"})
