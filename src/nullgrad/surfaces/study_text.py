"""A study's plan and result as text, from the same JSON values that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nullgrad.surfaces.progress import duration
from nullgrad.surfaces.tables import columns

PIPE = 160
"""Columns where there is no terminal."""

WIDE = 130
"""Columns that the table of contrasts needs; a narrower terminal gets lines, for cut numbers are worse."""

COLOURS = {
    "supported": "green",
    "holds": "green",
    "contradicted": "red",
    "fails": "red",
    "equal": "cyan",
    "cannot tell": "yellow",
}

Value = Mapping[str, Any]
Row = Mapping[str, Any]


class _Console(Console):
    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, highlight=False, width=None if stream.isatty() else PIPE)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which gives it an exit code; rich would end the process with 1."""
        raise BrokenPipeError

    def line(self, text: str = "", style: str = "") -> None:
        """One line of plain text, wrapped where the terminal ends."""
        self.print(Text(text, style=style))


def print_report(report: Value, stream: IO[str], only: str | None = None) -> None:
    """A study's result, the verdicts first.

    Args:
        report: what `StudyResult.to_dict` gives, or what the ledger keeps of it (without spend).
        stream: where to.
        only: one of its tables, with every column, in place of all.
    """
    console = _Console(stream)
    if report["simulated"]:
        console.line(f"Simulation: {', '.join(report['simulated'])} is no real model.", "bold yellow")
    if only is not None:
        console.print(_whole_table(only, report["tables"][only]))
        return
    _head(console, report)
    for cell in report["cells"]:
        _cell(console, report, cell)
    _signatures(console, report)
    if report["undeclared"] and report["tables"]["verdicts"]:
        console.line(f"Not tested, for no contrast is declared: {', '.join(report['undeclared'])}.", "dim")
    for note in report["notes"]:
        console.line(f"Note: {note}", "yellow")
    _foot(console, report)


def _head(console: _Console, report: Value) -> None:
    preset = f" (preset {report['preset']})" if report["preset"] else ""
    console.line(f"Study {report['study']}{preset}", "bold")
    console.line(
        f"{report['design']} draws, {_count(report['steps'], 'step')} of {_count(report['batch_size'], 'example')}, "
        f"α = {report['alpha']:g} by family; models: {_models(report['models'])}."
    )
    if report["stopped"]:
        console.line(f"Stopped early: {report['stopped']}", "yellow")
    for cell in report["cells"]:
        if cell["complete_blocks"] < report["blocks"]:
            console.line(
                f"{cell['cell']}: {cell['complete_blocks']} of {report['blocks']} blocks are complete.",
                "yellow",
            )


def _models(models: Mapping[str, str]) -> str:
    if len(set(models.values())) == 1:
        return f"{next(iter(models.values()))} in every role"
    return ", ".join(f"{role} {name}" for role, name in models.items())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _cell(console: _Console, report: Value, cell: Row) -> None:
    tables: Mapping[str, Sequence[Row]] = report["tables"]

    def own(name: str) -> list[Row]:
        return [row for row in tables[name] if row["cell"] == cell["cell"]]

    console.line()
    console.line(f"{cell['cell']}: sealed test of {cell['test_examples']} examples", "bold underline")
    verdicts, contrasts = own("verdicts"), own("contrasts")
    if verdicts:
        table = _table("Predictions of the gradient hypothesis", "prediction", "selection", "verdict", "says")
        for row in verdicts:
            table.add_row(row["prediction"], row["selection"], _verdict(row["verdict"]), _says(row))
        console.print(table)
    if contrasts and console.width >= WIDE:
        console.print(_contrasts(contrasts))
    elif contrasts:
        console.line("Contrasts: first − second in points", "italic")
        for row in contrasts:
            _contrast_lines(console, row)
    console.print(_arms(own("arms")))
    _selection(console, [row for row in own("selection") if row["claimed"] is not None])
    _audits(console, [row for row in tables.get("audits", ()) if row["cell"] == cell["cell"]])
    for one in report["attribution"]:
        if one["cell"] == cell["cell"]:
            _ladder(console, one)


