"""The lineage of prompts: what changed in each step, on which evidence, and what the optimizer said on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nullgrad.surfaces.charts.base import MINUS
from nullgrad.surfaces.html.blocks import Change, Lineage
from nullgrad.surfaces.html.diff import Piece, word_diff

Value = Mapping[str, Any]

STAGES = {
    "gradient-output": "how the output should change",
    "gradient-prompt": "how the prompt should change",
}


def lineages(history: Value, cells: int) -> list[Lineage]:
    """One lineage for each trial that the history tells; the first is unfolded."""
    return [_lineage(one, place == 0, cells) for place, one in enumerate(history["lineage"])]


def _lineage(one: Value, unfolded: bool, cells: int) -> Lineage:
    where = f" in {one['cell']}" if cells > 1 else ""
    remarks = [f"Shown is {one['why']}."]
    if one.get("test") is not None:
        remarks.append(f"Its final prompt scores {100 * one['test']:.1f} % on the sealed test.")
    remarks.append(
        f"{one['changed']} of {one['made']} steps took another prompt."
        if one["changed"]
        else f"None of {one['made']} steps took another prompt."
    )
    if one["steps_left_out"]:
        remarks.append(f"{one['steps_left_out']} later changes are left out to keep the page small.")
    return Lineage(
        f"{one['arm']}, trial {one['trial']}{where}",
        tuple(remarks),
        str(one["seed_prompt"]),
        tuple(map(_change, one["steps"])),
        unfolded,
    )


def _change(step: Value) -> Change:
    remarks = []
    variants = step["variants"]
    if variants > 1:
        remarks.append(f"Variant {step['variant']} of {variants} was taken.")
    before, after = step["validation_before"], step["validation_after"]
    if after is not None:
        moved = f"Validation {100 * after:.1f} %"
        if before is not None:
            moved += f" against {100 * before:.1f} % of the current prompt"
        remarks.append(f"{moved}.")
    if step["batch"] is not None:
        remarks.append(_batch(step["batch"]))
    else:
        remarks.append("The optimizer saw no example.")
    if step["unparsed"]:
        reasons = ", ".join(f"{number} ({reason})" for number, reason in step["unparsed"].items())
        remarks.append(f"Variants of which no prompt came: {reasons}.")
    feedback = tuple(
        (f"Example {one['example']}: {STAGES.get(one['stage'], one['stage'])}", _cut(one["text"], one["cut"]))
        for one in step["feedback"]
    )
    texts = tuple(
        (
            "" if text["name"] == "generator" else f"the {text['name']}'s prompt",
            _pieces(text),
            int(text["cut"]),
        )
        for text in step["texts"]
    )
    return Change(f"Step {step['step']}", tuple(remarks), texts, feedback, int(step["feedback_left_out"]))


def _pieces(text: Value) -> tuple[Piece, ...]:
    return tuple(word_diff(str(text["before"]), str(text["after"])))


def _batch(batch: Value) -> str:
    known = [score for score in batch["scores"] if score is not None]
    names = ", ".join(map(str, batch["examples"][:8])) + (" …" if len(batch["examples"]) > 8 else "")
    told = f"Batch: examples {names}"
    if known:
        right = sum(known)
        told += f"; {right:g} of {len(known)} right as the optimizer was told".replace("-", MINUS)
    return f"{told}."


def _cut(text: str, left_out: int) -> str:
    return f"{text} […, {left_out:,} characters more]" if left_out else text
