"""`nullgrad calibrate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nullgrad.surfaces.options import RESULT, shared

EXCEEDED = 1
"""Exit code where a declared rate of error is exceeded."""

EVERY = 5.0
"""Seconds between lines of progress."""


@click.command(name="calibrate")
@click.argument("optimizer", required=False, metavar="[OPTIMIZER]")
@click.option("--self", "own", is_flag=True, help="Test nullgrad's verdicts in worlds whose truth is known.")
@click.option("--validation", metavar="N,N,…", help="Validation examples to select on [default: 50,100,200].")
@click.option("--rho", metavar="R,R,…", help="Correlation of prompts on one example [default: 0,0.5,0.9].")
@click.option("--steps", metavar="N,N,…", help="Update steps of an arm [default: 1,5,10].")
@click.option(
    "--budget",
    metavar="Nx,…",
    help="Of a third party: calls for each validation example, or without x calls [default: 20x].",
)
@click.option(
    "--runs", type=int, help="Runs under each condition [default: 200, of a third party's optimizer 12]."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a third party: keep finished runs in this file, and go on from them.",
)
@click.option(
    "--size", help="Phantom gain to stay under [default: 1 point]; with --self ci or nightly [default: ci]."
)
@click.option("--studies", type=int, help="With --self: studies at the most trials, in each world.")
@click.option("--alpha", type=float, help="With --self: of each family [default: 0.05].")
@click.option("--world", "worlds", multiple=True, help="With --self: these worlds alone; may be repeated.")
@click.option("--full", is_flag=True, help="With --self: print every contrast and family as well.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--processes", type=int, help="At a time [default: one for each core].")
@shared(RESULT)
def command(**options: Any) -> int:
    """The A/A test of OPTIMIZER, an arm of nullgrad's or a third party's optimizer: what it claims where no prompt has
    any effect.

    With --self nullgrad itself is tested: hundreds of simulated studies in worlds of known truth, and how often its
    verdicts are wrong, or silent.

    \b
    nullgrad calibrate gradient/correct/validated@3
    nullgrad calibrate gepa --keep gepa.runs.jsonl
    nullgrad calibrate --self --size nightly
    Exit codes: 0 done, 1 (--self) a declared rate of error is exceeded, 2 your mistake.
    """
    from nullgrad.api import check_out
    from nullgrad.errors import UserError

    if options["out"] is not None:
        check_out(options["out"], only_results=True)
    if options["own"] == bool(options["optimizer"]):
        raise UserError(
            "calibrate needs an optimizer or --self, and not both."
            if options["own"]
            else "There is nothing to calibrate.",
            "Nothing was run.",
            "Write nullgrad calibrate gradient/correct/validated@3, or nullgrad calibrate --self.",
        )
    _check_options(options)
    return _self(options) if options["own"] else _optimizer(options)


_OF_SELF = ("studies", "alpha", "worlds", "full")
_OF_OPTIMIZER = ("validation", "rho", "steps", "budget", "runs", "keep")


def _check_options(options: dict[str, Any]) -> None:
    """An option of the other form would do nothing."""
    from nullgrad.errors import UserError

    for name in _OF_OPTIMIZER if options["own"] else _OF_SELF:
        if options[name] not in (None, (), False):
            option = "world" if name == "worlds" else name
            raise UserError(
                f"--{option} has no meaning {'with' if options['own'] else 'without'} --self.",
                "Nothing was run.",
                "Leave it out.",
            )
    if options["own"]:
        return
    from nullgrad.api.calibrate_foreign import is_foreign

    foreign = is_foreign(options["optimizer"])
    for name in ("steps",) if foreign else ("budget", "keep"):
        if options[name] is not None:
            raise UserError(
                f"--{name} has no meaning for {options['optimizer']}.",
                "Nothing was run.",
                "A third party's optimizer takes --budget and --keep, an arm of nullgrad's --steps.",
            )


def _self(options: dict[str, Any]) -> int:
    from nullgrad.api.calibrate import calibrate_self
    from nullgrad.errors import UserError
    from nullgrad.surfaces.calibrate_text import print_self

    size = options["size"] or "ci"
    if size not in ("ci", "nightly"):
        raise UserError(f"--size is {size!r}.", "Nothing was run.", "With --self give ci or nightly.")
    more = {name: options[name] for name in ("studies", "alpha", "worlds") if options[name] not in (None, ())}
    result = calibrate_self(
        size, seed=options["seed"], processes=options["processes"], progress=_progress(options), **more
    )
    _deliver(result, options, lambda: print_self(result.to_dict(), sys.stdout, full=options["full"]))
    return EXCEEDED if result.too_often_wrong else 0


def _optimizer(options: dict[str, Any]) -> int:
    from nullgrad.api.calibrate import calibrate_optimizer
    from nullgrad.surfaces.phantom_text import print_phantom

    more: dict[str, Any] = {}
    if options["validation"] is not None:
        more["validation"] = _numbers("--validation", options["validation"], int)
    if options["rho"] is not None:
        more["rho"] = _numbers("--rho", options["rho"], float)
    if options["steps"] is not None:
        more["budgets"] = _numbers("--steps", options["steps"], int)
    if options["budget"] is not None:
        more["budgets"] = options["budget"]
    if options["keep"] is not None:
        more["keep"] = options["keep"]
    if options["runs"] is not None:
        more["runs"] = options["runs"]
    if options["size"] is not None:
        more["size"] = _size(options["size"])
    result = calibrate_optimizer(
        options["optimizer"],
        seed=options["seed"],
        processes=options["processes"],
        progress=_progress(options),
        **more,
    )
    _deliver(result, options, lambda: print_phantom(result.to_dict(), sys.stdout))
    return 0


def _deliver(result: Any, options: dict[str, Any], show: Callable[[], None]) -> None:
    """Write the file first; no ledger keeps the result, and the same command makes it again."""
    from nullgrad.api import write_out

    if options["out"] is not None:
        write_out(
            options["out"],
            result.to_json() + "\n",
            "The result is not kept.",
            "Run the same command with another --out: it gives the same.",
        )
    if options["as_json"]:
        click.echo(result.to_json())
    else:
        show()


def _numbers(name: str, text: str, kind: Any) -> list[Any]:
    from nullgrad.errors import UserError

    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"{name} is {text!r}.",
            "Nothing was run.",
            "Give numbers with commas between them, such as 50,100.",
        ) from None


def _size(text: str) -> float:
    """`1 point`, `0.5 points`, or a bare number of points."""
    from nullgrad.errors import UserError

    number = text.removesuffix("s").removesuffix("point").strip()
    try:
        return float(number) / 100
    except ValueError:
        raise UserError(
            f"--size is {text!r}.", "Nothing was run.", "Give points, such as '1 point' or 0.5."
        ) from None


def _progress(options: dict[str, Any]) -> Any:
    """A line now and then on standard error, None when quiet."""
    if options["quiet"]:
        return None
    from nullgrad.surfaces.progress import duration

    began = time.monotonic()
    last = [0.0]

    def told(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if done == total or now - last[0] >= EVERY:
            last[0] = now
            left = (
                f", about {duration((now - began) / done * (total - done))} left" if 0 < done < total else ""
            )
            click.echo(f"{done}/{total} pieces ({what}){left}", err=True)

    return told
