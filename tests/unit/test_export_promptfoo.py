"""Configurations of promptfoo: what is sent is what nullgrad sends, and no assertion passes what the scorer calls wrong."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from nullgrad.core.chat import Message, Sampling
from nullgrad.core.scoring import make_scorer
from nullgrad.core.task import LAYOUTS, Example, Layout, Task, UnparsedAnswer, layout
from nullgrad.edges.export.promptfoo import CONFIG, MADE_BY, bare_config, chat_of, config_files, provider_of
from tests.support.trials import make_task

LABELS = ("up", "down", "upside down")


def report(layout_: Layout, **more: Any) -> dict[str, Any]:
    return {
        "nullgrad": "0", "run": "0123456789abcdef", "task": "small", "models": {"generator": "openai/gpt-4o-mini"},
        "simulated": [], "seed_prompt": "Say yes or no.", "best_prompt": "Think; then say yes or no.",
        "format": "Answer with one word.",
        "layout": [{"role": role, "text": template.text} for role, template in layout_.messages], **more,
    }  # fmt: skip


def nunjucks(text: str, values: dict[str, str]) -> str:
    """What Nunjucks makes of the few marks that are written here: quotations, literal texts and variables."""
    out, rest = "", text
    while rest:
        if rest.startswith("{% raw %}"):
            inside, _, rest = rest.removeprefix("{% raw %}").partition("{% endraw %}")
            assert "raw %}" not in inside, "a quotation in a quotation would end elsewhere"
            out += inside
        elif match := re.match(r'\{\{ "(\{.)" \}\}', rest):
            out, rest = out + match[1], rest[match.end() :]
        elif match := re.match(r"\{\{(\w+)\}\}", rest):
            out, rest = out + values[match[1]], rest[match.end() :]
        else:
            assert not re.match(r"\{[{%#]", rest), f"a mark is left in {rest[:40]!r}"
            out, rest = out + rest[0], rest[1:]
    return out


def sent(chat: str, input_: str) -> tuple[Message, ...]:
    """The messages that promptfoo sends: the chat is JSON, each of its strings a template."""
    return tuple(
        Message(one["role"], nunjucks(one["content"], {"input": input_})) for one in json.loads(chat)
    )


ODD = (
    "", "Plain.", "Mood {{x}} {% y %} {# z #}?", "{{{x}}}", "{% raw %} unclosed", "raw {{ x }} {% endraw %}", 'quote " and \\n',
    "{", "}}", "{input}", "{{input}}", "two\nlines", "ünï 😀",
)  # fmt: skip


@pytest.mark.parametrize("named", ["system-user", "user"])
@pytest.mark.parametrize("prompt", ODD)
def test_the_messages_are_nullgrads_own(named: str, prompt: str) -> None:
    for input_ in ("an input", '{"a": {{b}}} "q"\nnext'):
        value = report(LAYOUTS[named])
        expected = LAYOUTS[named].render(prompt, value["format"], input_)
        assert sent(chat_of(value, prompt), input_) == expected


def test_random_prompts_are_quoted() -> None:
    stream = random.Random(7)
    pieces = ["{{", "}}", "{%", "%}", "{#", "#}", "raw", "endraw", " ", "{", "x", '"', "\\", "\n"]
    for _ in range(2000):
        prompt = "a" + "".join(stream.choices(pieces, k=stream.randrange(9))) + "z"
        value = report(LAYOUTS["system-user"])
        assert sent(chat_of(value, prompt), "i") == LAYOUTS["system-user"].render(
            prompt, value["format"], "i"
        )


def test_a_layout_with_braces_of_its_own() -> None:
    own = layout(("user", "Form: {{a}}\n{prompt} {format}"), ("assistant", "Now {input} {input}"))
    assert sent(chat_of(report(own), "P"), "i") == own.render("P", "Answer with one word.", "i")


def files_of(task: Task, **more: Any) -> dict[str, Any]:
    value = report(task.view.layout, **more)
    files = config_files(value, task, Sampling(0.5, None, 64))
    return {name: text if name == CONFIG else yaml.safe_load(text) for name, text in files.items()}


def test_the_whole_comparison() -> None:
    task = make_task(test=6)
    files = files_of(task, simulated=["sim:null"])
    assert list(files) == [CONFIG, "seed.json", "best.json", "tests.yaml"]
    text = files[CONFIG]
    config = yaml.safe_load(text)
    assert (
        text.startswith(MADE_BY)
        and "Simulation: sim:null is no real model." in text
        and "sealed test" in text
    )
    assert [one["id"] for one in config["prompts"]] == ["file://seed.json", "file://best.json"]
    assert config["providers"] == [
        {
            "id": "openai:chat:gpt-4o-mini",
            "config": {"omitDefaults": True, "temperature": 0.5, "max_tokens": 64},
        }
    ]
    assert config["tests"] == "file://tests.yaml"
    assert [(one["description"], one["vars"]) for one in files["tests.yaml"]] == [
        (one.id, {"input": one.input, "target": one.target}) for one in task.test
    ]
    assert files["best.json"][0]["content"].startswith("Think; then say yes or no.")


def test_a_prompt_that_was_kept_stands_there_once() -> None:
    files = files_of(make_task(), best_prompt="Say yes or no.")
    assert "best.json" not in files
    assert len(yaml.safe_load(files[CONFIG])["prompts"]) == 1


@pytest.mark.parametrize(
    ("model", "endpoint", "id_", "base", "said"),
    [
        ("openai/gpt-4o-mini", "", "openai:chat:gpt-4o-mini", None, ""),
        ("openai/gpt-4o-mini", "https://api.openai.com/v1", "openai:chat:gpt-4o-mini", None, ""),
        ("openai/org/m", "http://127.0.0.1:9/v1", "openai:chat:org/m", "http://127.0.0.1:9/v1", ""),
        ("openai/m", "our-server", "openai:chat:m", None, "apiBaseUrl"),
        ("local:smollm2-135m", "", "openai:chat:local:smollm2-135m", "http://127.0.0.1:8123/v1", "gateway --model local:"),
        ("sim:null?rho=1", "", "openai:chat:sim:null?rho=1", "http://127.0.0.1:8123/v1", "gateway --model sim:null"),
        ("litellm/anthropic/c", "", "openai:chat:litellm/anthropic/c", "http://127.0.0.1:8123/v1", "gateway"),
    ],
)  # fmt: skip
def test_providers(model: str, endpoint: str, id_: str, base: str | None, said: str) -> None:
    provider, notes = provider_of(model, Sampling(), endpoint)
    assert provider["id"] == id_
    assert provider["config"].get("apiBaseUrl") == base
    assert provider["config"]["omitDefaults"] is True, "else promptfoo sends a temperature that nobody set"
    assert len(notes) == bool(said) and said in "".join(notes)


def judged(task: Task) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """Comments, assertions of every test, and the tests."""
    files = files_of(task)
    text = files[CONFIG]
    return text, yaml.safe_load(text).get("defaultTest", {}).get("assert", []), files["tests.yaml"]


def passes(assertion: dict[str, Any], values: dict[str, str], output: str) -> bool:
    """promptfoo's assertions as its documentation has them."""
    value = nunjucks(assertion["value"], values)
    match assertion["type"]:
        case "equals":
            return output == value
        case "icontains":
            return value.lower() in output.lower()
        case "not-icontains":
            return value.lower() not in output.lower()
        case "regex":
            return re.search(value, output) is not None
    raise AssertionError(assertion["type"])


