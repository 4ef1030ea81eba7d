"""A reported prompt in the forms that other tools read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FORMATS = ("text", "json", "markdown", "promptfoo", "dspy")


def export(report: Mapping[str, Any], form: str, which: str = "best") -> str:
    """The prompt of a report.

    Args:
        report: what `OptimizeResult.to_dict` gives.
        form: one of `FORMATS`.
        which: `best` or `seed`.
    """
    prompt = str(report[f"{which}_prompt"])
    return {
        "text": _text,
        "json": _json,
        "markdown": _markdown,
        "promptfoo": _promptfoo,
        "dspy": _dspy,
    }[form](report, prompt)


def _messages(report: Mapping[str, Any], prompt: str, input_: str) -> list[dict[str, str]]:
    """The layout's messages, the input left as `input_`; one pass, so that braces in the prompt stay."""
    values = {"{prompt}": prompt, "{format}": str(report["format"]), "{input}": input_}
    messages: list[dict[str, str]] = []
    for part in report["layout"]:
        content = ""
        rest = str(part["text"])
        while rest:
            for name, value in values.items():
                if rest.startswith(name):
                    content, rest = content + value, rest[len(name) :]
                    break
            else:
                double = rest.startswith(("{{", "}}"))
                content, rest = content + rest[0], rest[2 if double else 1 :]
        if content.strip():
            messages.append({"role": part["role"], "content": content.strip()})
    return messages


def _text(report: Mapping[str, Any], prompt: str) -> str:
    return f"{prompt}\n\n{report['format']}".strip() + "\n"


def _json(report: Mapping[str, Any], prompt: str) -> str:
    value = {
        "prompt": prompt,
        "format": report["format"],
        "messages": _messages(report, prompt, "{input}"),
        "recommendation": report["recommendation"],
        "test": report["test"],
        "task": report["task"],
        "models": report["models"],
        "run": report["run"],
        "nullgrad": report["nullgrad"],
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _markdown(report: Mapping[str, Any], prompt: str) -> str:
    test = report["test"]
    gain, interval = test["gain"]["points"], test["gain"]["ci95"]
    told = (
        "not estimable"
        if gain is None
        else f"{gain:+.1f} points (95 %: {interval[0]:.1f} to {interval[1]:.1f})"
    )
    lines = [
        f"# Prompt for {report['task']}",
        "",
        _fence(prompt),
        "",
        "The fixed format suffix:",
        "",
        _fence(str(report["format"])),
        "",
        f"Sealed test: seed {_share(test['seed'])}, this run's best {_share(test['best'])}, gain {told}. "
        f"Recommendation: {report['recommendation']}. {report['reason']}",
        "",
        f"Made by nullgrad {report['nullgrad']}, run {report['run']}, arm `{report['arm']}`, "
        + ", ".join(f"{role} `{name}`" for role, name in report["models"].items())
        + ".",
    ]
    if report["simulated"]:
        lines += ["", f"Simulation: {', '.join(report['simulated'])} is no real model."]
    return "\n".join(lines) + "\n"


def _share(score: Mapping[str, Any]) -> str:
    return "unknown" if score["score"] is None else f"{score['score']:.1%}"


def _fence(text: str) -> str:
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}text\n{text}\n{ticks}"


def _promptfoo(report: Mapping[str, Any], prompt: str) -> str:
    from nullgrad.api import promptfoo_config

    return promptfoo_config(report, prompt)


def _dspy(report: Mapping[str, Any], prompt: str) -> str:
    instructions = f"{prompt}\n\n{report['format']}".strip()
    return (
        f'"""Instructions for {report["task"]}, from nullgrad run {report["run"]}."""\n\n'
        "import dspy\n\n"
        f"INSTRUCTIONS = {instructions!r}\n\n"
        'signature = dspy.Signature("input -> answer", INSTRUCTIONS)\n'
        "program = dspy.Predict(signature)\n"
    )
