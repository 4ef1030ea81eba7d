"""Options that `nullgrad plan` and `nullgrad run` share, and the study that they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

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
    click.option("--optimizer-model", help="Who proposes prompts [default: the generator's model]."),
    click.option("--critic-model", help="Who evaluates in critic arms [default: the generator's model]."),
    click.option("--judge-model", help="Who grades, for the scorer `judge` [default: the critic's model]."),
    click.option(
        "--base-url",
        help="Of an OpenAI-compatible endpoint [default: $OPENAI_BASE_URL, else the official one].",
    ),
    click.option("--endpoint-name", help="Name under which its replies are kept [default: the base URL]."),
    click.option("--no-seed", is_flag=True, help="Send no `seed`, for endpoints that refuse it."),
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
    click.option(
        "--concurrency", type=int, default=32, show_default=True, help="Calls in flight per model at most."
    ),
    click.option("--max-calls", type=int, help="Paid calls that the command may make."),
    click.option("--max-tokens", "max_total_tokens", type=int, help="Tokens that the command may pay for."),
    click.option("--max-usd", type=float, help="Dollars that the command may spend."),
)


def study_options(command: F) -> F:
    """Add the argument STUDY and the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def study_of(options: dict[str, Any]) -> Any:
    """The study that the options mean.

    Raises:
        UserError: it cannot be run as asked.
    """
    from nullgrad.api import SamplingEntry, Spending, Study, given_models

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
        spending=Spending(options["max_calls"], options["max_total_tokens"], options["max_usd"]),
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