def with_scorer(kind: str, targets: tuple[str, ...], labels: tuple[str, ...] = (), **options: Any) -> Task:
    task = make_task()
    scorer = make_scorer(kind, labels=labels, options=options)
    test = tuple(Example(f"t{number}", f"input {number}", target) for number, target in enumerate(targets))
    return replace(task, view=replace(task.view, scorer=scorer, labels=labels), test=test)


def wrongly_passed(task: Task, outputs: list[str]) -> list[tuple[str, str]]:
    """(target, output) that the assertions pass and the scorer calls wrong; at least one has to be passed rightly."""
    _, shared, tests = judged(task)
    scorer = task.view.scorer
    wrong, right = [], 0
    for example, test in zip(task.test, tests, strict=True):
        for output in outputs:
            if all(passes(one, test["vars"], output) for one in [*shared, *test.get("assert", [])]):
                answer = scorer.read(output)
                good = not isinstance(answer, UnparsedAnswer) and scorer.score(answer, example.target) == 1
                right += good
                wrong += [] if good else [(example.target, output)]
    assert right
    return wrong


def outputs_over(words: tuple[str, ...]) -> list[str]:
    """Every reply of up to three words, bare and dressed."""
    bare = [" ".join(one) for size in (1, 2, 3) for one in itertools.product(words, repeat=size)]
    return [form.format(one) for one in bare for form in ("{}", "{}.", '"{}"', "Answer: {}", "{}\n")]


