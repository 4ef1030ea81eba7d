"""The command line: lazy commands, one line for every mistake, exit codes that scripts rely on."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

COMMANDS = {
    "optimize": "A better prompt, its sealed-test gain, and what the gain is made of.",
    "plan": "What a study will ask, cost and be able to tell.",
    "run": "Run or resume a study.",
    "report": "What a run found, as a page, pictures, tables, JSON, CSV or Parquet.",
    "compare": "Optimizers of any make at one budget, with label controls and honest gains.",
    "calibrate": "Test an optimizer, or nullgrad itself, where the truth is known.",
    "conformance": "Do the adapters of third-party optimizers do what they say?",
    "audit": "Is this prompt better, or has it learned the prior? Any two prompts.",
    "gateway": "An OpenAI-compatible server that meters, budgets and records any program.",
    "view": "A local page over a ledger: progress, prompts, every transcript.",
    "rate": "Blind rating of a run's prompts by people, on a local page.",
    "tasks": "List tasks, fetch them from their publishers.",
    "models": "List models and prices, fetch local weights.",
    "init": "Write a task file for your data.",
    "export": "An optimized prompt, or a run with its transcripts and figures, for other tools.",
    "verify": "Re-derive every hash and folded state of a ledger.",
}


class _Lazy(click.Group):
    """Knows the commands' names and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"nullgrad.surfaces.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(COMMANDS)}."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nullgrad", message="nullgrad %(version)s")
def cli() -> None:
    """Optimizes prompts for language models and tells what the improvement is made of.

    \b
    nullgrad optimize task.yaml --model openai/gpt-4o-mini
    nullgrad optimize data.csv --input text --target label --prompt "..." --model local:smollm2-135m
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    code = run(arguments)
    _let_go()
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done, 2 the user's mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.errors import NullgradError

    _open_streams()
    codecs.register_error("nullgrad", _escape)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nullgrad")
    try:
        code = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except NullgradError as error:
        _say(f"error: {error}")
        return error.exit_code
    except click.ClickException as error:
        # By its name: click before 8.2 does not have it, and shows the help itself.
        if type(error).__name__ == "NoArgsIsHelpError":
            click.echo(error.format_message())
            return 0
        what = " ".join(error.format_message().split())
        stop = "" if what.endswith((".", "?", "?)", "!")) else "."
        command = getattr(getattr(error, "ctx", None), "command_path", "nullgrad")
        _say(f"error: {what}{stop} Nothing was run. See {command} --help.")
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted: every reply that arrived is in the ledger; the same command goes on from there.")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone (`nullgrad … | head`): nothing is left to say, and no place to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _say(
            f"error: {error.strerror or error}{where}. The command stopped here. Check the path, its rights and the disk."
        )
        return 2


def _invoke(arguments: Sequence[str]) -> int:
    """Run a command; `Group.main` is not asked, for it turns a broken pipe into an exit code of its own."""
    try:
        with cli.make_context("nullgrad", list(arguments)) as context:
            value: Any = cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return value if isinstance(value, int) else 0


def _escape(error: UnicodeError) -> tuple[str, int]:
    """What the output's encoding cannot hold, as JSON writes it: never a crash, and `--json` stays JSON."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


def _open_streams() -> None:
    """Give a process that was started without an output (`>&-`) one that goes nowhere.

    Its number must not be free: the next file opened would take it, and whatever a library prints would go there.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _let_go() -> None:
    """Empty the outputs that can be written to; what another still holds goes nowhere.

    Python would try again at the end of the process, and replace the exit code by one of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(text: str) -> None:
    # There is nobody to tell where even that cannot be written; the exit code still says it.
    with contextlib.suppress(OSError):
        click.echo(" ".join(text.split()), err=True)


if __name__ == "__main__":
    main()