def _audits(console: _Console, rows: Sequence[Row]) -> None:
    """What each arm's gains are made of: how many of its trials ended in each verdict of the audit."""
    if not rows:
        return
    table = _table(
        "Audit: final prompts against the seed prompt, trials by verdict",
        "arm", "trials", "verdicts", "prevalence-type", "95 %",
        left=("arm", "verdicts"), wrap=("arm", "verdicts"),
    )  # fmt: skip
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        kind = next(row for row in own if row["verdict"] == "prevalence-type")
        table.add_row(
            arm,
            str(kind["trials"]),
            ", ".join(f"{row['count']} {row['verdict']}" for row in own if row is not kind),
            f"{100 * kind['share']:.0f} %",
            f"{100 * kind['low']:.0f} to {100 * kind['high']:.0f} %",
        )
    console.print(table)
    if any(row["verdict"] in ("genuine", "mixed") for row in rows):
        console.line(
            "From recorded answers, which have no log-probabilities: where it says genuine, a threshold shift is not excluded "
            "(nullgrad audit can exclude it).",
            "dim",
        )


def _says(row: Row) -> Text:
    text = Text(row["says"])
    if row["evidence"]:
        text.append(f"\n{row['evidence']}", style="dim")
    if row["signatures"]:
        text.append(f"\n{row['signatures']}", style="yellow")
    return text


def _contrasts(rows: Sequence[Row]) -> Table:
    """Beside every null stand the p that could be had, the power at the margin and the detectable effect."""
    table = _table(
        "Contrasts: first − second in points",
        "contrast", "n", "difference", "interval", "p", "α", "least p", "power at margin", "detectable", "verdict",
        left=("contrast", "verdict"), wrap=("contrast",),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            _named(row),
            _trials(row),
            _signed(row["difference_points"]),
            _range(row["low_points"], row["high_points"]),
            _p(row["p"]),
            f"{row['alpha']:.4g}",
            _p(row["attainable_p"]),
            _share(row["power_at_margin"]),
            _number(row["detectable_points"]),
            _concluded(row),
        )
    return table


def _contrast_lines(console: _Console, row: Row) -> None:
    console.print(_named(row))
    text = Text(
        f"  n {_trials(row)}, difference {_signed(row['difference_points'])} "
        f"({_range(row['low_points'], row['high_points'])}), p {_p(row['p'])} (α {row['alpha']:.4g}, least "
        f"{_p(row['attainable_p'])}), power at margin {_share(row['power_at_margin'])}, detectable "
        f"{_number(row['detectable_points'])}: "
    )
    console.print(text + _concluded(row))


def _named(row: Row) -> Text:
    declared = row["role"] == "declared"
    name = Text(row["name"] if declared else f"  {row['first']} > {row['second']} ({row['on']})")
    if row["labels"]:
        name.append(f", {row['labels']} labels", style="dim")
    if row["published"]:
        name.append(f"\n{row['published']}", style="dim")
    if row["tau"] is not None:
        name.append(f"\nτ = {row['tau']:.3f}", style="dim")
    if row["look"]:
        biased = ", the difference is biased" if row["biased"] else ""
        name.append(f"\nlook at {row['look']} blocks{biased}", style="dim")
    return name


def _trials(row: Row) -> str:
    first, second = row["n_first"], row["n_second"]
    return "–" if first is None else str(first) if first == second else f"{first}, {second}"


def _concluded(row: Row) -> Text:
    inside = row["within_margin"] and row["verdict"] != "equal"
    return _verdict(f"{row['verdict']} (within the margin)" if inside else row["verdict"])


def _arms(rows: Sequence[Row]) -> Table:
    table = _table(
        "Arms: mean test score of the final prompts",
        "arm", "trials", "mean", "95 %", "SD", "incomplete", "unparsed", "failed", "no prompt",
        left=("arm",), wrap=("arm",),
    )  # fmt: skip
    for row in rows:
        high = None if row["high"] is None else 100 * row["high"]
        low = None if row["low"] is None else 100 * row["low"]
        table.add_row(
            row["arm"],
            str(row["n"]) if row["n"] == row["declared"] else f"{row['n']} of {row['declared']}",
            _percent(row["mean"]),
            _range(low, high),
            _percent(row["sd"]),
            str(row["incomplete"]),
            str(row["unparsed"]),
            str(row["failed"]),
            f"{row['unparsed_proposals']} of {row['proposals']}" if row["proposals"] else "",
        )
    return table


