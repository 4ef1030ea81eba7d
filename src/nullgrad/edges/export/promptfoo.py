"""Configurations of promptfoo: prompts as chats, the model as a provider, the sealed test as tests with assertions.

promptfoo renders texts with Nunjucks: those of prompts are quoted here, those of variables it puts in as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from nullgrad.core.chat import MessageRole, Sampling
from nullgrad.core.task import Example, Task, layout
from nullgrad.edges.export.values import plain

GATEWAY = "http://127.0.0.1:8123/v1"
"""Where a model that promptfoo has no provider for is served by `nullgrad gateway`."""

CONFIG = "promptfooconfig.yaml"
"""The file that promptfoo looks for."""

MADE_BY = "# Made by nullgrad"
"""How a configuration of ours begins."""

_INPUT = "\x00input\x00"
_MARK = re.compile(r"\{[{%#]")
_FILLED = re.compile(r"\{\{\s*(?:input|target)\s*\}\}")
_LOADED = ("file://", "package:")
# Literal text and white space alone: with more around the group, the right answer could match inside a longer one.
_LITERAL = r"(?:[^\\.*+?^$|(){}\[\]]|\\[^\w]|\\s[*+?]?)+"
_ONE_GROUP = re.compile(rf"(?P<before>{_LITERAL})\((?P<group>(?!\?)[^()]*)\)(?P<after>{_LITERAL})")
_OFFICIAL = "https://api.openai.com/v1"

_STRICTER = (
    "`equals` is stricter than nullgrad's scorer {kind}, which also takes the right answer in other letter case, in quotes or with a "
    "full stop: promptfoo may count less as right, and never more."
)
_LOOSER = (
    "`icontains` looks for characters and nullgrad's scorer contains for whole words: where a label stands inside another word "
    "the two may differ."
)
_SEARCHED = (
    "`regex` passes wherever the right answer stands in the pattern's place; nullgrad's scorer reads the last match of the pattern "
    "alone, so that the two may differ where a reply has several."
)
_NONE = (
    "promptfoo has no assertion like nullgrad's scorer {kind}, so that none is written: the right answer is the variable "
    "`target`, and an assertion over it is yours to add."
)


def bare_config(report: Mapping[str, Any], prompt: str) -> str:
    """One file with one prompt and an empty test, from a result alone."""
    provider, notes = provider_of(str(report["models"]["generator"]))
    value = {
        "description": f"{report['task']}: prompt of nullgrad run {report['run']}",
        "prompts": [{"label": "nullgrad", "raw": chat_of(report, prompt)}],
        "providers": [provider],
        "tests": [{"vars": {"input": "Put an input here."}}],
    }
    return _commented(notes) + _yaml(value)


def config_files(
    report: Mapping[str, Any], task: Task, sampling: Sampling, endpoint: str = ""
) -> dict[str, str]:
    """The files of a whole comparison, by name: the configuration, a chat for each prompt, the tests.

    Args:
        report: of an optimization.
        task: its task, whose sealed test becomes the tests.
        sampling: what the user set for the generator.
        endpoint: address of the generator's endpoint, "" for the official one or none.
    """
    prompts = {"seed": str(report["seed_prompt"]), "best": str(report["best_prompt"])}
    if prompts["best"] == prompts["seed"]:
        del prompts["best"]
    provider, notes = provider_of(str(report["models"]["generator"]), sampling, endpoint)
    shared, own, about = _assertions(task)
    tests = [_test(example, own(example)) for example in task.test]
    filled = sum(bool(_FILLED.search(example.input)) for example in task.test)
    if filled:
        notes = [*notes, f"{filled} inputs hold {{{{input}}}} or {{{{target}}}}, which promptfoo fills in."]
    value: dict[str, Any] = {
        "description": f"{report['task']}: prompts of nullgrad run {report['run']}",
        "prompts": [{"id": f"file://{name}.json", "label": name} for name in prompts],
        "providers": [provider],
    }
    if shared:
        value["defaultTest"] = {"assert": shared}
    value["tests"] = "file://tests.yaml"
    simulated = ", ".join(report["simulated"])
    notes = [
        f"{MADE_BY[2:]} {report['nullgrad']} from run {report['run']}. The tests are the sealed test of the task: a prompt that is "
        "chosen by them has no unseen test left.",
        *([f"Simulation: {simulated} is no real model."] if simulated else []),
        *notes,
        about,
    ]
    return {
        CONFIG: _commented(notes) + _yaml(value),
        **{f"{name}.json": chat_of(report, prompt, indent=2) + "\n" for name, prompt in prompts.items()},
        "tests.yaml": _yaml(tests),
    }


def chat_of(report: Mapping[str, Any], prompt: str, indent: int | None = None) -> str:
    """The messages of a forward call as JSON, the variable `input` where the example stands."""
    parts: list[tuple[MessageRole, str]] = [(part["role"], str(part["text"])) for part in report["layout"]]
    chat = []
    for message in layout(*parts).render(prompt, str(report["format"]), _INPUT):
        content = "{{input}}".join(_quoted(piece) for piece in plain(message.content).split(_INPUT))
        chat.append({"role": message.role, "content": content})
    return json.dumps(chat, ensure_ascii=False, indent=indent)


def _quoted(text: str) -> str:
    """A text that Nunjucks gives back as it is."""
    if not _MARK.search(text):
        return text
    if "raw" in text:
        # The text may hold the very marks of a quotation.
        return _MARK.sub(lambda mark: f'{{{{ "{mark[0]}" }}}}', text)
    return f"{{% raw %}}{text}{{% endraw %}}"


def provider_of(
    model: str, sampling: Sampling | None = None, endpoint: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """promptfoo's provider of a model as nullgrad names it, and what has to be said of it."""
    drawn = sampling or Sampling()
    # Without it promptfoo sends temperature 0 and 1024 tokens where nothing is set.
    config: dict[str, Any] = {"omitDefaults": True}
    for name in ("temperature", "top_p", "max_tokens"):
        if (value := getattr(drawn, name)) is not None:
            config[name] = value
    notes: list[str] = []
    kind, _, name = model.partition("/")
    if kind == "openai" and name:
        if endpoint.startswith(("http://", "https://")) and endpoint != _OFFICIAL:
            config["apiBaseUrl"] = endpoint
        elif endpoint and endpoint != _OFFICIAL:
            notes.append(f"The endpoint is known as {endpoint}: give its address as apiBaseUrl.")
    else:
        name = model
        config["apiBaseUrl"] = GATEWAY
        notes.append(
            f"promptfoo has no provider for {model}. Serve it with: nullgrad gateway --model {model} --any-model --port 8123, and set "
            "OPENAI_API_KEY to the generator's key that it prints."
        )
    return {"id": f"openai:chat:{name}", "config": config}, notes


