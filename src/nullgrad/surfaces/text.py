"""Forecast and result as text: tables with small bars, for terminals of any width and for pipes."""

from __future__ import annotations

import difflib
import re
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nullgrad.api import Forecast, OptimizeResult
from nullgrad.surfaces.audit_text import COLOURS, meaning

BAR = 20
"""Cells of a full bar."""

NARROW = 76
"""Columns below which a table leaves some out."""

WIDE = 100
"""Columns that bars and the ladder's table need; a narrower terminal gets neither, for cut numbers are worse."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which gives it an exit code; rich would end the process with 1."""
        raise BrokenPipeError


def print_forecast(forecast: Forecast, price_date: str, stream: IO[str]) -> None:
    """What it will ask, what that costs, how small a gain it can resolve."""
    calls = forecast.main
    roles = [f"{count:,} {role}" for role, count in calls.by_role.items() if count]
    if forecast.usd is None:
        price = "price unknown"
    elif forecast.usd == 0:
        price = "no charge"
    else:
        price = f"about ${forecast.usd:.2f} (prices of {price_date})"
    line = f"Forecast: {calls.total:,} calls asked ({', '.join(roles)})"
    if forecast.controls.total:
        line += f" and up to {forecast.controls.total:,} for controls (what arms share is paid once)"
    tokens = forecast.prompt_tokens + forecast.completion_tokens
    stream.write(f"{line}; about {tokens:,} tokens, {price}.\n")
    stream.write(
        f"The sealed test has {forecast.test_examples} examples: it resolves gains of about "
        f"±{forecast.resolvable:.0f} points if a fifth of the answers changes.\n"
    )
    if forecast.note:
        stream.write(f"{forecast.note}\n")


def print_result(result: OptimizeResult, stream: IO[str]) -> None:
    """The whole result, the recommendation first."""
    console = _Console(file=stream, highlight=False, width=None if stream.isatty() else 100)
    if result.simulated:
        console.print(
            Text(f"Simulation: {', '.join(result.simulated)} is no real model.", style="bold yellow")
        )
    _recommendation(console, result)
    wide = console.width >= WIDE
    console.print(_test_table(result, wide))
    if result.gain is not None and not wide:
        console.print(Text(_paired(result.gain)))
    for slot in range(result.slots):
        if any(row.slot == slot for row in result.classes):
            console.print(_class_table(result, slot, wide))
    _audit(console, result)
    for warning in result.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))
    if result.objective != "accuracy":
        console.print(Text(result.notes[-1], style="dim"))
    _attribution(console, result)
    _prompts(console, result)
    _unparsed(console, result)
    _footer(console, result)


def _recommendation(console: Console, result: OptimizeResult) -> None:
    colour = {"switch": "green", "keep": "cyan", "cannot tell": "yellow"}[result.recommendation]
    text = Text()
    text.append(f"{result.recommendation}", style=f"bold {colour}")
    text.append(f": {result.reason}")
    console.print(text)
    if not result.complete:
        console.print(Text(f"Stopped early: {result.stopped}", style="yellow"))
    if result.trials > 1 and result.trial_prompts:
        console.print(Text(_reported(result)))
    console.print()


def _reported(result: OptimizeResult) -> str:
    chosen = result.chosen
    how = (
        f"best of {result.trials} by validation"
        if chosen.by == "validation"
        else f"the first of {result.trials}, for nothing was scored on validation"
    )
    mean = (
        f"mean of the {result.trials} trials on test is known only with controls"
        if chosen.mean_test is None
        else f"mean of {chosen.tested} trials on test is {_percent(chosen.mean_test)}"
    )
    return f"Reported: trial #{result.trial}, {how}; {mean}."


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _range(interval: Any, factor: float = 100.0) -> str:
    return (
        "not estimable"
        if interval is None
        else f"{factor * interval.low:.1f} to {factor * interval.high:.1f}"
    )


def _added(value: float | None) -> str:
    return "not estimable" if value is None else f"{100 * value:+.1f} points"


def _bar(value: float | None) -> str:
    return "" if value is None else "█" * round(BAR * max(0.0, min(1.0, value)))


def _paired(gain: Any) -> str:
    p = "" if gain.p is None else f"  McNemar p = {gain.p:.2g}"
    return f"{gain.gained} gained, {gain.lost} lost{p}"


