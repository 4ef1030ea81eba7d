"""Reading a prompt out of a reply: what cannot be read with certainty never becomes the prompt."""

from __future__ import annotations

import pytest

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.prompt import Parsed, Unparsed, parse_prompt

BLOCKS = [
    "Classify the text.",
    "Classify the text.\nBe careful.\n\n- one\n- two",
    # First words that would open a refusal or talk about the prompt.
    "Here is a customer message. Decide whether it is a complaint.",
    "Below is a review. Say whether it is positive.",
    "Okay, read the text twice, then answer.",
    "Sure signs of anger mean negative.",
    "Sorry-sounding messages are complaints, too.",
    "Sorry, but is not a complaint by itself: look for a cause.",
    "I'm sorry is what a customer may say. Decide whether it is ironic.",
    "Say whether the apology is sincere.",
    "I cannot read the message myself; tell me whether it is a complaint.",
    "You are an expert. I can't stress this enough: answer with one word.",
    "I'm sorry, but I can't help with that. Decide whether the reply above is a refusal.",
    "Great care is needed. Certainly not every question is a complaint.",
    "Here is the improved prompt: Classify.",
    "Sure! Classify the text.",
    "Instruction: Decide whether the text is positive.",
    "Let me know whether this is positive or negative.",
    "Classify the following text:",
    "As an AI trained on law, decide the case.",
    "Unfortunately, I often get spam. Is this spam?",
    "判断这条评论是正面还是负面。",
    "Use {braces} and `ticks`, <b>tags</b> and $x^2$ freely.",
    "Say yes or no",
    "positive or negative?",
]

GOOD = [
    *((f"<prompt>{block}</prompt>", block) for block in BLOCKS),
    *((f"Sure! Here it is:\n\n```text\n{block}\n```\nHope this helps.", block) for block in BLOCKS),
    *((f"I'm sorry for the delay.\n<PROMPT>\n\n{block}\n</Prompt> I cannot say more.", block) for block in BLOCKS),
    ("```\nClassify the text.\n```", "Classify the text."),
    ("  ```\nClassify the text.\n  ```  ", "Classify the text."),
    ("<prompt>Use ```fences``` and\n```\ncode\n```\nfreely.</prompt>", "Use ```fences``` and\n```\ncode\n```\nfreely."),
]  # fmt: skip

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I'm sorry, I can't do that.",
    "I’m sorry, but I can’t assist with this request.",
    "I am very sorry, but I cannot help with that.",
    "Sorry, I can't help with that!",
    "I cannot rewrite this prompt.",
    "I can't assist with that. Please let me know if I can help with something else.",
    "I'm sorry. I won't provide this.",
    "I apologize, but I cannot complete this request.",
    "As an AI, I must decline.",
    "I must decline.",
    "I'm sorry for the confusion, but I can't help with that.",
    "I'm unable to help with this request.",
    "I am not able to improve this instruction.",
    "Unfortunately, I can't create this. Is there anything else I can do?",
]

ANNOUNCEMENTS = [
    "Sure! Here is the improved instruction:",
    "Sure, here it is",
    "Certainly! Here's the new prompt:",
    "Of course.",
    "Okay, here goes:",
    "OK!",
    "Got it. Let me rewrite it.",
    "Great!",
    "Here is the improved instruction:",
    "Here's a better instruction: Decide if the text is positive.",
    "Here you go:",
    "Below is the revised prompt.",
    "The improved instruction is: Decide if the text is positive.",
    "The improved instruction is as follows:",
    "Improved instruction: Decide if the text is positive.",
    "**Improved Instruction:**",
    "**Improved instruction**",
    "# New prompt",
    "Instruction: Decide if the text is positive.",
    "Revised version (clearer):",
    "I've improved the instruction by adding detail.",
    "I would rewrite the instruction like this:",
    "Let me improve the instruction.",
    "As requested, here is the instruction:",
    "To improve the instruction, I added detail.",
    "Thank you for the examples.",
    "Yes, here is one:",
    "Understood.",
]

