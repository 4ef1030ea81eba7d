"""Whether one of the optimizers may be called the best, and what may be said where none may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nullgrad.analysis.comparison.families import MOST_TRIALS, CompareContrast
from nullgrad.analysis.comparison.rows import CompareRows
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.study.rows import whole


@dataclass(frozen=True, slots=True)
class Crown:
    """What the comparison says about the best optimizer. Entries under control labels take no part.

    Attributes:
        highest: entry with the highest mean sealed gain, "" where nothing can be ranked. It was picked because it is the
            highest, so that its gain and its leads are over-stated on average.
        best: the same entry where every contrast of it with another, and its gain over the seed prompt, are decided on this
            test split; "" else.
        on_other_examples: whether these verdicts hold over examples as well, so that it would be best on others like these;
            False where none is best.
        worse: entries shown worse than the highest.
        equal: entries within the declared margin of it.
        open: entries that cannot be told apart from it.
        gained: whether the highest is shown better than the seed prompt.
        trials_needed: trials from which leads as large as those seen over the open ones would be told with power 0.8; the
            largest of them.
        text: a sentence or two.
    """

    highest: str
    best: str
    worse: tuple[str, ...]
    equal: tuple[str, ...]
    open: tuple[str, ...]
    gained: bool
    on_other_examples: bool
    trials_needed: Estimate
    text: str


def crown(data: CompareRows, gains: Sequence[CompareContrast], pairs: Sequence[CompareContrast]) -> Crown:
    """Read the families `gain` and `best`.

    The highest mean is taken over blocks in which no competitor misses a score. A pair of which a score is missing is decided
    by its own contrast, whatever the missing scores were.
    """
    ranked = ranking(data)
    if not ranked:
        return _nothing("Nothing can be ranked: no block is complete.")
    highest, lead = ranked[0]
    own = next(one for one in gains if one.first == highest)
    gained = own.result.verdict == "supported"
    by_other = {
        other: one
        for one in pairs
        if highest in (one.first, one.second)
        for other in (one.second if one.first == highest else one.first,)
    }
    worse = [name for name, one in by_other.items() if one.first == highest and _is(one, "supported")]
    equal = [name for name, one in by_other.items() if _is(one, "equal")]
    undecided = {name: one for name, one in by_other.items() if name not in (*worse, *equal)}
    best = highest if by_other and len(worse) == len(by_other) and gained else ""
    beyond = [own, *by_other.values()]
    found = Crown(
        highest,
        best,
        tuple(worse),
        tuple(equal),
        tuple(undecided),
        gained,
        bool(best) and all(one.population_verdict == "supported" for one in beyond),
        _most([one.trials_needed for one in undecided.values()]),
        "",
    )
    return replace(found, text=_text(found, lead, own, by_other, data))


def ranking(data: CompareRows) -> tuple[tuple[str, float], ...]:
    """Competitors by mean sealed gain as a share, the highest first; equal ones in the order in which they were named.

    Over complete blocks in which nobody misses a score; () where there are none.
    """
    rows = {one.name: data.rows(one) for one in data.comparison.competing}
    seed = data.seed_rows()
    blocks = [
        number
        for number in data.blocks
        if whole(seed[number]) and all(whole(own[number]) for own in rows.values())
    ]
    if not blocks:
        return ()
    means = [
        (name, sum(float(own[number].mean() - seed[number].mean()) for number in blocks) / len(blocks))
        for name, own in rows.items()
    ]
    return tuple(sorted(means, key=lambda one: -one[1]))


def _is(one: CompareContrast, verdict: str) -> bool:
    return one.result.verdict == verdict


def _nothing(text: str) -> Crown:
    none = NotEstimable("nothing is ranked")
    return Crown("", "", (), (), (), False, False, none, text)


def _most(needed: Sequence[Estimate]) -> Estimate:
    """The largest, or the reason why one of them is not known."""
    if not needed:
        return NotEstimable("nothing is open")
    missing = [one for one in needed if isinstance(one, NotEstimable)]
    return missing[0] if missing else max(one for one in needed if not isinstance(one, NotEstimable))


def _text(
    found: Crown, lead: float, own: CompareContrast, by_other: dict[str, CompareContrast], data: CompareRows
) -> str:
    short = {one.name: one.optimizer for one in data.comparison.competing}
    highest, gain = short[found.highest], f"({100 * lead:+.1f} points)"
    if found.best:
        other = (
            "It would be so on other examples of the kind, too."
            if found.on_other_examples
            else "That it would be so on other examples of the kind is not shown."
        )
        return (
            f"Best on these test examples: {highest} {gain}, shown better than the seed prompt and than every other optimizer "
            f"here. {other}"
        )
    sentences = []
    if not by_other:
        shown = "is" if found.gained else "is not"
        sentences.append(
            f"One optimizer ran with correct labels, so that none is best of several: {highest} {gain} {shown} shown better "
            "than the seed prompt."
        )
    else:
        parts = [
            f"{words} {_names([short[name] for name in names])}"
            for words, names in (
                ("cannot be told apart from", found.open),
                ("is equal, within the margin, to", found.equal),
                ("is shown better than", found.worse),
            )
            if names
        ]
        if not found.gained:
            parts.append("is not shown better than the seed prompt")
        sentences.append(f"No winner: {highest} has the highest mean sealed gain {gain}; it {_names(parts)}.")
    leads = {short[name]: by_other[name] for name in found.open}
    return " ".join([*sentences, *_how_many(leads, len(data.blocks)), *_for_a_gain(found, own)])


def _how_many(leads: dict[str, CompareContrast], blocks: int) -> list[str]:
    """What would be needed: leads of what was picked as the highest are over-stated, so that the numbers are lower bounds."""
    sentences = []
    told = {name: one for name, one in leads.items() if not isinstance(one.trials_needed, NotEstimable)}
    if told:
        last = max(told, key=lambda name: _number(told[name].trials_needed))
        most, size = _number(told[last].trials_needed), 100 * abs(_number(told[last].result.difference))
        sentences.append(
            f"Were the leads truly as large as seen, telling them would take at least {most:.0f} trials each, not {blocks} "
            f"(the one over {last}, {size:.1f} points)."
        )
    other = {name: one.trials_needed for name, one in leads.items() if name not in told}
    beyond = [name for name, needed in other.items() if str(needed).endswith("trials")]
    if beyond:
        sentences.append(
            f"A lead as small as the one over {_names(beyond)} would take more than {MOST_TRIALS:,} trials."
        )
    for name, needed in other.items():
        if name not in beyond:
            reason = str(needed).removeprefix("not estimable: ")
            sentences.append(f"How many trials would tell it from {name} is not estimable: {reason}.")
    return sentences


def _for_a_gain(found: Crown, own: CompareContrast) -> list[str]:
    if found.gained or isinstance(own.trials_needed, NotEstimable) or _number(own.result.difference) <= 0:
        return []
    return [
        f"A gain over the seed prompt as large as its own would take at least {own.trials_needed:.0f} trials to show."
    ]


def _number(value: Estimate) -> float:
    return 0.0 if isinstance(value, NotEstimable) else value


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
