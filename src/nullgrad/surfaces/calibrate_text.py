"""What the calibration of nullgrad's own verdicts found as text, from the same JSON values that `--json` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO

from rich.table import Table

from nullgrad.surfaces.calibrate_table import Lines, Value, ends, number_table, share


def print_self(report: Value, stream: IO[str], *, full: bool = False) -> None:
    """The confusion table by world, errors and decisions beside what was declared, then what is not as declared.

    Args:
        report: what `SelfCalibration.to_dict` gives.
        stream: where to.
        full: every contrast and family at every number of trials as well.
    """
    console = Lines(stream)
    splits = report["splits"]
    console.line(f"Simulation: {', '.join(report['simulated'])}: no real model was asked.", "bold yellow")
    console.line(
        f"{report['studies']} studies of {max(report['trials'])} trials in each world and design (more of fewer trials); "
        f"{report['steps']} steps of {report['batch_size']} examples, splits {splits['train']} / "
        f"{splits['validation']} / {splits['test']}, margin {report['margin_points']:g} points, α = "
        f"{report['alpha']:g} by family. Truth: exact accuracy of the final prompts, averaged "
        f"over all {report['truth_trials']:,} trials of an arm."
    )
    for world in report["worlds"]:
        console.line()
        console.line(f"World {world}", "bold underline")
        console.print(_predictions(report, world))
        if full:
            console.print(_contrasts(report, world))
            console.print(_families(report, world))
    console.line()
    console.print(_verdicts(report, full=full))
    console.line()
    console.print(_errors(report))
    console.line()
    console.print(_labels(report))
    _decomposition(console, report["tables"]["decomposition"])
    _findings(console, report)


def _predictions(report: Value, world: str) -> Table:
    """A row for each prediction and design; by number of trials the share of studies by word."""
    sizes = report["trials"]
    table = number_table(
        "Share of studies in which a prediction holds / fails / cannot be told, by number of trials",
        (
            "prediction",
            "draws",
            "right would be",
            *(f"{size} trials" for size in sizes),
            "wrong at most",
            "95 %",
        ),
        ("prediction", "draws", "right would be"),
    )
    groups: dict[tuple[str, str, str], list[Value]] = {}
    for row in _own(report["tables"]["predictions"], world):
        groups.setdefault((row["prediction"], row["selection"], row["design"]), []).append(row)
    several = Counter((prediction, design) for prediction, _, design in groups)
    for (prediction, selection, design), rows in groups.items():
        by_size = {row["trials"]: row for row in rows}
        worst = max(rows, key=lambda row: row["wrong"])
        table.add_row(
            prediction if several[prediction, design] == 1 else f"{prediction}: {selection}",
            design,
            rows[0]["right_words"] or "–",
            *(_three(by_size[size]) if size in by_size else "–" for size in sizes),
            share(worst["wrong"]),
            ends(worst, "wrong"),
        )
    return table


def _three(row: Value) -> str:
    return " / ".join(f"{100 * row[word]:.0f}" for word in ("holds", "fails", "cannot_tell"))


def _contrasts(report: Value, world: str) -> Table:
    table = number_table(
        "Contrasts: truth in points, verdicts, errors beside α, decisions beside the plan",
        (
            "contrast", "draws", "trials", "truth", "± MC", "supported", "contradicted", "equal", "wrong", "95 %", "α",
            "right", "planned",
        ),
        ("contrast", "draws"),
    )  # fmt: skip
    for row in _own(report["tables"]["contrasts"], world):
        table.add_row(
            row["contrast"],
            row["design"],
            str(row["trials"]),
            f"{row['true_points']:+.2f}",
            f"{row['true_error_points']:.2f}",
            *(share(row[verdict]) for verdict in ("supported", "contradicted", "equal")),
            share(row["wrong"]),
            ends(row, "wrong"),
            share(row["alpha"]),
            share(row["right"]),
            "–" if row["planned"] is None else share(row["planned"]),
        )
    return table


KINDS = ("wrong_supported", "wrong_contradicted", "wrong_equal")


def _families(report: Value, world: str) -> Table:
    table = number_table(
        "Families: share of studies with a wrong verdict in the family",
        (
            "family",
            "draws",
            "trials",
            "supported",
            "95 %",
            "contradicted",
            "95 %",
            "equal",
            "95 %",
            "α",
            "any",
        ),
        ("family", "draws"),
    )
    for row in _own(report["tables"]["families"], world):
        table.add_row(
            row["family"],
            row["design"],
            str(row["trials"]),
            *(cell for kind in KINDS for cell in (share(row[kind]), ends(row, kind))),
            share(row["alpha"]),
            share(row["wrong"]),
        )
    return table


def _verdicts(report: Value, *, full: bool) -> Table:
    """Worlds by verdicts, all contrasts together; in full also by what is truly so."""
    table = number_table(
        "Verdicts on all contrasts, share by what was said; wrong ones, and right decided ones beside the plan",
        (
            "world",
            "draws",
            "trials",
            "truth",
            "supported",
            "contradicted",
            "equal",
            "cannot tell",
            "wrong",
            "95 %",
            "right",
            "planned",
        ),
        ("world", "draws", "truth"),
    )
    for row in report["tables"]["verdicts"]:
        if full or row["truth"] == "all":
            table.add_row(
                row["world"],
                row["design"],
                str(row["trials"]),
                row["truth"],
                *(share(row[verdict]) for verdict in ("supported", "contradicted", "equal", "cannot_tell")),
                share(row["wrong"]),
                ends(row, "wrong"),
                share(row["right"]),
                "–" if row["planned"] is None else share(row["planned"]),
            )
    return table


def _errors(report: Value) -> Table:
    """Of every world and design the family that errs most, by what it says; and how many contrasts decide as planned."""
    level = share(report["alpha"])
    table = number_table(
        f"Wrong verdicts: share of studies in the worst family and number of trials, declared {level} (a tenth of it against the declared direction); decisions: "
        "contrasts that reach the plan",
        (
            "world",
            "draws",
            "supported",
            "95 %",
            "contradicted",
            "95 %",
            "equal",
            "95 %",
            "either",
            "decide as planned",
        ),
        ("world", "draws"),
    )
    for world in report["worlds"]:
        for design in report["designs"]:
            families = [row for row in _own(report["tables"]["families"], world) if row["design"] == design]
            worst = [max(families, key=lambda row, kind=kind: row[kind]) for kind in KINDS]  # type: ignore[misc]
            contrasts = [
                row
                for row in _own(report["tables"]["contrasts"], world)
                if row["design"] == design and row["planned"] is not None
            ]
            reached = sum(row["right_high"] >= row["planned"] for row in contrasts)
            table.add_row(
                world,
                design,
                *(
                    cell
                    for kind, row in zip(KINDS, worst, strict=True)
                    for cell in (share(row[kind]), ends(row, kind))
                ),
                share(max(row["wrong"] for row in families)),
                f"{reached} of {len(contrasts)}",
            )
    return table


def _labels(report: Value) -> Table:
    """Dependence on labels: found with the power that the plan promises where it is true."""
    table = number_table(
        "Dependence on labels: studies that find correct labels better than wrong ones, beside the power planned for the truth",
        ("world", "draws", "truth", *(f"{size} trials" for size in report["trials"])),
        ("world", "draws"),
    )
    for world in report["worlds"]:
        for design in report["designs"]:
            rows = [
                row
                for row in _own(report["tables"]["contrasts"], world)
                if row["design"] == design and row["contrast"] == "wrong labels"
            ]
            if rows:
                table.add_row(
                    world,
                    design,
                    f"{rows[0]['true_points']:+.1f}",
                    *(
                        share(row["supported"])
                        + ("" if row["power"] is None else f" (planned {share(row['power'])})")
                        for row in rows
                    ),
                )
    return table


def _decomposition(console: Lines, rows: Sequence[Value]) -> None:
    if not rows:
        return
    console.line()
    table = number_table(
        f"Gain decomposition of final prompts against the seed prompt ({rows[0]['validation_examples']} validation and "
        f"{rows[0]['test_examples']} test examples)",
        ("world", "audits", "truth", "verdicts", "wrong", "95 %", "declared"),
        ("world", "truth", "verdicts"),
    )
    kinds = number_table(
        "Gains of the margin and more whose kind is named, beside the plan; audits that say shift",
        ("world", "gains", "kind named", "95 %", "planned", "says shift", "95 %", "audits"),
        ("world",),
    )
    for row in rows:
        table.add_row(
            row["world"],
            str(row["audits"]),
            _counted(row["truth"]),
            _counted(row["verdicts"]),
            share(row["wrong"]),
            ends(row, "wrong"),
            share(row["level"]),
        )
        due = row["planned"] is not None
        kinds.add_row(
            row["world"],
            str(row["planned_audits"]),
            share(row["right"]) if due else "–",
            ends(row, "right") if due else "–",
            share(row["planned"]) if due else "–",
            share(row["shifts"]),
            ends(row, "shifts"),
            str(row["audits"]),
        )
    console.print(table)
    console.line()
    console.print(kinds)
    console.line(
        "Kinds: information (genuine, mixed), or a shift between classes (relabelling, threshold, prevalence).",
        "dim",
    )


def _findings(console: Lines, report: Value) -> None:
    console.line()
    level = 100 * report["alpha"]
    console.line(
        f"Declared: {level:g} % by family in the declared direction, a tenth of it against that direction, which was not the "
        "hypothesis and needs more evidence.",
        "dim",
    )
    for text in report["too_often_wrong"]:
        console.line(f"Wrong more often than declared: {text}.", "bold red")
    for text in report["too_silent"]:
        console.line(f"Less often than planned: {text}.", "yellow")
    if not report["too_often_wrong"]:
        console.line("No declared rate of error is exceeded.", "green")
    if not report["too_silent"]:
        console.line("Verdicts are rightly decided at least as often as planned.", "green")


def _own(rows: Sequence[Value], world: str) -> list[Value]:
    return [row for row in rows if row["world"] == world]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))
