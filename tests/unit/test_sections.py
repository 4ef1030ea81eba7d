"""Prompts cut into sections, and put together without some of them."""

from __future__ import annotations

import random

import pytest

from nullgrad.core.sections import cut, joined, only, sentences, without

CASES = {
    "headings": ("# Goal\nDo it.\n- a\n- b\n\n## Rules\nNever x.\n", "block", 2),
    "underlined headings": ("Goal\n====\nDo it.\n\nRules\n---\nNever x.", "block", 2),
    "bold lines are headings": ("**Goal**\nDo it.\n\n**Rules:**\nNever x.", "block", 2),
    "text before the first heading": ("First read.\n\n# Rules\nNever x.", "block", 2),
    "one heading over a list": ("# Rules\n- a\n- b\n- c", "block", 3),
    "a list with an introduction": (
        "Do this:\n1. read\n2. think\n   hard\n3. answer\n\nThen stop.",
        "block",
        5,
    ),
    "an item of several paragraphs": ("- one\n\n  more of it\n- two", "block", 2),
    "paragraphs": ("One. And more.\n\nTwo.\n\n\nThree.", "paragraph", 3),
    "sentences": ("Read it. Is it so? Then say yes!", "sentence", 3),
    "abbreviations": ("Use a word, e.g. Yes or no, i.e. One of two. Then stop.", "sentence", 2),
    "an option at the end of a sentence": ("Answer A. Then B.", "sentence", 2),
    "quotes": ('Say "yes." Then stop.', "sentence", 2),
    "wrapped text": ("Read the whole\ntext first. Then\nanswer.", "sentence", 2),
    "lines that are sentences": ("Read the text:\nAnswer yes or no\nStop", "sentence", 3),
    "without spaces": ("まず読む。次に答える。", "sentence", 2),
    "a single one": ("Say yes or no", "sentence", 1),
    "a fence": ("Do it.\n\n```\n# no heading\n\n- no item\n```\n\nStop.", "paragraph", 3),
}


@pytest.mark.parametrize("name", CASES)
def test_kinds_and_counts(name: str) -> None:
    prompt, kind, count = CASES[name]
    sections = cut(prompt)
    assert {section.kind for section in sections} == {kind}
    assert len(sections) == count, [section.text for section in sections]
    assert [section.number for section in sections] == list(range(count))


@pytest.mark.parametrize("name", CASES)
def test_sections_put_together_are_the_prompt(name: str) -> None:
    prompt = CASES[name][0]
    sections = cut(prompt)
    assert "".join(section.text for section in sections) == prompt
    assert joined(sections) == prompt.strip()
    assert all(section.text.strip() for section in sections)


def test_any_text_is_cut_without_loss() -> None:
    stream = random.Random(3)
    pieces = [
        "# A\n",
        "- x\n",
        "  y\n",
        "Say it. ",
        "No! ",
        "\n\n",
        "```\n",
        "**B**\n",
        "e.g. ",
        "\t",
        "é。",
        "1. z\n",
        "===\n",
    ]
    for _ in range(3000):
        prompt = "".join(stream.choices(pieces, k=stream.randint(1, 12)))
        sections = cut(prompt)
        assert "".join(one.text for one in sections) == (prompt if prompt.strip() else "")
        assert all(one.text.strip() for one in sections)


def test_without_and_only_are_complementary() -> None:
    sections = cut("One. Two. Three.")
    assert without(sections, {1}) == "One. Three."
    assert only(sections, {1}) == "Two."
    assert only(sections, {0, 2}) == without(sections, {1})
    assert without(sections, {0, 1, 2}) == ""


def test_nothing_has_no_sections() -> None:
    assert cut("  \n\n ") == ()


def test_a_section_of_a_list_keeps_its_heading_when_the_rest_is_left_out() -> None:
    sections = cut("# Rules\n- a\n- b")
    assert without(sections, {1}) == "# Rules\n- a"


def test_sentences_are_trimmed() -> None:
    assert sentences("- Never x.\n- Always y. Then z.\n") == ("- Never x.", "- Always y.", "Then z.")
