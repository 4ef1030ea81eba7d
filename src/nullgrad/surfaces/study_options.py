"""Options that `nullgrad plan` and `nullgrad run` share, and the study that they mean."""

from __future__ import annotations

from typing import Any

import click

from nullgrad.surfaces.options import ENDPOINT, SPENDING, roles, shared, spending_of

DECLARED = "declared"
"""`--sequential` without numbers."""

_OPTIONS = (
    click.argument("study", metavar="STUDY"),
    click.option(
        "--model",
        "-m",
        "models",
        multiple=True,
        help="Generator: openai/NAME, local:NAME-or-FILE.gguf, litellm/…, script:FILE; NAME=MODEL for one of several.",
    ),
    *roles()[1:],
    *ENDPOINT,
    click.option("--task", "tasks", multiple=True, help="Another task than the study's; may be repeated."),
    click.option(
        "--scale", type=float, default=1.0, show_default=True, help="Shrink trials and steps to this share."
    ),
    click.option("--trials", type=int, help="Trials of an arm at most; more go on with the same run."),
    click.option("--steps", type=int, help="Update steps of a trial at most."),
    click.option("--temperature", type=float, help="In place of the study's."),
    click.option("--optimizer-temperature", type=float, help="The optimizer's own."),
    click.option("--top-p", type=float, help="In place of the study's."),
    click.option("--max-completion", type=int, help="Limit of a reply in tokens, in place of the study's."),
    click.option(
        "--sequential",
        is_flag=False,
        flag_value=DECLARED,
        metavar="[N,N,…]",
        help="Look after these numbers of blocks and stop what is decided (alone: a third, two thirds and all).",
    ),
    *SPENDING,
)


study_options = shared(_OPTIONS)
"""Adds the argument STUDY and the options."""


def study_of(options: dict[str, Any]) -> Any:
    """The study that the options mean.

    Raises:
        UserError: it cannot be run as asked.
    """
    from nullgrad.api import SamplingEntry, Study, given_models

    return Study.from_file(
        options["study"],
        models=given_models(options["models"]),
        optimizer_model=options["optimizer_model"],
        critic_model=options["critic_model"],
        judge_model=options["judge_model"],
        base_url=options["base_url"],
        endpoint_name=options["endpoint_name"],
        send_seed=not options["no_seed"],
        tasks=options["tasks"],
        scale=options["scale"],
        trials=options["trials"],
        steps=options["steps"],
        sampling=SamplingEntry(
            options["temperature"],
            options["top_p"],
            options["max_completion"],
            options["optimizer_temperature"],
        ),
        sequential=_looks(options["sequential"]),
        concurrency=options["concurrency"],
        spending=spending_of(options),
    )


def _looks(text: str | None) -> bool | tuple[int, ...]:
    from nullgrad.errors import UserError

    if text is None or text == DECLARED:
        return text is not None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise UserError(
            f"--sequential is {text!r}.", "Nothing was run.", "Give numbers of blocks such as 6,12,30."
        )
    return tuple(map(int, parts))