def _assertions(task: Task) -> tuple[list[dict[str, Any]], Any, str]:
    """Assertions of every test, a function from an example to its own, and a sentence on how they differ from the scorer."""
    spec = json.loads(task.view.scorer.spec)
    kind, labels = str(spec["kind"]), task.view.labels

    def nothing(_: Example) -> list[dict[str, Any]]:
        return []

    if kind in ("exact", "normalized"):
        return [{"type": "equals", "value": "{{target}}"}], nothing, _STRICTER.format(kind=kind)
    if kind == "contains":
        return [], lambda example: _contained(example.target, labels), _LOOSER
    targets = [example.target for example in task.test]
    if kind == "regex" and not labels and (halves := _halves(spec["options"], targets)) is not None:
        before, after = halves
        return (
            [],
            lambda example: [{"type": "regex", "value": _quoted(before + _escaped(example.target) + after)}],
            _SEARCHED,
        )
    return [], nothing, _NONE.format(kind=kind)


def _contained(target: str, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The right label occurs and no other does; one inside the right one cannot be forbidden."""
    others = [label for label in labels if label != target and label.casefold() not in target.casefold()]
    return [
        {"type": "icontains", "value": _quoted(target)},
        *({"type": "not-icontains", "value": _quoted(label)} for label in others),
    ]


def _halves(options: Mapping[str, Any], targets: Sequence[str]) -> tuple[str, str] | None:
    """A pattern before and behind its only group, None where an answer in the group's place would not mean the same."""
    match = _ONE_GROUP.fullmatch(str(options.get("pattern", "")))
    if match is None or options.get("flags"):
        return None
    read = all(re.fullmatch(match["group"], target) for target in targets)
    return (match["before"], match["after"]) if read else None


def _escaped(text: str) -> str:
    """A text that a pattern of JavaScript matches literally; Python's own escaping quotes more than JavaScript allows."""
    return re.sub(r"[.*+?^${}()|\[\]\\/]", r"\\\g<0>", text)


def _test(example: Example, own: list[dict[str, Any]]) -> dict[str, Any]:
    text = plain(example.input)
    # promptfoo would load a file of that name; a blank in front keeps it a text.
    text = f" {text}" if text.startswith(_LOADED) else text
    value: dict[str, Any] = {
        "description": example.id,
        "vars": {"input": text, "target": plain(example.target)},
    }
    return {**value, "assert": own} if own else value


def _commented(notes: Sequence[str]) -> str:
    return "".join(f"# {' '.join(plain(note).split())}\n" for note in notes)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
