"""Sections that studies and optimizations have in common: lineage, cost, and what repeating takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nullgrad.surfaces.charts import Chart
from nullgrad.surfaces.charts.base import Column
from nullgrad.surfaces.charts.spend import TABLE as SPEND
from nullgrad.surfaces.html.blocks import Block, Section, charts, table_of
from nullgrad.surfaces.html.lineage import lineages

Value = Mapping[str, Any]
Charts = Mapping[str, tuple[Chart, ...]]

NO_LEDGER = "The ledger of this run is not at hand, so the page has only what the result file holds: {}. Give --ledger FILE."


def chart_section(id_: str, title: str, found: Sequence[Chart], *before: Block) -> list[Section]:
    """A section of charts, none where there are none."""
    return [Section(id_, title, (*before, charts(found)))] if found else []


def lineage_section(history: Value | None, found: Charts, cells: int) -> list[Section]:
    """Prompts by step; without a ledger a note."""
    title = "Prompt lineage"
    if history is None:
        return [
            Section(
                "lineage",
                title,
                (Block("note", NO_LEDGER.format("no lineage, no feedback, no tokens by role")),),
            )
        ]
    told = lineages(history, cells)
    blocks: list[Block] = []
    if told:
        blocks.append(
            Block(
                "text",
                "What each step changed, word by word, and what the optimizer said before it. Words that went are struck "
                "through, words that came are underlined.",
            )
        )
    blocks += [Block("lineage", one) for one in told]
    blocks += [charts(found["candidates"])] if "candidates" in found else []
    return [Section("lineage", title, tuple(blocks))] if blocks else []


def cost_section(
    report: Value, history: Value | None, found: Charts, gain: float | None, of: str
) -> list[Section]:
    """Calls, tokens and dollars by role, and for each point of gain.

    Args:
        gain: points gained, None where unknown.
        of: what gained them, "" where there is no one gain.
    """
    blocks: list[Block] = []
    if "calls" in report:
        calls, tokens, usd = report["calls"], report["tokens"], report["usd"]
        price = "its price is unknown" if usd is None else f"${usd:,.4f}" if usd else "no charge"
        blocks.append(
            Block(
                "text",
                f"The command that wrote this result asked {sum(calls['asked'].values()):,} calls and paid {calls['paid']:,} "
                f"({calls['replayed']:,} replayed, {calls['joined']:,} joined, {calls['failed']:,} failed): "
                f"{tokens['prompt']:,} + {tokens['completion']:,} tokens, {price}, {report['seconds']:,.0f} s.",
            )
        )
    rows = [dict(row) for row in history["replies"]] if history is not None else []
    positive = gain if gain is not None and gain > 0 else None
    for row in rows:
        total = row["prompt_tokens"] + row["completion_tokens"]
        row["tokens_per_point"] = None if positive is None else round(total / positive, 1)
        row["usd_per_point"] = (
            None if positive is None or row["usd"] is None else round(row["usd"] / positive, 6)
        )
    if rows:
        if positive is not None:
            total = sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)
            text = f"{total / positive:,.0f} tokens for each of the {positive:.1f} points of {of}."
        elif of:
            text = f"A cost per point is not defined: {of} is not above zero."
        else:
            text = "The cells share one ledger and have a gain each: no cost per point is given."
        blocks += [Block("text", text), charts(found.get("cost", ()))]
        blocks.append(
            Block("table", table_of("replies", "Replies that this run paid for, by role", SPEND, rows))
        )
    if history is not None and history["shared_with"]:
        blocks.append(
            Block(
                "note",
                "Other runs in the same ledger ask the same models about the same cells "
                f"({', '.join(history['shared_with'][:6])}). What was shared counts for the run that asked first, and where "
                "arms have the same names their tokens cannot be told apart.",
            )
        )
    return [Section("cost", "Cost", tuple(block for block in blocks if block.value))] if blocks else []


def unparsed_table(history: Value | None, own: Mapping[str, int] | None = None) -> list[Block]:
    """Optimizer replies of which no prompt came, by reason."""
    counts = own if own is not None else history["unparsed_proposals"] if history is not None else {}
    if not counts:
        return []
    rows = [{"reason": reason, "count": count} for reason, count in counts.items()]
    columns = (Column("reason", "reason"), Column("count", "proposals", "count"))
    return [Block("table", table_of("unparsed", "Proposals of which no prompt came", columns, rows))]


def repeat_section(
    report: Value, history: Value | None, command: str, facts: Sequence[tuple[str, str]]
) -> Section:
    """Version, models, seeds, and the specification that decides every request."""
    rows = [("nullgrad", str(report["nullgrad"])), ("run", str(report["run"]))]
    if history is not None:
        rows.append(("begun", f"{history['begun']}, with nullgrad {history['version']}"))
    models = dict(report["models"])
    if len(set(models.values())) == 1:
        rows.append(("models", f"{next(iter(models.values()))} in every role"))
    else:
        rows += [(f"model, {role}", str(name)) for role, name in models.items()]
    rows += facts
    blocks = [
        Block("facts", rows),
        Block("prompt", command, "Command"),
        Block(
            "text",
            "The same command again replays every reply from the ledger and pays nothing. On another machine the draws, seeds "
            "and requests are the same; replies are as far as the endpoint honours its seed.",
        ),
    ]
    if history is not None:
        text = json.dumps(history["spec"], ensure_ascii=False, indent=2)
        blocks.append(Block("prompt", text, "Specification, of which the run's identity is the hash"))
    return Section("repeat", "To repeat it", tuple(blocks))
