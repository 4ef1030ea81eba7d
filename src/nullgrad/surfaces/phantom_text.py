"""An optimizer's phantom gain as text, from the same JSON values that `--json` prints."""

from __future__ import annotations

from typing import IO

from rich.text import Text

from nullgrad.surfaces.calibrate_table import Lines, Value, ends, number_table, share


def print_phantom(report: Value, stream: IO[str]) -> None:
    """The A/A test of an optimizer, the recommendation last.

    Args:
        report: what `PhantomResult.to_dict` gives.
        stream: where to.
    """
    console = Lines(stream)
    console.line(
        f"Simulation: {', '.join(report['simulated'])} is no real model; in it no prompt has any effect.",
        "bold yellow",
    )
    rows = report["tables"]["phantom"]
    package = f" ({report['package']})" if report["package"] else ""
    times = report["budget_unit"] == "calls per validation example"
    table = number_table(
        f"A/A test of {report['optimizer']}{package}: gains in points over {rows[0]['runs']} runs",
        (
            "rho",
            "validation",
            "budget" if times else report["budget_unit"],
            "candidates",
            "claimed",
            "95 %",
            "runs with a gain",
            "95 %",
            "fresh data",
            "95 %",
        ),
        (),
    )
    for row in rows:
        table.add_row(
            f"{row['rho']:g}",
            str(row["validation"]),
            f"{row['budget']} x" if times else f"{row['budget']:,}",
            f"{row['candidates']:.3g}",
            Text(f"{row['claimed_points']:+.2f}", style="green" if row["under"] else "yellow"),
            _points(row, "claimed"),
            share(row["share_with_gain"]),
            ends(row, "share"),
            f"{row['fresh_points']:+.2f}",
            _points(row, "fresh"),
        )
    console.print(table)
    console.line(
        "rho: correlation of the answers of different prompts to one example; 0 is the worst case.", "dim"
    )
    if times:
        console.line("budget: calls that a run may make, as a multiple of the validation examples.", "dim")
    for line in recommendation(report):
        console.line(line)


def recommendation(report: Value) -> list[str]:
    """How many examples and candidates keep the phantom gain under the stated size, a line for each correlation."""
    size = report["size_points"]
    if not report["selects_on_validation"]:
        return [
            f"{report['optimizer']} selects nothing on validation: what it claims there is as good as fresh data. No number "
            "of examples or candidates inflates it."
        ]
    lines = [f"To keep the phantom gain under {size:g} point{'' if size == 1 else 's'}:"]
    for rho in dict.fromkeys(row["rho"] for row in report["tables"]["recommendation"]):
        kept = [one for one in report["kept"] if one["rho"] == rho]
        needed = [one for one in report["tables"]["recommendation"] if one["rho"] == rho]
        shown = "; ".join(
            f"up to {one['candidates']:.3g} candidates with {one['validation']} validation examples"
            for one in kept
        )
        rest = ", ".join(
            f"{one['candidates']:.3g} candidates need {one['validation_needed']:,}" for one in needed
        )
        lines.append(
            f"  rho {rho:g}: {shown or 'nothing that was tried keeps it'}. By the root law {rest} examples."
        )
    lines.append("What a sealed test says is not inflated, whatever was selected before.")
    return lines


def _points(row: Value, name: str) -> str:
    return f"{row[f'{name}_low_points']:+.2f} to {row[f'{name}_high_points']:+.2f}"
