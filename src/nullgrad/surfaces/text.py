"""Forecast and result as text: tables with small bars, for terminals of any width and for pipes."""

from __future__ import annotations

import difflib
import re
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nullgrad.api import Forecast, OptimizeResult

BAR = 20
"""Cells of a full bar."""


def print_forecast(forecast: Forecast, price_date: str, stream: IO[str]) -> None:
    """What it will ask, what that costs, how small a gain it can resolve."""
    calls = forecast.main
    roles = [
        f"{count:,} {role}"
        for role, count in (
            ("generator", calls.generator),
            ("optimizer", calls.optimizer),
            ("critic", calls.critic),
        )
        if count
    ]
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


def print_result(result: OptimizeResult, stream: IO[str]) -> None:
    """The whole result, the recommendation first."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 100)
    if result.simulated:
        console.print(
            Text(f"Simulation: {', '.join(result.simulated)} is no real model.", style="bold yellow")
        )
    _recommendation(console, result)
    console.print(_test_table(result))
    for slot in range(result.slots):
        if any(row.slot == slot for row in result.classes):
            console.print(_class_table(result, slot))
    for warning in result.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))
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
    console.print()


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _range(interval: Any, factor: float = 100.0) -> str:
    return (
        "not estimable"
        if interval is None
        else f"{factor * interval.low:.1f} to {factor * interval.high:.1f}"
    )


def _bar(value: float | None) -> str:
    return "" if value is None else "█" * round(BAR * max(0.0, min(1.0, value)))


def _test_table(result: OptimizeResult) -> Table:
    count = sum(
        (
            result.seed_test.outcomes.scored,
            result.seed_test.outcomes.unparsed,
            result.seed_test.outcomes.failed,
        )
    )
    table = Table(title=f"Sealed test: {count} examples", title_justify="left", box=None, pad_edge=False)
    for name in ("prompt", "score", "95 %", "unparsed", "failed", ""):
        table.add_column(name, justify="left" if name in ("prompt", "") else "right")
    for name, score in (("seed", result.seed_test), ("best", result.best_test)):
        table.add_row(
            name,
            _percent(score.score),
            _range(score.interval),
            str(score.outcomes.unparsed),
            str(score.outcomes.failed),
            _bar(score.score),
        )
    if result.gain is not None:
        gain = result.gain
        p = "" if gain.p is None else f"McNemar p = {gain.p:.2g}"
        table.add_row(
            "gain",
            f"{100 * gain.mean:+.1f} points",
            _range(gain.interval),
            "",
            "",
            f"{gain.gained} gained, {gain.lost} lost  {p}",
        )
    return table


def _class_table(result: OptimizeResult, slot: int) -> Table:
    title = "Recall of each class" if result.slots == 1 else f"Recall of each class, slot {slot + 1}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("class", "n", "seed", "best", "best 95 %", "answered seed → best", ""):
        table.add_column(name, justify="left" if name in ("class", "") else "right")
    for row in result.classes:
        if row.slot == slot:
            table.add_row(
                row.label,
                str(row.n),
                _percent(row.seed.recall),
                _percent(row.best.recall),
                _range(row.best.interval),
                f"{row.seed.predicted} → {row.best.predicted}",
                _bar(row.best.recall),
            )
    return table


def _attribution(console: Console, result: OptimizeResult) -> None:
    free, ladder = result.free, result.ladder
    if free is not None:
        seed = "" if free.current is None else f"seed {_percent(free.current)}, "
        console.print(
            Text(
                f"On validation: {seed}a blind draw among {free.candidates} candidates {_percent(free.blind)}, "
                f"choosing {100 * free.choosing:+.1f} points (cross-fitted), claimed by the winner {_percent(free.claimed)}."
            )
        )
    if ladder is None:
        if result.steps:
            console.print(
                Text("One arm alone is not attributable: --why runs the controls beside it.", style="dim")
            )
        return
    if ladder.reason:
        console.print(Text(f"Attribution: {ladder.reason}."))
        return
    table = Table(
        title=f"What the gain is made of ({ladder.blocks} blocks)",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for name in ("ingredient", "arm", "test", "adds", "95 % (simultaneous)", "told from 0", "detectable"):
        table.add_column(
            name, justify="left" if name in ("ingredient", "arm") else "right", no_wrap=name == "arm"
        )
    for step in ladder.steps:
        if step.effect is None:
            table.add_row(step.ingredient, step.arm, _percent(step.score), "", "", "", "")
            continue
        seen = "–" if step.detectable is None else f"{100 * step.detectable:.1f}"
        told = "–" if step.simultaneous is None else "yes" if step.told else "no"
        table.add_row(
            step.ingredient,
            step.arm,
            _percent(step.score),
            f"{100 * step.effect:+.1f}",
            _range(step.simultaneous),
            told,
            seen,
        )
    console.print(table)
    for arm, mean, interval in ladder.sides:
        console.print(
            Text(f"Beside it {arm}: {100 * mean:+.1f} points to the main arm ({_range(interval)}).")
        )


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


def _footer(console: Console, result: OptimizeResult) -> None:
    spend = result.spend
    usd = "price unknown" if spend.usd is None else f"${spend.usd:.4f}" if spend.usd else "no charge"
    bad = ", ".join(f"{count} {reason}" for reason, count in result.unparsed_proposals)
    console.print()
    lines = [
        f"{spend.paid:,} calls paid, {spend.replayed:,} replayed, {spend.joined:,} joined, {spend.failed:,} failed; "
        f"{spend.prompt_tokens:,} + {spend.completion_tokens:,} tokens; {usd}; {spend.seconds:.0f} s.",
        f"Run {result.run}; the sealed test was opened {result.test_readings} times"
        + (f"; proposals without a prompt: {bad}" if bad else "")
        + ("; answers were constrained to the labels." if result.constrained else "."),
    ]
    for line in lines:
        console.print(Text(line, style="dim"))
