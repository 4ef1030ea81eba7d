"""An audit as text, from the JSON values that `--json` prints: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from nullgrad.surfaces.audit_parts import print_parts
from nullgrad.surfaces.audit_words import Grid, Printer, change, percent, plain_range, points, signed

COLOURS = {
    "no gain": "cyan",
    "loss": "red",
    "relabelling": "yellow",
    "threshold": "yellow",
    "prevalence": "yellow",
    "mixed": "yellow",
    "genuine": "green",
    "cannot tell": "yellow",
}

MEANINGS = {
    "no gain": "the change in accuracy is within the margin",
    "loss": "the after prompt is worse",
    "relabelling": "renaming the before prompt's answers would have gained as much",
    "threshold": "shifting the before prompt's thresholds would have gained as much",
    "prevalence": "a class was given up for the others",
    "mixed": "better discrimination, and a class was given up",
    "genuine": "more than renaming answers or shifting thresholds could gain",
    "cannot tell": "the examples do not decide",
}

UNEXCLUDED = {
    "genuine": "more than renaming answers could gain: better discrimination or a threshold shift, which only log-probabilities tell apart",
    "mixed": "more than renaming answers could gain, by discrimination or a threshold shift, and a class was given up",
}
"""In place of `MEANINGS` where a threshold shift is not excluded: the word alone would claim too much."""


def meaning(verdict: str, reason: str) -> str:
    """What a verdict means, by what its reason leaves open."""
    return UNEXCLUDED.get(verdict, MEANINGS[verdict]) if "not excluded" in reason else MEANINGS[verdict]


MOST_CLASSES = 12
"""Classes shown of a slot: of more, those whose recall changed most."""

MOST_CONFUSED = 6
"""Classes up to which the confusion matrix is shown."""

Value = Mapping[str, Any]


def print_audit(report: Value, stream: IO[str]) -> None:
    """The whole report.

    Args:
        report: what `AuditReport.to_dict` gives, or what the ledger keeps of it (without spend).
        stream: where to.
    """
    out = Printer(stream)
    if report["simulated"]:
        out.line(f"Simulation: {', '.join(report['simulated'])} is no real model.", "bold yellow")
    _head(out, report)
    _test(out, report)
    found = report["predictions"]
    if found is not None:
        print_predictions(out, found, report["bias_fitted_unavailable"])
    print_parts(out, report)
    for text in report["not_applicable"]:
        out.line(f"Not in this report: {text}", "dim")
    for text in report["notes"]:
        out.line(f"Note: {text}", "dim")
    _foot(out, report)


def _head(out: Printer, report: Value) -> None:
    verdict = report["verdict"]
    if verdict is None:
        gain = report["test"]["gain"]
        known = gain["points"] is not None
        out.line(
            f"Gain: {signed(gain['points'])} points ({plain_range(gain['ci95'])})"
            if known
            else "No gain is known."
        )
    else:
        out.line(f"{verdict}: {meaning(verdict, report['reason'])}.", f"bold {COLOURS[verdict]}")
        out.line(report["reason"])
    if not report["complete"]:
        out.line(f"Stopped early: {report['stopped']}", "yellow")
    out.line(f"Before: {report['before']['name']}. After: {report['after']['name']}.", "dim")
    out.line()


def _test(out: Printer, report: Value) -> None:
    test = report["test"]
    tally = test["before"]["outcomes"]
    grid = Grid(
        f"Sealed test: {tally['scored'] + tally['unparsed'] + tally['failed']} examples",
        ("prompt", "score", "95 %", "unparsed", "failed"),
    )
    for name in ("before", "after"):
        one = test[name]
        lost = (str(one["outcomes"]["unparsed"]), str(one["outcomes"]["failed"]))
        grid.add_row(name, percent(one["score"]), plain_range(one["ci95"], 100), *lost)
    gain = test["gain"]
    if gain["points"] is not None:
        grid.add_row("gain", f"{signed(gain['points'])} points", plain_range(gain["ci95"]), "", "")
    grid.show(out)
    if gain["points"] is not None:
        p = "" if gain["p_mcnemar"] is None else f", McNemar p = {gain['p_mcnemar']:.2g}"
        out.line(f"{gain['gained']} gained, {gain['lost']} lost{p}.")


def print_predictions(out: Printer, found: Value, unscored: str = "") -> None:
    """The class-wise tables and the gain decomposition of `PredictionAudit.to_dict`."""
    several = len(found["slots"]) > 1
    for slot in found["slots"]:
        title = f"slot {slot['slot'] + 1}" if several else ""
        _classes(out, slot, title)
        _confusion(out, slot, title)
    _decomposition(out, found["decomposition"], "whole answers" if several else "", found["fitted"])
    for slot in found["slots"] if several else ():
        name = f"slot {slot['slot'] + 1}"
        _decomposition(out, slot["decomposition"], name, found["fitted"])
        out.line(f"  {name}, {slot['verdict']}: {slot['reason']}", f"bold {COLOURS[slot['verdict']]}")
    _information(out, found, several)
    _prevalences(out, found, several)
    for note in found["notes"]:
        out.line(f"Note: {note}", "dim")
    if unscored:
        out.line(f"Note: No bias-fitted benchmark: {unscored}.", "dim")
    for slot in found["slots"] if several else ():
        for note in slot["notes"]:
            out.line(f"Note: slot {slot['slot'] + 1}: {note}", "dim")


def _classes(out: Printer, slot: Value, title: str) -> None:
    rows = slot["classes"]
    shown = rows
    if len(rows) > MOST_CLASSES:
        moved = sorted(rows, key=lambda one: -abs((one["recall"] or {}).get("points") or 0.0))[:MOST_CLASSES]
        shown = [one for one in rows if one in moved]
    out.line()
    name = "Classes" + (f", {title}" if title else "")
    few = "" if shown is rows else f" ({len(shown)} of {len(rows)}, those whose recall changed most)"
    wide = out.wide
    grid = Grid(
        name + few,
        ("class", "n", "recall", "change (95 %)", "answered", *(("share", "precision") if wide else ())),
    )
    for one in shown:
        mark = "" if one["estimable"] else " (not estimable)"
        if one["suppressed"] or one.get("doubtful"):
            mark = " (suppressed)" if one["suppressed"] else " (suppressed?)"
        more = (percent(one["prior"]), change(one["precision"])) if wide else ()
        grid.add_row(
            one["label"] + mark,
            str(one["n"]),
            change(one["recall"]),
            points(one["recall"]),
            change(one["rate"]),
            *more,
            style="yellow" if one["suppressed"] else "",
        )
    grid.show(out)


def _confusion(out: Printer, slot: Value, title: str) -> None:
    labels = slot["confusion"]["rows"]
    if len(labels) > MOST_CONFUSED or not out.wide:
        return
    before, after = slot["confusion"]["before"], slot["confusion"]["after"]
    lost = any(row[-1] for row in (*before, *after))
    columns = [*labels, *(["unparsed"] if lost else [])]
    grid = Grid(
        f"Answered before → after, by the true class{f', {title}' if title else ''}", ("truth", *columns)
    )
    for label, first, second in zip(labels, before, after, strict=True):
        pairs = list(zip(first, second, strict=True))[: len(columns)]
        grid.add_row(label, *(f"{a} → {b}" for a, b in pairs))
    grid.show(out)


def _decomposition(out: Printer, parts: Value, title: str, fitted: str) -> None:
    out.line()
    how = "fitted on validation" if fitted == "validation" else "cross-fitted on the test"
    grid = Grid(
        f"What the change is made of{f', {title}' if title else ''} (relabellings {how})",
        ("part", "before", "after", "points", "95 %"),
    )

    def row(name: str, value: Value | None) -> None:
        if value is None:
            return
        if "not_estimable" in value:
            grid.add_row(name, "", "", "–", value["not_estimable"])
            return
        sides = (percent(value["before"]), percent(value["after"])) if "before" in value else ("", "")
        grid.add_row(name, *sides, signed(value["points"]), plain_range(value["interval"]))

    row("accuracy", parts["accuracy"])
    row("balanced accuracy", parts["balanced"])
    row("weighting: accuracy − balanced", parts["weighting"])
    row("information: best relabelling of each", parts["relabelled"])
    row("calibration: accuracy − information", parts["calibration"])
    row("after above the before prompt relabelled", parts["after_above_relabelled"])
    if parts["biased"] is not None:
        row("after above the before prompt with biases", parts["biased"]["after_above"])
        row("with biases, both", parts["biased"]["shift_free"])
    grid.show(out)
    for which in ("before", "after"):
        renamed = [one for one in parts[f"{which}_renamed"] if one]
        if renamed:
            names = "; ".join(
                ", ".join(f"{old or 'unparsed'} → {new}" for old, new in one.items()) for one in renamed
            )
            out.line(f"  Best relabelling of the {which} prompt: {names}.", "dim")


def _information(out: Printer, found: Value, several: bool) -> None:
    for slot in found["slots"]:
        where = f", slot {slot['slot'] + 1}" if several else ""
        before, after = slot["information"]["before"], slot["information"]["after"]
        out.line(
            f"Information about the truth{where}: {before['corrected_bits']:.3f} → {after['corrected_bits']:.3f} of "
            f"{after['entropy_bits']:.3f} bits above chance (p = {before['p']:.2g}, {after['p']:.2g})."
        )


def _prevalences(out: Printer, found: Value, several: bool) -> None:
    for slot in found["slots"]:
        where = f", slot {slot['slot'] + 1}" if several else ""
        for one in slot["reweighted"]:
            prior = ""
            if one["name"] != "balanced":
                prior = " (" + ", ".join(f"{name} {share:.0%}" for name, share in one["prior"].items()) + ")"
            value = one["accuracy"]
            out.line(
                f"At {one['name']} classes{prior}{where}: {change(value)}, {points(value)} points; re-weighted from the "
                "recorded answers."
            )
        curve = slot["curve"]
        if curve is not None and curve["crossing"] is not None:
            out.line(
                f"Re-weighted over the share of {curve['label']}{where} ({percent(curve['observed'])} here), the lines of "
                f"both prompts cross at {percent(curve['crossing'])}."
            )


def _foot(out: Printer, report: Value) -> None:
    test = report["test"]
    before = f", and {_times(test['readings_before'])} by earlier runs" if test["readings_before"] else ""
    out.line()
    if "calls" in report:
        calls, tokens = report["calls"], report["tokens"]
        usd = report["usd"]
        price = "price unknown" if usd is None else f"${usd:.4f}" if usd else "no charge"
        out.line(
            f"{calls['paid']:,} calls paid, {calls['replayed']:,} replayed, {calls['joined']:,} joined, "
            f"{calls['failed']:,} failed; {tokens['prompt']:,} + {tokens['completion']:,} tokens; {price}; "
            f"{report['seconds']:.0f} s.",
            "dim",
        )
    out.line(
        f"Run {report['run']}; the sealed test of this task was opened {_times(test['readings'])} by this run{before}"
        + ("; answers were constrained to the labels." if report["constrained"] else "."),
        "dim",
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