def _selection(console: _Console, rows: Sequence[Row]) -> None:
    """What winners claim on validation, what corrects it, and the sealed test, side by side."""
    if not rows:
        return
    table = _table(
        "Selection on validation: the winner of the first step, and the final prompt",
        "arm", "candidates", "claimed", "corrected", "out-of-bag", "if equal", "final claims", "sealed test",
        left=("arm",), wrap=("arm",),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row["arm"],
            str(row["candidates"]),
            *(_percent(row.get(name)) for name in ("claimed", "corrected", "out_of_bag")),
            "–" if row["inflation"] is None else f"{100 * row['inflation']:+.1f}",
            _percent(row["final_claimed"]),
            _percent(row["final_test"]),
        )
    console.print(table)
    if any(row.get("adaptive", True) for row in rows):
        console.line(
            "Steps after the first choose among what earlier choices led to: of the final prompt only the sealed test is "
            "unbiased.",
            "dim",
        )


def _ladder(console: _Console, one: Value) -> None:
    if one["reason"]:
        console.line(f"Attribution of {one['top']}: {one['reason']}.")
        return
    table = _table(
        f"What the gain of {one['top']} is made of ({one['blocks']} blocks, intervals simultaneous at 95 %)",
        "ingredient", "arm", "test", "adds", "95 %", "told from 0", "detectable",
        left=("ingredient", "arm"), wrap=("ingredient", "arm"),
    )  # fmt: skip
    for step in one["steps"]:
        both = step["ci95_simultaneous"] or (None, None)
        told = "cannot tell" if step["missing_decides"] else "yes" if step["told"] else "no"
        rest = (
            ["", "", "", ""]
            if step["points"] is None
            else [_signed(step["points"]), _range(*both), told, _number(step["detectable_points"])]
        )
        table.add_row(step["ingredient"], step["arm"], _percent(step["score"]), *rest)
    console.print(table)


def _signatures(console: _Console, report: Value) -> None:
    console.line()
    for one in report["signatures"]:
        console.line(f"Seen in {one['cell']}: {one['signature']} ({'; '.join(one['evidence'])}).", "yellow")


def _foot(console: _Console, report: Value) -> None:
    if "calls" in report:
        calls, tokens = report["calls"], report["tokens"]
        asked = sum(calls["asked"].values())
        usd = report["usd"]
        price = "price unknown" if usd is None else f"${usd:.4f}" if usd else "no charge"
        console.line(
            f"{asked:,} calls asked, {calls['paid']:,} paid, {calls['replayed']:,} replayed, {calls['joined']:,} joined, "
            f"{calls['failed']:,} failed; {tokens['prompt']:,} + {tokens['completion']:,} tokens; {price}; "
            f"{duration(report['seconds'])}.",
            "dim",
        )
    console.line(
        f"Run {report['run']}; the sealed test was read {_count(report['test_readings'], 'time')} for what counts here.",
        "dim",
    )