BAD = [
    ("", "empty"),
    ("   \n ", "empty"),
    *((refusal, "refusal") for refusal in REFUSALS),
    *((f"<prompt>{refusal}</prompt>", "refusal") for refusal in REFUSALS),
    *((f"```\n{refusal}\n```", "refusal") for refusal in REFUSALS),
    *((announcement, "no-block") for announcement in ANNOUNCEMENTS),
    ("Classify the text.", "no-block"),
    ("Sure! The new prompt is: Classify the text.", "no-block"),
    ("```\nNever closed", "no-block"),
    ("```Classify the text.```", "no-block"),
    ("<prompt>One two.</prompt><prompt>Three four.</prompt>", "several-blocks"),
    ("<prompt>The same.</prompt> or <prompt>The same.</prompt>", "several-blocks"),
    ("I put it between <prompt> and </prompt>:\n<prompt>One two.</prompt>", "several-blocks"),
    ("```\nOne two.\n```\nor\n```\nThree four.\n```", "several-blocks"),
    ("```\nDo this:\n```python\nx = 1\n```\nThen that.\n```", "several-blocks"),
    ("```\nOne two.\n```text\n", "several-blocks"),
    ("<prompt>Never closed", "several-blocks"),
    ("Never opened</prompt>", "several-blocks"),
    ("</prompt>Turned round<prompt>", "several-blocks"),
    ("<prompt>Nested <prompt>inner</prompt>", "several-blocks"),
    ("<prompt></prompt>", "empty"),
    ("<prompt>...</prompt>", "empty"),
    ("```\n\n```", "empty"),
    ("I put it between <prompt> and </prompt>.", "too-short"),
    ("<prompt>Here is the improved prompt:</prompt>", "preamble"),
    ("```\nImproved instruction:\n```", "preamble"),
    ("<prompt>yes</prompt>", "label"),
    ("<prompt>'Yes.'</prompt>", "label"),
    ("<prompt>Yes, no, yes.</prompt>", "label"),
    ("```\nno\n```", "label"),
]


def test_the_tables_are_what_they_claim_to_be() -> None:
    assert len(GOOD) + len(BAD) >= 100 and len({text for text, _ in [*GOOD, *BAD]}) == len(GOOD) + len(BAD)


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


LINES = [
    (" Decide if the text is positive.", "Decide if the text is positive."),
    ("- Decide if the text is positive.\nmore", "Decide if the text is positive."),
    ('1. "Decide if it is positive"', "Decide if it is positive"),
    ("\n\nDecide if it is positive.\n\nInstruction: another", "Decide if it is positive."),
    ("Is this positive?", "Is this positive?"),
    ("Classify the text:", "Classify the text:"),
    ("Sure signs of anger mean negative.", "Sure signs of anger mean negative."),
    ("Sorry-sounding texts are negative.", "Sorry-sounding texts are negative."),
    ("Greatly negative texts are negative.", "Greatly negative texts are negative."),
    ("Improved texts are positive.", "Improved texts are positive."),
    ("The final version of the text counts.", "The final version of the text counts."),
    ("判断这条评论是正面还是负面。", "判断这条评论是正面还是负面。"),
    ("Sure:\n<prompt>Decide if it is positive.</prompt>", "Decide if it is positive."),
]


@pytest.mark.parametrize(("text", "prompt"), LINES)
def test_a_line(text: str, prompt: str) -> None:
    assert parse_prompt(Reply(text, "stop"), "prompt-line", ("positive",)) == Parsed(prompt)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("positive", "label"),
        ("Positive.\nDecide if it is positive.", "label"),
        ("Good one", "too-short"),
        ("正面", "too-short"),
        ("!!!", "empty"),
        ("```\nDecide if it is positive.\n```", "empty"),
        ("Classify the text as follows:\n- positive\n- negative", "preamble"),
        ("**Think about this:**\nDecide if it is positive.", "preamble"),
        ("<prompt>Decide if", "several-blocks"),
        *((refusal, "refusal") for refusal in REFUSALS),
        *((announcement, "preamble") for announcement in ANNOUNCEMENTS),
        *((f"{one}\nDecide if the text is positive.", "preamble") for one in ANNOUNCEMENTS),
        *((f"{one}\n\n1. Decide if the text is positive.", "preamble") for one in ANNOUNCEMENTS),
    ],
)
def test_a_line_that_is_no_instruction(text: str, reason: str) -> None:
    found = parse_prompt(Reply(text, "stop"), "prompt-line", ("positive",))
    assert isinstance(found, Unparsed)
    assert (found.reason, found.text) == (reason, text)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", ["<prompt>", "```x\n", "I'm sorry. ", " ", "*", "Sure, ", "yes, ", "a"])
def test_degenerate_replies_are_read_in_linear_time(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    for reply in (text, f"<prompt>{text}</prompt>", f"```\n{text}\n```"):
        for form in ("prompt-line", "prompt-fenced"):
            parse_prompt(Reply(reply, "stop"), form, ("yes", "no"))