@pytest.mark.parametrize("kind", ["exact", "normalized"])
@pytest.mark.parametrize("labels", [(), LABELS])
def test_equals_passes_nothing_that_is_wrong(kind: str, labels: tuple[str, ...]) -> None:
    task = with_scorer(kind, LABELS, labels)
    assert wrongly_passed(task, outputs_over(("up", "down", "upside", "Up"))) == []
    assert "stricter" in judged(task)[0]


def test_contains_differs_inside_words_alone() -> None:
    task = with_scorer("contains", LABELS, LABELS)
    wrong = wrongly_passed(task, outputs_over(("up", "down", "upside", "not", "DOWN")))
    # That "upside" is no "up", and that "upside down" is neither of its words, is what promptfoo cannot see.
    assert all(not re.search(rf"(?<!\w){target}(?!\w)", output, re.IGNORECASE) or "upside down" in output.lower()
               for target, output in wrong), wrong  # fmt: skip
    _, _, tests = judged(task)
    assert [one["type"] for one in tests[0]["assert"]] == ["icontains", "not-icontains", "not-icontains"]
    assert [one["value"] for one in tests[2]["assert"]] == ["upside down"], "up and down stand inside it"


@pytest.mark.parametrize("pattern", [r"<answer>(.*?)</answer>", r"Answer:\s*([\w+]+)\.", r"\[(\S+)\]"])
def test_a_pattern_around_the_answer_passes_nothing_that_is_wrong(pattern: str) -> None:
    task = with_scorer("regex", ("4", "a+b", "yes"), pattern=pattern)
    forms = ("<answer>{}</answer>", "Answer: {}.", "[{}]", "{}")
    outputs = [form.format(one) for form in forms for one in ("4", "14", "42", "a+b", "aab", "yes", "yess")]
    assert wrongly_passed(task, outputs) == []
    assert judged(task)[2][0]["assert"][0]["type"] == "regex"


@pytest.mark.parametrize(
    "options",
    [
        {"pattern": r"(\d+)"}, {"pattern": r".*(\d+)x"}, {"pattern": r"a(?:\d)c"}, {"pattern": r"a(\d)c", "flags": "i"},
        {"pattern": r"x(\d)(b)y"}, {"pattern": r"x(a)y"}, {"pattern": r"x(\d)+y"}, {"pattern": r"\b(\d)\b"}, {"pattern": r"q(\d)y|z"},
    ],
)  # fmt: skip
def test_a_pattern_that_would_mean_something_else_is_declared(options: dict[str, str]) -> None:
    text, shared, tests = judged(with_scorer("regex", ("4",), **options))
    assert not shared and all("assert" not in test for test in tests)
    assert "no assertion like nullgrad's scorer regex" in text


@pytest.mark.parametrize(
    ("kind", "targets", "labels"),
    [("number", ("4",), ()), ("choice", ("A",), ("A", "B")), ("bbeh", ("4",), ())],
)
def test_a_scorer_that_promptfoo_does_not_have_is_declared(
    kind: str, targets: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    text, shared, tests = judged(with_scorer(kind, targets, labels))
    assert not shared and all("assert" not in test for test in tests)
    assert f"no assertion like nullgrad's scorer {kind}" in text
    assert tests[0]["vars"]["target"] == targets[0]


def test_no_input_makes_promptfoo_load_a_file() -> None:
    task = make_task()
    inputs = ("file:///etc/hostname", "package:x", "see file://x", "{{input}} {{ target }}", "half \ud83d")
    test = tuple(Example(f"t{number}", text, "yes") for number, text in enumerate(inputs))
    files = files_of(replace(task, test=test))
    texts = [one["vars"]["input"] for one in files["tests.yaml"]]
    assert texts[:3] == [" file:///etc/hostname", " package:x", "see file://x"]
    assert texts[4] == "half \\ud83d"
    assert "1 inputs hold" in files[CONFIG]


def test_one_file_with_one_prompt() -> None:
    value = report(LAYOUTS["system-user"], models={"generator": "local:smollm2-135m"})
    text = bare_config(value, "Say {{it}}.")
    config = yaml.safe_load(text)
    assert sent(config["prompts"][0]["raw"], "i")[0].content == "Say {{it}}.\n\nAnswer with one word."
    assert "# promptfoo has no provider for local:smollm2-135m" in text
