"""Reading a prompt out of a reply: what cannot be read with certainty never becomes the prompt."""

from __future__ import annotations

import pytest

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.prompt import Parsed, Unparsed, parse_prompt

GOOD = [
    ("<prompt>Classify the text.</prompt>", "Classify the text."),
    (
        "Here you are:\n<prompt>\nClassify the text.\nBe careful.\n</prompt>\nHope this helps!",
        "Classify the text.\nBe careful.",
    ),
    ("<PROMPT>Classify the text.</PROMPT>", "Classify the text."),
    ("```\nClassify the text.\n```", "Classify the text."),
    ("Sure:\n```text\nClassify the text.\n```\n", "Classify the text."),
    ("<prompt>Use {braces} and ```fences``` freely.</prompt>", "Use {braces} and ```fences``` freely."),
    ("<prompt>Say whether the apology is sincere.</prompt>", "Say whether the apology is sincere."),
]

BAD = [
    ("", "empty"),
    ("   \n ", "empty"),
    ("I'm sorry, but I can't help with that.", "refusal"),
    ("I cannot rewrite this prompt.", "refusal"),
    ("As an AI, I must decline.", "refusal"),
    ("Classify the text.", "no-block"),
    ("Sure! The new prompt is: Classify the text.", "no-block"),
    ("<prompt>One.</prompt><prompt>Two.</prompt>", "several-blocks"),
    ("```\nOne.\n```\nor\n```\nTwo.\n```", "several-blocks"),
    ("<prompt>Never closed", "several-blocks"),
    ("<prompt>Nested <prompt>inner</prompt>", "several-blocks"),
    ("<prompt></prompt>", "empty"),
    ("<prompt>...</prompt>", "empty"),
    ("<prompt>I'm sorry, I can't do that.</prompt>", "refusal"),
    ("<prompt>Here is the improved prompt: Classify.</prompt>", "preamble"),
    ("<prompt>Sure! Classify the text.</prompt>", "preamble"),
    ("<prompt>yes</prompt>", "label"),
    ("<prompt>'Yes.'</prompt>", "label"),
]


@pytest.mark.parametrize(("text", "prompt"), GOOD)
def test_a_clear_block_is_the_prompt(text: str, prompt: str) -> None:
    assert parse_prompt(Reply(text, "stop"), "prompt-fenced", ("yes", "no")) == Parsed(prompt)


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_everything_else_is_unparsed(text: str, reason: str) -> None:
    found = parse_prompt(Reply(text, "stop"), "prompt-fenced", ("yes", "no"))
    assert isinstance(found, Unparsed)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "truncated"), ("content_filter", "filtered"), ("refusal", "refusal")]
)
def test_a_reply_cut_short_is_never_a_prompt(finish: str, reason: str) -> None:
    found = parse_prompt(Reply("<prompt>Classify the text.</prompt>", finish), "prompt-fenced")
    assert found == Unparsed(reason, "<prompt>Classify the text.</prompt>")


def test_a_failed_call_is_no_prompt() -> None:
    found = parse_prompt(Failed("server", "broken"), "prompt-fenced")
    assert isinstance(found, Unparsed)
    assert found.reason == "failed"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (" Decide if the text is positive.", "Decide if the text is positive."),
        ("- Decide if the text is positive.\nmore", "Decide if the text is positive."),
        ('1. "Decide if it is positive"', "Decide if it is positive"),
    ],
)
def test_a_line(text: str, prompt: str) -> None:
    assert parse_prompt(Reply(text, "stop"), "prompt-line", ("positive",)) == Parsed(prompt)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("positive", "label"), ("Good one", "too-short"), ("Sure, here it is", "preamble"), ("!!!", "empty")],
)
def test_a_line_that_is_no_instruction(text: str, reason: str) -> None:
    found = parse_prompt(Reply(text, "stop"), "prompt-line", ("positive",))
    assert isinstance(found, Unparsed)
    assert found.reason == reason
