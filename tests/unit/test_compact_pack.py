"""The `compact` pack: continuations that a small model can follow, and nothing of a task in them."""

from __future__ import annotations

import pytest

from nullgrad.core.chat import Reply
from nullgrad.core.prompt import Parsed, parse_prompt
from nullgrad.core.words import PIECES, STAGES
from nullgrad.edges.packs import load_pack
from nullgrad.edges.tasks.shipped import shipped_tasks

PROPOSING = ("rewrite", "improve", "one-step", "gradient-update")
VALUES = {
    "prompt": "Is {this} a complaint?",
    "input": "The kettle leaks.",
    "output": "other",
    "evaluation": "The right answer is complaint, so other is incorrect.",
    "examples": "1. Input: The kettle leaks.",
    "change": "It should say complaint.",
    "changes": "1. Look for broken things.",
}


def test_every_stage_and_piece_is_there() -> None:
    assert set(load_pack("compact").words) == set(STAGES) | set(PIECES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_continuation_that_ends_with_its_line(stage: str) -> None:
    words = load_pack("compact")[stage]
    messages = words.render(VALUES)
    assert messages[-1].role == "assistant"
    assert messages[-1].content.endswith(":")
    assert words.stop == ("\n",)
    assert words.max_tokens is not None and words.max_tokens <= 64


@pytest.mark.parametrize("stage", STAGES)
def test_the_shots_have_the_form_of_the_question(stage: str) -> None:
    """A continuation works only if the line to be written has stood before, filled in."""
    lines = load_pack("compact")[stage].render(VALUES)[-1].content.splitlines()
    opening = lines[-1]
    filled = [line for line in lines[:-1] if line.startswith(opening)]
    assert len(filled) >= 2
    assert all(line.removeprefix(opening).strip() for line in filled)


@pytest.mark.parametrize("stage", PROPOSING)
def test_the_shots_own_lines_are_read_as_prompts(stage: str) -> None:
    words = load_pack("compact")[stage]
    assert words.reply == "prompt-line"
    lines = words.render(VALUES)[-1].content.splitlines()
    for line in lines[:-1]:
        if line.startswith(lines[-1]):
            shot = line.removeprefix(lines[-1])
            assert parse_prompt(Reply(shot, "stop"), words.reply) == Parsed(shot.strip())


@pytest.mark.parametrize("stage", STAGES)
def test_values_come_through_whole(stage: str) -> None:
    words = load_pack("compact")[stage]
    text = "\n".join(message.content for message in words.render(VALUES))
    for name in words.variables:
        assert VALUES[name] in text


def test_the_evaluation_alone_differs_between_what_arms_are_told() -> None:
    pack = load_pack("compact")
    told, untold = (
        pack.piece("example", {"number": "1", "input": "a", "output": "b", "evaluation": evaluation})
        for evaluation in (VALUES["evaluation"], "")
    )
    assert told.replace(VALUES["evaluation"], "").strip() == untold.strip()


def test_the_shots_say_nothing_of_the_shipped_tasks() -> None:
    """A hint in the shots would be an ingredient that no control has."""
    pack = load_pack("compact")
    text = "\n".join(
        template.text for words in pack.words.values() for _, template in words.messages
    ).casefold()
    assert shipped_tasks()
    for word in ("complain", "customer", "upset", "angry", "ticket"):
        assert word not in text
