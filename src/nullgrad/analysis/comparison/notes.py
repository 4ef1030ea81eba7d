"""What a reader of a comparison's numbers has to know beside them."""

from __future__ import annotations

from collections.abc import Sequence

from nullgrad.analysis.comparison.entries import EntryResult
from nullgrad.analysis.comparison.families import CompareContrast
from nullgrad.analysis.comparison.rows import CompareRows
from nullgrad.analysis.stats.estimate import NotEstimable


def notes_of(
    data: CompareRows, entries: Sequence[EntryResult], contrasts: Sequence[CompareContrast]
) -> tuple[str, ...]:
    """Sentences, the most important first."""
    return tuple(
        note
        for note in (
            _blocks(data),
            _few(data, contrasts),
            _failed(entries),
            _swallowed(entries),
            _missing(contrasts),
            _versions(entries),
        )
        if note
    )


def _blocks(data: CompareRows) -> str:
    declared, whole = data.comparison.trials, len(data.blocks)
    if whole == declared:
        return ""
    if not whole:
        return "No block is complete: nothing can be told yet."
    return f"{whole} of {declared} blocks are complete; trials of the others are counted in the costs alone."


def _few(data: CompareRows, contrasts: Sequence[CompareContrast]) -> str:
    """Where the permutation test could reach no level whatever the scores, verdicts rest on Student's t alone."""
    unreachable = [
        one
        for one in contrasts
        if not isinstance(one.result.attainable, NotEstimable) and one.result.attainable > one.result.alpha
    ]
    if not unreachable or not data.blocks:
        return ""
    worst = max(unreachable, key=lambda one: _number(one.result.attainable))
    return (
        f"With {len(data.blocks)} trials no permutation test of {len(unreachable)} of the {len(contrasts)} contrasts can reach its "
        f"corrected level (smallest p {_number(worst.result.attainable):.2g}), so that verdicts on them rest on Student's t, "
        "that is on trial scores that are about normal."
    )


def _number(value: float | NotEstimable) -> float:
    return 0.0 if isinstance(value, NotEstimable) else value


def _failed(entries: Sequence[EntryResult]) -> str:
    found = [f"{one.entry.name} {one.failed} of {one.ended}" for one in entries if one.failed]
    if not found:
        return ""
    return f"Trials without a result: {', '.join(found)}. Each counts with a gain of 0: its user keeps the seed prompt."


def _swallowed(entries: Sequence[EntryResult]) -> str:
    found = [f"{one.entry.name} {one.swallowed} of {one.ended}" for one in entries if one.swallowed]
    if not found:
        return ""
    return f"Trials that returned as if nothing had failed although calls had: {', '.join(found)}. Their own scores may hold failures as zeros."


def _missing(contrasts: Sequence[CompareContrast]) -> str:
    dropped = max((one.result.dropped[0] for one in contrasts), default=0)
    if not dropped:
        return ""
    return (
        f"Test answers are missing in up to {dropped} blocks of a contrast, which are left out of it; a verdict that the missing "
        "scores could change is not given."
    )


def _versions(entries: Sequence[EntryResult]) -> str:
    found = [f"{one.entry.name} ({', '.join(one.versions)})" for one in entries if len(one.versions) > 1]
    return f"Trials ran under several versions of a package: {'; '.join(found)}." if found else ""