def _table(title: str, columns: tuple[str, ...], left: tuple[str, ...]) -> Table:
    """Columns of numbers are never cut; those on the left may wrap."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=name not in left)
    return table


def _test_table(result: OptimizeResult, wide: bool) -> Table:
    count = sum(
        (
            result.seed_test.outcomes.scored,
            result.seed_test.outcomes.unparsed,
            result.seed_test.outcomes.failed,
        )
    )
    table = _table(
        f"Sealed test: {count} examples",
        ("prompt", "score", "95 %", "unparsed", "failed", *(("",) if wide else ())),
        ("prompt", ""),
    )
    for name, score in (("seed", result.seed_test), ("best", result.best_test)):
        table.add_row(
            name,
            _percent(score.score),
            _range(score.interval),
            str(score.outcomes.unparsed),
            str(score.outcomes.failed),
            *((_bar(score.score),) if wide else ()),
        )
    if result.gain is not None:
        gain = result.gain
        told = (_paired(gain),) if wide else ()
        table.add_row("gain", f"{100 * gain.mean:+.1f} points", _range(gain.interval), "", "", *told)
    return table


def _class_table(result: OptimizeResult, slot: int, wide: bool) -> Table:
    title = "Recall of each class" if result.slots == 1 else f"Recall of each class, slot {slot + 1}"
    answered = ("answered seed → best", "") if wide else ("answered",)
    table = _table(title, ("class", "n", "seed", "best", "best 95 %", *answered), ("class", ""))
    for row in result.classes:
        if row.slot == slot:
            table.add_row(
                row.label,
                str(row.n),
                _percent(row.seed.recall),
                _percent(row.best.recall),
                _range(row.best.interval),
                f"{row.seed.predicted} → {row.best.predicted}",
                *((_bar(row.best.recall),) if wide else ()),
            )
    return table


def _audit(console: Console, result: OptimizeResult) -> None:
    """What the gain is made of, in a line or two; `nullgrad audit` has the rest."""
    audit = result.audit
    if audit is None:
        return
    text = Text("What the gain is made of: ")
    text.append(audit.verdict, style=f"bold {COLOURS[audit.verdict]}")
    text.append(f" ({meaning(audit.verdict, audit.reason)}). {audit.reason}")
    console.print(text)
    several = result.slots > 1
    lost = ", ".join(f"{label} in slot {slot + 1}" if several else label for slot, label in audit.suppressed)
    if lost:
        console.print(Text(f"Suppressed: {lost}.", style="yellow"))
    console.print(
        Text(
            f"Relabellings were {'fitted on validation' if audit.fitted == 'validation' else 'cross-fitted on the test'}; "
            "nullgrad audit TASK --after last shows the whole of it.",
            style="dim",
        )
    )


def _attribution(console: Console, result: OptimizeResult) -> None:
    free, ladder = result.free, result.ladder
    if free is not None:
        seed = "" if free.current is None else f"seed {_percent(free.current)}, "
        guard = "" if free.current is None else f", keeping the seed as a candidate {_added(free.guard)}"
        console.print(
            Text(
                f"On {free.examples} validation examples: {seed}a blind draw among {free.candidates} candidates "
                f"{_percent(free.blind)}, choosing among them {_added(free.choosing)}{guard} (cross-fitted)."
            )
        )
    _selection(console, result.to_dict()["selection"])
    if ladder is None:
        if result.steps:
            console.print(
                Text("One arm alone is not attributable: --why runs the controls beside it.", style="dim")
            )
        return
    if ladder.reason:
        console.print(Text(f"Attribution: {ladder.reason}."))
        return
    title = f"What the gain is made of ({ladder.blocks} blocks, intervals simultaneous at 95 %)"
    if console.width >= WIDE:
        console.print(_ladder_table(title, ladder))
    else:
        console.print(Text(title, style="italic"))
        for line in _ladder_lines(ladder):
            console.print(Text(line))
    for step in ladder.steps:
        if step.missing_decides:
            console.print(
                Text(
                    f"Warning: {step.missing} missing test answers could change what is told of {step.ingredient!r}.",
                    style="yellow",
                )
            )
    for arm, mean, interval in ladder.sides:
        console.print(
            Text(f"Beside it {arm}: {100 * mean:+.1f} points to the main arm ({_range(interval)}).")
        )


ADAPTIVE = "Later steps choose among what earlier choices led to: of the final prompt only the sealed test is unbiased."


def _selection(console: Console, report: Any) -> None:
    """The winner's selection score, what corrects it, and the sealed test, side by side."""
    if report is None:
        return
    first, adaptive = report["first_step"], report["adaptive"]
    # A narrow terminal gets fewer columns: cut numbers are worse.
    measures = ["claimed", "corrected", "out_of_bag"] if console.width >= NARROW else ["claimed", "corrected"]
    table = _table(
        f"Selection: best of {first['candidates']} on {first['validation_examples']} validation examples"
        + ("" if report["labels"] == "correct" else f" with {report['labels']} labels"),
        ("winner", *(one.replace("_", "-") for one in measures), "if equal", "sealed test"),
        ("winner",),
    )
    equals = first["inflation_points"]
    if first["claimed"] is not None:
        table.add_row(
            "first step" if adaptive else "reported",
            *(_percent(first[name]) for name in measures),
            "–" if equals is None else f"{equals:+.1f}",
            "" if adaptive else _percent(report["final_test"]),
        )
    if adaptive:
        last = (_percent(report["final_claimed"]), *[""] * len(measures), _percent(report["final_test"]))
        table.add_row(f"after step {report['steps']}", *last)
    if table.row_count:
        console.print(table)
    if adaptive:
        console.print(Text(ADAPTIVE, style="dim"))