def print_plan(plan: Value, stream: IO[str], price_date: str) -> None:
    """What a study will ask, cost and be able to tell; `plan` is what `StudyPlan.to_dict` gives."""
    console = _Console(stream)
    console.line(f"Study {plan['study']}: {plan['design']} draws, {_count(plan['blocks'], 'block')}", "bold")
    for line in _costs(plan, price_date):
        console.line(line)
    table = _table(
        "Calls asked", "cell", "arm", "trials", "generator", "optimizer", "critic", "judge", "all",
        left=("cell", "arm"), wrap=("cell", "arm"),
    )  # fmt: skip
    for row in plan["arms"]:
        asked = row["asked"]
        table.add_row(
            row["cell"],
            row["arm"],
            str(row["trials"]),
            *(f"{asked[role]:,}" for role in ("generator", "optimizer", "critic", "judge", "total")),
        )
    console.print(table)
    if plan["contrasts"]:
        table = _table(
            f"Contrasts, in every cell, if trial scores have a standard deviation of {plan['sd_points']:g} points",
            "contrast", "family of", "trials", "α", "least p", "power", "at points", "detectable", "chance of equal",
            left=("contrast",), wrap=("contrast",),
        )  # fmt: skip
        for row in plan["contrasts"]:
            first, second = row["trials"]
            table.add_row(
                Text(row["name"], style="" if row["reachable"] else "yellow"),
                str(row["family_size"]),
                str(first) if first == second else f"{first}, {second}",
                f"{row['alpha']:.4g}",
                _p(row["attainable_p"]),
                _share(row["power"]),
                f"{row['effect_points']:g}{'' if row['effect_is_the_margin'] else ' (no margin)'}",
                _number(row["detectable_points"]),
                _share(row["equality_chance"]),
            )
        console.print(table)
    for problem in plan["problems"]:
        console.line(f"Warning: {problem}.", "yellow")
    if plan["cuts"]:
        console.line("To get under the limit, in this order:")
        for cut in plan["cuts"]:
            dollars = "" if cut["usd_left"] is None else f", ${cut['usd_left']:,.2f}"
            lost = (
                f", at most {100 * cut['power_lost']:.0f} points of power lost" if cut["power_lost"] else ""
            )
            console.line(f"  {cut['what']}: {cut['calls_left']:,} calls{dollars} left{lost}")
    if not plan["cuts_enough"]:
        console.line(
            "No cut that leaves every contrast able to tell something gets under the limit.", "yellow"
        )


def _costs(plan: Value, price_date: str) -> list[str]:
    asked, paid = plan["calls"]["asked"], plan["calls"]["paid_at_most"]
    tokens, usd, seconds = plan["tokens_estimate"], plan["usd_estimate"], plan["seconds_at_least"]
    roles = [
        f"{asked[role]:,} {role}" for role in ("generator", "optimizer", "critic", "judge") if asked[role]
    ]
    how = "measured" if tokens["measured"] else "a rule of thumb"
    return [
        f"{asked['total']:,} calls asked ({', '.join(roles)}), at most {paid['total']:,} of them paid.",
        f"About {tokens['prompt']:,} + {tokens['completion']:,} tokens ({how}); "
        + (
            "price unknown"
            if usd is None
            else f"about ${usd:,.2f} (prices of {price_date})"
            if usd
            else "no charge"
        )
        + (
            "."
            if seconds is None
            else f"; at least {duration(seconds)} ({plan['calls_in_flight']} calls in flight)."
        ),
    ]


def print_intent(plan: Value, stream: IO[str], price_date: str) -> None:
    """Before a run: what it will ask, and what it will not be able to tell."""
    for line in _costs(plan, price_date):
        stream.write(f"{line}\n")
    for problem in plan["problems"]:
        stream.write(f"warning: {problem}.\n")


def _whole_table(name: str, rows: Sequence[Row]) -> Table:
    names = columns(rows)
    numbers = {one for one in names if all(isinstance(row.get(one), int | float | None) for row in rows)}
    table = _table(name, *names, left=tuple(one for one in names if one not in numbers), wrap=names)
    for row in rows:
        table.add_row(*("" if row.get(one) is None else str(row[one]) for one in names))
    return table


def _table(title: str, *names: str, left: Sequence[str] = (), wrap: Sequence[str] = ()) -> Table:
    """Columns of numbers are never cut; without `left` all are words."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        words = not left or name in left
        table.add_column(
            name,
            justify="left" if words else "right",
            no_wrap=bool(left) and name not in wrap,
            overflow="fold",
        )
    return table


def _verdict(word: str) -> Text:
    colour = next((colour for name, colour in COLOURS.items() if word.startswith(name)), "")
    return Text(word, style=colour)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _range(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.1f} to {high:.1f}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
