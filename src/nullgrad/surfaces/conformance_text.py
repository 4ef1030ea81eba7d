"""The table of adapters and checks as text, from the same JSON values that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PIPE = 150
"""Columns where there is no terminal."""

Value = Mapping[str, Any]

_SHOWN = {
    "pass": Text("pass", style="green"),
    "fail": Text("FAIL", style="bold red"),
    "deviation": Text("deviates", style="yellow"),
    "does not apply": Text("–"),
    None: Text(""),
}


class _Console(Console):
    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, highlight=False, width=None if stream.isatty() else PIPE)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which gives it an exit code; rich would end the process with 1."""
        raise BrokenPipeError

    def say(self, text: str = "", style: str = "") -> None:
        """One line of plain text, wrapped where the terminal ends."""
        self.print(Text(text, style=style))


def print_conformance(report: Value, stream: IO[str], *, full: bool = False) -> None:
    """Adapters by checks, then what is behind everything that did not pass.

    Args:
        report: what `ConformanceReport.to_dict` gives.
        stream: where to.
        full: say what is behind every judgement.
    """
    console = _Console(stream)
    console.say("Simulation: no real model was asked.", "bold yellow")
    checks = list(report["checks"])
    table = Table(box=None, pad_edge=False)
    for name in ("optimizer", "package", *checks):
        table.add_column(name, no_wrap=True)
    missing = []
    for row in report["tables"]["conformance"]:
        package = row["package"].partition("[")[0]
        if row["problem"]:
            missing.append(row)
            table.add_row(
                row["optimizer"], package, Text("not installed" if row["install"] else "FAIL", "yellow")
            )
            continue
        words = (_SHOWN[row[check]] for check in checks)
        table.add_row(row["optimizer"], f"{package} {row['version']}", *words)
    console.print(table)
    for row in missing:
        said = f"install it with {row['install']}" if row["install"] else row["problem"]
        console.say(f"{row['optimizer']}: {said}")
    findings = [one for one in report["tables"]["findings"] if full or one["word"] != "pass"]
    for name in dict.fromkeys(one["optimizer"] for one in findings):
        console.say()
        console.say(name, "bold")
        for one in (one for one in findings if one["optimizer"] == name):
            console.print(Padding(Text(f"{one['check']}: {_said(one['word'])}{one['why']}"), (0, 0, 0, 2)))
    console.say()
    console.say("; ".join(f"{check}: {about}" for check, about in report["checks"].items()) + ".", "dim")


def _said(word: str) -> str:
    return "" if word == "pass" else f"{word}: "
