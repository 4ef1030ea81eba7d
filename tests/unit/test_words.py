"""Templates and packs."""

from __future__ import annotations

import pytest

from nullgrad.core.task import LAYOUTS
from nullgrad.core.words import PIECES, STAGES, Template, TemplateError
from nullgrad.edges.packs import PACKS, load_pack, parse_words
from nullgrad.errors import UserError


def test_substitution_is_one_pass() -> None:
    template = Template.parse("{a} and {b}, {{literal}}", ("a", "b"))
    assert template.render({"a": "{b}", "b": "{a} {{x}}"}) == "{b} and {a} {{x}}, {literal}"


@pytest.mark.parametrize("text", ["{undeclared}", "{", "}", "a { b", "{a"])
def test_bad_templates(text: str) -> None:
    with pytest.raises(TemplateError):
        Template.parse(text, ("a",))


def test_braces_and_template_syntax_in_data_pass_through() -> None:
    nasty = "{prompt} {{format}} {% raw %} ${x} %s \\1 {0}"
    for layout in LAYOUTS.values():
        messages = layout.render(nasty, nasty, nasty)
        assert sum(message.content.count(nasty) for message in messages) == 3


@pytest.mark.parametrize("name", PACKS)
def test_packs_are_complete(name: str) -> None:
    pack = load_pack(name)
    assert set(pack.words) == {*STAGES, *PIECES}
    for stage in STAGES:
        assert "prompt" in pack[stage].variables
    assert pack["one-step"].variables >= {"prompt", "examples"}
    assert pack["gradient-output"].variables >= {"input", "output", "evaluation"}
    assert pack["gradient-prompt"].variables >= {"change"}
    assert pack["gradient-update"].variables >= {"prompt", "changes"}
    assert pack["evaluation-label"].variables >= {"expected"}
    assert "evaluation" in pack["example"].variables


GOOD = "---\nvariables: [prompt]\nreply: text\n---\n# user\n{prompt}\n"


@pytest.mark.parametrize(
    "source",
    [
        "no front matter",
        GOOD.replace("{prompt}", "{promt}"),
        GOOD.replace("reply: text", "reply: novel"),
        GOOD.replace("reply: text", "reply: text\nstopp: [x]"),
        GOOD.replace("# user\n", ""),
        GOOD.replace("[prompt]", "[prompt, unused]"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(source: str) -> None:
    parse_words("x", GOOD)
    with pytest.raises(UserError):
        parse_words("x", source)
