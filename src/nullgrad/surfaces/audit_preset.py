"""`nullgrad run` and `nullgrad plan` of a preset that is an audit: the same options, handed to `nullgrad audit`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import click

_PASSED = (
    "judge_model", "base_url", "endpoint_name", "concurrency", "max_calls", "max_usd", "ledger", "out",
)  # fmt: skip
_FLAGS = {"no_seed": "--no-seed", "as_json": "--json", "quiet": "--quiet"}


def run_audit_preset(options: Mapping[str, Any], *, dry: bool = False) -> int | None:
    """The exit code of the audit that a preset means; None where the study is no such preset.

    Args:
        options: of `nullgrad run` or `nullgrad plan`.
        dry: whether to forecast and stop.

    Raises:
        UserError: an option that only a study has, or no or several models.
    """
    from nullgrad.api import audit_presets
    from nullgrad.surfaces.commands.audit import command

    if options["study"] not in audit_presets():
        return None
    arguments = audit_arguments(options)
    if dry:
        arguments.append("--dry-run")
    if not options.get("quiet") and not options.get("as_json"):
        click.echo(f"{options['study']} is: nullgrad audit {shlex.join(arguments)}", err=True)
    with command.make_context("nullgrad audit", arguments) as context:
        code: int = command.invoke(context)
    return code


def audit_arguments(options: Mapping[str, Any]) -> list[str]:
    """What `nullgrad audit` is given.

    Raises:
        UserError: see `run_audit_preset`.
    """
    from nullgrad.api import audit_preset
    from nullgrad.errors import UserError

    preset = audit_preset(options["study"])
    for name, given in (
        ("--scale", options["scale"] != 1.0),
        ("--sequential", options["sequential"] is not None),
        ("--pilot", bool(options.get("pilot"))),
        ("--optimizer-model", options["optimizer_model"] is not None),
        ("--critic-model", options["critic_model"] is not None),
    ):
        if given:
            raise UserError(
                f"{preset.name} audits one prompt, and {name} is for studies of arms.",
                "Nothing was run.",
                f"Leave out {name}.",
            )
    models, tasks = options["models"], options["tasks"]
    if len(models) != 1 or len(tasks) > 1:
        what = f"{len(models)} models" if len(models) != 1 else f"{len(tasks)} tasks"
        raise UserError(
            f"{preset.name} audits one prompt of one task with one model, and {what} were given.",
            "Nothing was run.",
            "Give one --model, and at most one --task.",
        )
    temperature, top_p, limit = preset.sampling
    found = [tasks[0] if tasks else preset.task, "--before", preset.before, "--after", preset.after]
    found += ["--model", models[0].partition("=")[2] if _named(models[0]) else models[0]]
    found += ["--sections", "--repeats", str(preset.repeats)]
    found += ["--temperature", f"{temperature:g}", "--top-p", f"{top_p:g}", "--max-completion", str(limit)]
    for name in _PASSED:
        if options.get(name) is not None:
            found += [f"--{name.replace('_', '-')}", str(options[name])]
    if options["max_total_tokens"] is not None:
        found += ["--max-tokens", str(options["max_total_tokens"])]
    return found + [flag for name, flag in _FLAGS.items() if options.get(name)]


def _named(model: str) -> bool:
    """Whether a model is given as NAME=MODEL."""
    name, equals, _ = model.partition("=")
    return bool(equals) and not any(mark in name for mark in "/:")
