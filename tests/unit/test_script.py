"""Scripted models: what they answer, what they refuse, and what their identity says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nullgrad.core.chat import Message, Reply, Request
from nullgrad.edges.models.script import ScriptModel, load_script
from nullgrad.errors import UserError


def ask(model: ScriptModel, *texts: str, draw: int = 0) -> Reply:
    return asyncio.run(model.call(request(*texts, draw=draw)))


def request(*texts: str, draw: int = 0, model: str = "m") -> Request:
    return Request(model, tuple(Message("user", text) for text in texts), draw=draw)


def written(folder: Path, name: str, text: str | bytes) -> ScriptModel:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_script(path, f"script:{name}")


ROWS: list[dict[str, Any]] = [
    {"match": "^Is it.*\\?$", "reply": "yes"},
    {"match": "draw", "replies": ["one", "two", "three"]},
    {"messages": ["Be brief.", "Exactly this."], "reply": "exact"},
    {"match": "Be long", "in": "all", "reply": "long"},
]


def test_the_first_rule_that_fits_answers() -> None:
    model = ScriptModel(ROWS)
    assert ask(model, "Is it\nso?").text == "yes", "a dot matches a newline too"
    assert ask(model, "Be brief.", "Exactly this.").text == "exact"
    assert ask(model, "Be long", "and what else").text == "long"
    assert ask(ScriptModel([{"match": "", "reply": "any"}, *ROWS]), "Is it so?").text == "any"


def test_a_rule_sees_the_last_message_unless_it_says_all() -> None:
    with pytest.raises(UserError):
        ask(ScriptModel([{"match": "Be long", "reply": "long"}]), "Be long", "and what else")


def test_replies_are_taken_by_the_draw() -> None:
    model = ScriptModel(ROWS)
    assert [ask(model, "a draw", draw=draw).text for draw in range(4)] == ["one", "two", "three", "one"]


def test_a_reply_is_marked_as_simulated_and_counted_in_words() -> None:
    model = ScriptModel(ROWS, "script:mine")
    reply = ask(model, "Is it so?")
    assert model.simulated
    assert (reply.served_model, reply.finish_reason) == ("script:mine", "stop")
    assert (reply.usage.prompt, reply.usage.completion) == (3, 1)


def test_an_unknown_request_is_shown_with_the_rule_that_would_answer_it() -> None:
    with pytest.raises(UserError) as caught:
        ask(ScriptModel(ROWS), "What (really) now?")
    assert "What (really) now?" in caught.value.what
    added = json.loads(
        caught.value.ways_out[caught.value.ways_out.index("{") : caught.value.ways_out.index("}") + 1]
    )
    assert ask(ScriptModel([*ROWS, added]), "What (really) now?").text == "…", "the rule works as it is"


@pytest.mark.parametrize(
    "row",
    [
        {}, {"reply": "x"}, {"match": "x"}, {"match": "x", "reply": 5}, {"match": 5, "reply": "x"},
        {"match": "x", "reply": "x", "replies": ["y"]}, {"match": "x", "replies": []}, {"match": "x", "replies": "xy"},
        {"match": "x", "replies": ["x", 5]}, {"match": "(", "reply": "x"}, {"mtach": "x", "reply": "x"},
        {"match": "x", "messages": ["x"], "reply": "x"}, {"messages": "x", "reply": "x"},
        {"match": "x", "in": "some", "reply": "x"}, {"match": "x", "reply": None},
    ],
)  # fmt: skip
def test_a_row_that_is_no_rule_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="row 2"):
        ScriptModel([ROWS[0], row])


def test_no_rule_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no rule"):
        ScriptModel([])


def test_a_function() -> None:
    assert ask(ScriptModel(lambda one: one.messages[-1].content.upper()), "hi").text == "HI"
    own = Reply("own", "length")
    assert ask(ScriptModel(lambda one: own), "hi") is own
    with pytest.raises(UserError, match="does not know"):
        ask(ScriptModel(lambda one: None), "hi")
    with pytest.raises(UserError, match="returned int"):
        ask(ScriptModel(lambda one: 5), "hi")  # type: ignore[arg-type, return-value]
    with pytest.raises(UserError, match="ZeroDivisionError"):
        ask(ScriptModel(lambda one: str(1 // 0)), "hi")


def test_a_recording_answers_what_it_holds() -> None:
    asked = request("hi", draw=3, model="the real one")
    kept = {asked.identity(): Reply("recorded")}
    model = ScriptModel(kept, recorded_from="the real one")
    assert ask(model, "hi", draw=3).text == "recorded"
    assert asyncio.run(model.call(replace(asked, model=model.identity))).text == "recorded"
    with pytest.raises(UserError, match="does not know"):
        ask(model, "hi", draw=4)


def test_a_changed_script_has_another_identity() -> None:
    def one(asked: Request) -> str:
        return "one"

    def two(asked: Request) -> str:
        return "two"

    def closing(value: str) -> ScriptModel:
        return ScriptModel(lambda asked: value)

    recorded = request("hi").identity()
    models = [
        ScriptModel(ROWS), ScriptModel(ROWS[:2]), ScriptModel(one), ScriptModel(two), closing("a"), closing("b"),
        ScriptModel({recorded: Reply("a")}), ScriptModel({recorded: Reply("b")}), ScriptModel({}),
    ]  # fmt: skip
    assert len({model.identity for model in models}) == len(models)
    assert ScriptModel(ROWS).identity == ScriptModel([dict(row) for row in ROWS], "script:other").identity
    assert closing("a").identity == closing("a").identity
    assert ScriptModel(one, digest="mine").identity == ScriptModel(two, digest="mine").identity


def test_a_file_of_rules(tmp_path: Path) -> None:
    lines = "\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\r\n"
    model = written(tmp_path, "a.jsonl", lines)
    assert ask(model, "Is it so?").text == "yes"
    assert model.name == "script:a.jsonl"
    assert model.identity != written(tmp_path, "a.jsonl", lines + "\n").identity, (
        "the identity holds the file's hash"
    )


def test_a_line_separator_of_unicode_ends_no_line(tmp_path: Path) -> None:
    row = json.dumps({"match": "x", "reply": "one\u2028two\x85three"}, ensure_ascii=False)
    assert ask(written(tmp_path, "a.jsonl", row), "x").text == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"match": "x", "reply": "y"}\nno JSON\n', "line 2"),
        (b'["x", "y"]', "line 1"),
        (b"[" * 200_000, "line 1"),
        (b"", "no rule"),
        (b'{"match": "caf\xe9", "reply": "y"}', "UTF-8"),
    ],
    ids=["no JSON", "no object", "deep", "empty", "no UTF-8"],
)
def test_a_file_that_is_no_script(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        written(tmp_path, "a.jsonl", content)


PYTHON = """
from dataclasses import dataclass
import re

@dataclass
class Case:
    pattern: "str"
    answer: str

CASES = [Case("lovely", "positive"), Case("dreadful", "negative")]

def reply(request):
    return next((one.answer for one in CASES if re.search(one.pattern, request.messages[-1].content)), None)
"""


def test_a_file_of_python(tmp_path: Path) -> None:
    model = written(tmp_path, "model.py", PYTHON)
    assert ask(model, "a lovely film").text == "positive"
    with pytest.raises(UserError, match="a film"):
        ask(model, "a film")
    assert model.identity != written(tmp_path, "model.py", PYTHON + "\n").identity


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def answer(request): return 'x'", "reply"),
        ("reply = 5", "reply"),
        ("def reply(request:", "SyntaxError"),
        ("import no_such_module_of_mine", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("x = 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_file_of_python_that_is_no_script(source: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        written(tmp_path, "model.py", source)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_script(tmp_path / "absent.jsonl", "script:absent.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        load_script(tmp_path, "script:.")
