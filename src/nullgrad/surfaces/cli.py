"""The command line: lazy commands, one line for every mistake, exit codes that scripts rely on."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

import click

COMMANDS = {
    "optimize": "A better prompt, its sealed-test gain, and what the gain is made of.",
    "tasks": "List tasks, fetch them from their publishers.",
    "models": "List models and prices, fetch local weights.",
    "init": "Write a task file for your data.",
    "export": "Write an optimized prompt for other tools.",
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
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done, 2 the user's mistake, 3 the endpoint's failure, 4 a budget reached, 130 interrupted.
    """
    from nullgrad.errors import NullgradError

    for stream in (sys.stdout, sys.stderr):
        # A model's reply may hold what the terminal's encoding cannot: shown escaped, never a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        value: Any = cli.main(args=arguments, prog_name="nullgrad", standalone_mode=False)
        sys.stdout.flush()
    except NullgradError as error:
        _say(f"error: {error}")
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        _say(f"error: {' '.join(error.format_message().split())} Nothing was run. See nullgrad --help.")
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
    return value if isinstance(value, int) else 0


def _say(text: str) -> None:
    click.echo(" ".join(text.split()), err=True)


if __name__ == "__main__":
    main()
