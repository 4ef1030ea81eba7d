"""Options that several commands share, in groups, and what they mean to `api`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nullgrad.api import Spending

F = TypeVar("F", bound=Callable[..., Any])
Group = tuple[Callable[[Any], Any], ...]

GENERATOR = "Generator: openai/NAME, local:NAME-or-FILE.gguf, litellm/…, script:FILE."
PROPOSES = "Who proposes prompts [default: the generator's model]."
EVALUATES = "Who evaluates in critic arms [default: the generator's model]."
GRADES = "Who grades, for the scorer `judge` [default: the critic's model]."


def shared(*groups: Group) -> Callable[[F], F]:
    """Add groups of options to a command, in this order."""

    def add(command: F) -> F:
        for option in reversed([one for group in groups for one in group]):
            command = option(command)
        return command

    return add


def roles(
    generator: str = GENERATOR,
    *,
    optimizer: str | None = PROPOSES,
    critic: str | None = EVALUATES,
    judge: str = GRADES,
) -> Group:
    """A model for each role, by what its help says; None for a role that the command has not."""
    others = (("--optimizer-model", optimizer), ("--critic-model", critic), ("--judge-model", judge))
    return (
        click.option("--model", "-m", required=True, help=generator),
        *(click.option(name, help=text) for name, text in others if text is not None),
    )


ENDPOINT: Group = (
    click.option(
        "--base-url",
        help="Of an OpenAI-compatible endpoint [default: $OPENAI_BASE_URL, else the official one].",
    ),
    click.option("--endpoint-name", help="Name under which its replies are kept [default: the base URL]."),
    click.option("--no-seed", is_flag=True, help="Send no `seed`, for endpoints that refuse it."),
    click.option("--concurrency", default=32, show_default=True, help="Calls in flight per model at most."),
)

SAMPLING: Group = (
    click.option("--temperature", type=float, help="Sent only if given."),
    click.option("--top-p", type=float, help="Sent only if given."),
    click.option(
        "--max-completion",
        "max_tokens",
        type=int,
        help="Limit of a reply in tokens; sent only if given.",
    ),
)

OPTIMIZER_TEMPERATURE: Group = (
    click.option("--optimizer-temperature", type=float, help="The optimizer's own [default: --temperature]."),
)

WORDS: Group = (
    click.option(
        "--words",
        type=click.Choice(["standard", "compact"]),
        help="Pack of words that own arms send to the optimizer [default: by its size].",
    ),
)

SPENDING: Group = (
    click.option("--max-calls", type=int, help="Paid calls that this command may make."),
    click.option("--max-tokens", "max_total_tokens", type=int, help="Tokens that this command may pay for."),
    click.option("--max-usd", type=float, help="Dollars that this command may spend."),
)

ON_FAILURE: Group = (
    click.option(
        "--on-failure",
        type=click.Choice(["missing", "suspend"]),
        default="missing",
        show_default=True,
        help="What becomes of a call that failed for good.",
    ),
)

LEDGER: Group = (
    click.option(
        "--ledger",
        type=click.Path(path_type=Path),
        help="Where replies are kept [default: .nullgrad/ledger.db].",
    ),
)

RESULT: Group = (
    click.option("--out", type=click.Path(path_type=Path), help="Write the result there as JSON."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output."),
    click.option("--quiet", is_flag=True, help="No progress."),
)

TASK: Group = (
    click.option("--input", help='For a data file: input column, or a template such as "{title}: {body}".'),
    click.option("--target", help="For a data file: the column of the right answer."),
    click.option("--prompt", help="The seed prompt; replaces the task file's."),
    click.option("--format", "format_", help="The fixed suffix that prescribes the form of the answer."),
    click.option(
        "--scorer",
        help="exact, normalized, contains, choice, number, labels, regex, judge or module:function.",
    ),
    click.option("--labels", help="Closed label set, separated by commas."),
    click.option("--split", help="Examples per split, such as 30/50/120."),
)


def asked(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Models, endpoint and sampling as `api` takes them, for the commands that have them, and options by name."""
    same = (
        "model", "optimizer_model", "critic_model", "judge_model", "base_url", "endpoint_name", "concurrency",
        "temperature", "optimizer_temperature", "top_p", "max_tokens",
    )  # fmt: skip
    found = {name: options[name] for name in (*same, *names) if name in options}
    return {**found, "send_seed": not options["no_seed"], "spending": spending_of(options)}


def spending_of(options: dict[str, Any]) -> Spending:
    """What the command may pay for."""
    from nullgrad.api import Spending

    return Spending(options["max_calls"], options["max_total_tokens"], options["max_usd"])


def task_overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Keys of a task file that the command line replaces.

    Raises:
        UserError: the split is written otherwise.
    """
    from nullgrad.errors import UserError

    found = {
        name: options[name] for name in ("input", "target", "prompt", "scorer") if options[name] is not None
    }
    if options["format_"] is not None:
        found["format"] = options["format_"]
    if options["labels"] is not None:
        found["labels"] = [label.strip() for label in options["labels"].split(",")]
    if options["split"] is not None:
        parts = options["split"].split("/")
        if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
            raise UserError(
                f"--split is {options['split']!r}.",
                "Nothing was run.",
                "Give three numbers of examples such as 30/50/120 (train/validation/test).",
            )
        found["split"] = dict(zip(("train", "validation", "test"), map(int, parts), strict=True))
    return found
