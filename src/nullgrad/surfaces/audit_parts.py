"""The parts of an audit's text behind the decomposition: what was run anew, sections, rules, leaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nullgrad.surfaces.audit_words import Grid, Printer, percent, plain_range, signed

BAR = 20
"""Cells of a full bar."""

DRAWN = 118
"""Columns from which on the curve is drawn as well."""

SHOWN = 70
"""Characters of a section or sentence in a table."""

TRANSCRIPTS = 2
"""Transcripts printed of one section or rule; `--json` has more."""

REPLY = 160
"""Characters of a reply or an input in a transcript."""

Value = Mapping[str, Any]


def print_parts(out: Printer, report: Value) -> None:
    """All of them, those that the report has."""
    _fresh(out, report)
    _curve(out, report)
    _ablation(out, report)
    _shortest(out, report)
    _rules(out, report)
    _leaks(out, report)


def _fresh(out: Printer, report: Value) -> None:
    fresh = report["fresh"]
    if fresh is None:
        return
    gain, found = fresh["gain"], fresh["predictions"]
    what = "freshly made items" if fresh["group"] == "fresh" else "test examples under fresh draws"
    said = f"; {found['verdict']}: {found['reason']}" if found is not None else ""
    out.line()
    out.line(
        f"A new run on {fresh['examples']} {what}: {percent(fresh['before']['score'])} → "
        f"{percent(fresh['after']['score'])}, {signed(gain['points'])} points ({plain_range(gain['ci95'])}){said}"
    )


def _curve(out: Printer, report: Value) -> None:
    curve = report["curve"]
    if curve is None:
        return
    slots = curve["points"][0]["slot_before"] is not None
    out.line()
    where = f", slot {curve['slot']}" if slots else ""
    drawn = out.width >= DRAWN
    columns = ["share of the class", "before", "after", "points (95 %)"]
    columns += [f"before{where}", f"after{where}"] if slots and out.wide else []
    grid = Grid(f"New items over the share of {curve['label']}{where}", [*columns, *([""] if drawn else [])])
    for one in curve["points"]:
        gain = one["gain"]
        row = [
            f"{one['share']:.0%} ({one['examples']} items)",
            percent(one["before"]["score"]),
            percent(one["after"]["score"]),
            f"{signed(gain['points'])} ({plain_range(gain['ci95'])})",
        ]
        if slots and out.wide:
            row += [percent((one[name] or {}).get("score")) for name in ("slot_before", "slot_after")]
        if drawn:
            row.append(_two_marks(one["before"]["score"], one["after"]["score"]))
        grid.add_row(*row)
    grid.show(out)
    if drawn:
        out.line("  o before, x after, * both", "dim")
    for name, text in (
        ("crossings", "whole answers" if slots else ""),
        ("slot_crossings", where.strip(", ")),
    ):
        places = ", ".join(percent(one) for one in curve[name])
        if places:
            out.line(f"The lines of both prompts cross at a share of {places}{f' ({text})' if text else ''}.")
        elif text or name == "crossings":
            out.line(f"The lines of both prompts do not cross{f' ({text})' if text else ''}.")


def _two_marks(before: float | None, after: float | None) -> str:
    """Where both stand between 0 and 1."""
    cells = ["·"] * (BAR + 1)
    for value, mark in ((before, "o"), (after, "x")):
        if value is not None:
            place = round(BAR * value)
            cells[place] = "*" if cells[place] == "o" else mark
    return "".join(cells)


def _ablation(out: Printer, report: Value) -> None:
    found = report["ablation"]
    if found is None:
        return
    out.line()
    columns = [
        "section",
        "adds (95 %)",
        "told from 0",
        "right → wrong",
        *(["alone", "without"] if out.wide else []),
    ]
    grid = Grid(
        f"Sections: what each adds to {percent(found['full'])} on {found['examples']} validation examples, "
        f"{found['repeats']} {'evaluation' if found['repeats'] == 1 else 'evaluations'} each",
        columns,
    )
    for one in found["sections"]:
        effect = one["effect"]
        more = [percent(one["score_alone"]), percent(one["score_without"])] if out.wide else []
        grid.add_row(
            f"{one['number']}. {_short(one['text'])}",
            f"{signed(effect['points'])} ({plain_range(effect['ci95'])})",
            "yes" if effect["told"] else "no",
            str(one["right_to_wrong"]),
            *more,
        )
    grid.show(out)
    out.line(
        f"  Told from 0: with {len(found['sections'])} sections looked at together (Bonferroni). Validation chose or may "
        "have chosen this prompt.",
        "dim",
    )
    _section_classes(out, found)
    both = found["interaction"]
    if both is not None:
        first, second = both["sections"]
        effect = both["effect"]
        out.line(
            f"Sections {first} and {second} together: interaction {signed(effect['points'])} points "
            f"({plain_range(effect['ci95'])}); without both {percent(both['without_both'])}."
        )
    for one in found["sections"]:
        _flips(
            out,
            f"Section {one['number']} turns right into wrong",
            one["transcripts"],
            one["right_to_wrong_by_class"],
        )


def _section_classes(out: Printer, found: Value) -> None:
    several = len({row["slot"] for one in found["sections"] for row in one["classes"]}) > 1
    for one in found["sections"]:
        told: list[str] = []
        for row in one["classes"]:
            if row["recall"]["told"]:
                where = f" (slot {row['slot']})" if several else ""
                ends = plain_range(row["recall"]["ci95"])
                told.append(f"{row['label']}{where} {signed(row['recall']['points'])} ({ends})")
        if told:
            out.line(f"  Section {one['number']} changes recall: {', '.join(told)}.")


def _shortest(out: Printer, report: Value) -> None:
    one = report["shortest"]
    if one is None:
        return
    margin = report["margin_points"]
    if one["test"] is None and one["characters"] == one["full_characters"]:
        out.line(f"No shorter prompt of those tried stays within {margin:g} points on validation.")
        return
    gain = one["over_after"]
    test = (
        "it was not read on the test"
        if one["test"] is None
        else f"on the test {percent(one['test']['score'])}, {signed(gain['points'])} points ({plain_range(gain['ci95'])}) to the "
        "after prompt"
    )
    out.line(
        f"Shortest prompt within {margin:g} points on validation ({one['name']}): {one['characters']} of "
        f"{one['full_characters']} characters, {percent(one['validation'])} there; {test}."
    )


def _rules(out: Printer, report: Value) -> None:
    if not report["rules"]:
        return
    out.line()
    out.line("Suspicious rules of the after prompt", "italic")
    several = len(report["predictions"]["slots"]) > 1 if report["predictions"] else False
    for rule in report["rules"]:
        side = "Speaks against" if rule["direction"] == "against" else "Speaks for"
        new = "new" if rule["new"] else "in the before prompt, too"
        out.line(f"  “{_short(rule['sentence'], 200)}”", "yellow")
        out.line(
            f"    {side} {', '.join(rule['labels'])} ({', '.join(rule['words'])}; section {rule['section']}; {new})."
        )
        named = " or ".join(rule["labels"])
        truth = named if rule["direction"] == "against" else f"not {named}"
        if not rule["counterexamples"]:
            out.line(f"    No test example's right answer is {truth}.")
        for one in rule["counterexamples"]:
            where = f" in slot {one['slot']}" if several else ""
            how = "by the solver" if one["truth"] == "solver" else "by the task's targets"
            gain = one["change"]
            out.line(
                f"    Of {one['count']} test examples the right answer{where} is {truth} ({how}): right there "
                f"{percent(one['recall_before'])} → {percent(one['recall_after'])}, {signed(gain['points'])} points "
                f"({plain_range(gain['ci95'])})."
            )
            _flips(out, "    There", one["transcripts"], {})


def _flips(out: Printer, title: str, flips: Any, by_class: Value) -> None:
    if not flips:
        return
    counts = ", ".join(f"{label} {count}" for label, count in by_class.items())
    out.line(f"{title}{f' (by the right answer: {counts})' if counts else ''}:")
    for one in flips[:TRANSCRIPTS]:
        out.line(
            f"    {one['example']}, right is {one['target']}; {one['right']}: {one['right_answer']}; with this prompt: "
            f"{one['answer']}.",
            "dim",
        )
        out.line(f"      Input: {_short(one['input'], REPLY)}", "dim")
        out.line(f"      Reply: {_short(one['reply'], REPLY)}", "dim")
    if len(flips) > TRANSCRIPTS:
        out.line(f"    and {len(flips) - TRANSCRIPTS} more in --json", "dim")


def _leaks(out: Printer, report: Value) -> None:
    leaks = report["leaks"]
    out.line()
    if leaks["passages"]:
        out.line(
            f"Copied text: {leaks['copied_words']} of {leaks['words']} words of the after prompt stand in examples.",
            "yellow",
        )
        for one in leaks["passages"][:5]:
            more = "" if one["count"] == 1 else f" and {one['count'] - 1} more"
            out.line(
                f"  “{_short(one['text'], 120)}” ({one['words']} words; {one['split']} {one['examples'][0]}{more})"
            )
    else:
        out.line("Copied text: none of the after prompt's phrases stands in few examples alone.")
    if leaks["labels"]:
        named = ", ".join(
            f"{label} {one['before']} → {one['after']}" for label, one in leaks["labels"].items()
        )
        out.line(f"Labels named, before → after: {_short(named, 600)}.")


def _short(text: str, most: int = SHOWN) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