def _ladder_table(title: str, ladder: Any) -> Table:
    table = _table(
        title,
        ("ingredient", "arm", "test", "adds", "95 %", "told from 0", "detectable"),
        ("ingredient", "arm"),
    )
    for step in ladder.steps:
        if step.effect is None:
            table.add_row(step.ingredient, step.arm, _percent(step.score), "", "", "", "")
            continue
        table.add_row(
            step.ingredient,
            step.arm,
            _percent(step.score),
            f"{100 * step.effect:+.1f}",
            _range(step.simultaneous),
            _told(step),
            _detectable(step),
        )
    return table


def _ladder_lines(ladder: Any) -> list[str]:
    """The ladder for a terminal that its table does not fit into."""
    lines: list[str] = []
    for step in ladder.steps:
        lines.append(f"{step.ingredient}: {step.arm}")
        values = f"  test {_percent(step.score)}"
        if step.effect is not None:
            values += (
                f", adds {100 * step.effect:+.1f} ({_range(step.simultaneous)}), "
                f"told from 0: {_told(step)}, detectable {_detectable(step)}"
            )
        lines.append(values)
    return lines


def _told(step: Any) -> str:
    if step.missing_decides:
        return "cannot tell"
    return "–" if step.simultaneous is None else "yes" if step.told else "no"


def _detectable(step: Any) -> str:
    return "–" if step.detectable is None else f"{100 * step.detectable:.1f}"


def _prompts(console: Console, result: OptimizeResult) -> None:
    console.print()
    if result.best_prompt == result.seed_prompt:
        console.print(Text("Best prompt: the seed prompt, unchanged.", style="bold"))
        return
    console.print(Text("Seed prompt → best prompt", style="bold"))
    console.print(word_diff(result.seed_prompt, result.best_prompt))


def word_diff(before: str, after: str) -> Text:
    """Both texts in one: what goes in [-brackets-] and what comes in {+braces+}, coloured where there is colour."""
    a, b = re.findall(r"\s+|\S+", before), re.findall(r"\s+|\S+", after)
    text = Text()
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            text.append("".join(a[a0:a1]))
            continue
        if a1 > a0:
            text.append(f"[-{''.join(a[a0:a1])}-]", style="red")
        if b1 > b0:
            text.append(f"{{+{''.join(b[b0:b1])}+}}", style="green")
    return text


def _unparsed(console: Console, result: OptimizeResult) -> None:
    if result.unparsed_replies:
        console.print()
        console.print(
            Text(
                "More than a tenth of the test answers could not be read. Three raw replies:", style="yellow"
            )
        )
        for reply in result.unparsed_replies:
            console.print(Text(f"  {reply[:300]!r}"))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _footer(console: Console, result: OptimizeResult) -> None:
    spend = result.spend
    usd = "price unknown" if spend.usd is None else f"${spend.usd:.4f}" if spend.usd else "no charge"
    bad = ", ".join(f"{count} {reason}" for reason, count in result.unparsed_proposals)
    before = (
        f", and {_times(result.test_readings_before)} by earlier runs" if result.test_readings_before else ""
    )
    console.print()
    lines = [
        f"{spend.paid:,} calls paid, {spend.replayed:,} replayed, {spend.joined:,} joined, {spend.failed:,} failed; "
        f"{spend.prompt_tokens:,} + {spend.completion_tokens:,} tokens; {usd}; {spend.seconds:.0f} s.",
        f"Run {result.run}; the sealed test was opened {_times(result.test_readings)}{before}"
        + (f"; proposals without a prompt: {bad}" if bad else "")
        + ("; answers were constrained to the labels." if result.constrained else "."),
    ]
    for line in lines:
        console.print(Text(line, style="dim"))
