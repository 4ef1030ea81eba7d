"""Fills README.md and docs/ with what the commands in them print today.

A block that begins with `<!-- run: COMMAND -->` is followed by a fenced block, which is replaced by the command and
its output, standard error included. Commands run in one directory made for the purpose, in the order of the files.
docs/commands.md is made from the commands' own help. `--check` only compares docs/commands.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from click.testing import CliRunner

from nullgrad.surfaces.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parent.parent
FILES = ("README.md", "docs/tutorial.md", "docs/audit.md", "docs/simulated-worlds.md", "docs/calibrate.md")
BLOCK = re.compile(r"(<!-- run: (?P<command>.+?) -->\n)```text\n.*?```\n", re.DOTALL)


def commands_page() -> str:
    """docs/commands.md."""
    parts = ["# The commands", "", "Made from the commands' own help by `make docs`.", ""]
    runner = CliRunner()
    width = {"terminal_width": 100, "max_content_width": 100}

    def section(path: list[str]) -> None:
        shown = runner.invoke(cli, [*path, "--help"], prog_name="nullgrad", **width).output
        parts.extend([f"## {' '.join(['nullgrad', *path])}", "", "```text", shown.rstrip(), "```", ""])

    section([])
    for name in COMMANDS:
        section([name])
        with click.Context(cli) as context:
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                for inner in command.commands:
                    section([name, inner])
    return "\n".join(parts)


def run(command: str, folder: Path) -> str:
    """The command with what it prints, as a reader would see it."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    if done.returncode not in (0, 4):
        sys.exit(f"{command!r} ended with {done.returncode}:\n{done.stdout}")
    return f"$ {command}\n" + "\n".join(lines).strip() + "\n"


def main() -> None:
    """Make or check the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = ROOT / "docs" / "commands.md"
    if options.check:
        sys.exit(page.read_text("utf-8") != commands_page() and "docs/commands.md is stale: make docs")
    page.write_text(commands_page(), "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            path = ROOT / name
            text = path.read_text("utf-8")

            def fill(match: re.Match[str]) -> str:
                print(f"$ {match['command']}", flush=True)
                return f"{match[1]}```text\n{run(match['command'], Path(folder))}```\n"

            path.write_text(BLOCK.sub(fill, text), "utf-8")


if __name__ == "__main__":
    main()
