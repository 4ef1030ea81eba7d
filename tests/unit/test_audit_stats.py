"""`audit_predictions` on constructed pairs: verdicts, and numbers that a few lines of fractions give too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import log
from typing import Any

import numpy as np
import pytest

from nullgrad import MISSING, PredictionAudit, audit_predictions
from nullgrad.analysis.audit.decomposition import Difference
from nullgrad.analysis.audit.predictions import PREVALENCE_TYPE
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.resampling import Change

Table = Mapping[tuple[Any, Any, Any], int]
"""Examples by (truth, before, after)."""


def columns(table: Table) -> tuple[list[Any], list[Any], list[Any]]:
    rows = [key for key, count in table.items() for _ in range(count)]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def swapped(size: int) -> Table:
    return {("a", "b", "a"): size, ("b", "a", "b"): size}


def steps(labels: int, size: int, before: int, after: int) -> Table:
    """Each class: right for the first `before` and `after` of `size` examples, else the next label."""
    table: Counter[tuple[Any, Any, Any]] = Counter()
    for label, place in product(range(labels), range(size)):
        other = (label + 1) % labels
        table[label, label if place < before else other, label if place < after else other] += 1
    return table


@dataclass(frozen=True)
class Case:
    """A constructed pair, its verdict, suppressed classes, and A* before and after by hand."""

    table: Table
    verdict: str
    star: tuple[Fraction, Fraction]
    suppressed: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


F = Fraction
CASES: dict[str, Case] = {
    # 140 a and 60 b, answers independent of the truth: half a before, 80 % a after.
    "pure prior shift, mild": Case(
        {("a", "a", "a"): 70, ("a", "b", "a"): 42, ("a", "b", "b"): 28, ("b", "a", "a"): 30, ("b", "b", "a"): 18, ("b", "b", "b"): 12},
        "relabelling", (F(7, 10), F(7, 10)),
    ),
    "pure prior shift, to the mode alone": Case(
        {("a", "a", "a"): 70, ("a", "b", "a"): 70, ("b", "a", "a"): 30, ("b", "b", "a"): 30},
        "prevalence", (F(7, 10), F(7, 10)), ("b",),
    ),
    # Signal detection by hand: the after threshold gives up a tenth of b and wins 35 % of a.
    "threshold shift without probabilities": Case(
        {("a", "a", "a"): 70, ("a", "b", "a"): 49, ("a", "b", "b"): 21, ("b", "b", "b"): 42, ("b", "b", "a"): 12, ("b", "a", "a"): 6},
        "genuine", (F(7, 10), F(161, 200)),
    ),
    "pure discrimination": Case(
        {("a", "a", "a"): 60, ("a", "b", "a"): 30, ("a", "b", "b"): 10, ("b", "b", "b"): 60, ("b", "a", "b"): 30, ("b", "a", "a"): 10},
        "genuine", (F(3, 5), F(9, 10)),
    ),
    # a and b are told better, c (40) is given up: rate 40 to 8 of 200.
    "mixture": Case(
        {
            ("a", "a", "a"): 44, ("a", "b", "a"): 32, ("a", "b", "b"): 4,
            ("b", "b", "b"): 44, ("b", "a", "b"): 32, ("b", "a", "a"): 4,
            ("c", "c", "c"): 8, ("c", "c", "a"): 8, ("c", "a", "a"): 12, ("c", "b", "b"): 12,
        },
        "mixed", (F(104, 200), F(160, 200)), ("c",),
    ),
    "label swap": Case(swapped(60), "relabelling", (F(1), F(1))),
    "label swap, reversed": Case(
        {("a", "a", "b"): 60, ("b", "b", "a"): 60}, "loss", (F(1), F(1)),
    ),
    # Both prompts answer one class always.
    "constant before and after": Case(
        {("a", "b", "a"): 80, ("b", "b", "a"): 40}, "prevalence", (F(2, 3), F(2, 3)), ("b",),
    ),
    "constant before, informative after": Case(
        {("a", "b", "a"): 54, ("a", "b", "b"): 6, ("b", "b", "b"): 54, ("b", "b", "a"): 6}, "genuine", (F(1, 2), F(9, 10)),
    ),
    "perfect predictor": Case(
        {("a", "a", "a"): 42, ("a", "b", "a"): 18, ("b", "b", "b"): 42, ("b", "a", "b"): 18}, "genuine", (F(7, 10), F(1)),
    ),
    "perfect before and after": Case({("a", "a", "a"): 30, ("b", "b", "b"): 30}, "no gain", (F(1), F(1))),
    "loss": Case(
        {("a", "a", "a"): 50, ("a", "a", "b"): 30, ("b", "b", "b"): 50, ("b", "b", "a"): 30}, "loss", (F(1), F(5, 8)),
    ),
    "change within the margin": Case(
        {("a", "a", "a"): 700, ("a", "b", "a"): 20, ("a", "b", "b"): 80, ("b", "b", "b"): 780, ("b", "b", "a"): 10, ("b", "a", "a"): 10},
        "no gain", (F(149, 160), F(15, 16)),
    ),
    "too few to tell": Case(
        {("a", "a", "a"): 6, ("a", "b", "a"): 3, ("b", "b", "b"): 6, ("b", "b", "a"): 1}, "cannot tell", (F(13, 16), F(15, 16)),
    ),
    # a is taken out of b and c, which keep their own answers.
    "gain in the majority class only": Case(
        {("a", "a", "a"): 80, ("a", "b", "a"): 32, ("a", "b", "b"): 8, ("a", "c", "a"): 32, ("a", "c", "c"): 8, ("b", "b", "b"): 20, ("c", "c", "c"): 20},
        "genuine", (F(160, 200), F(184, 200)),
    ),
    # The third class has two examples, both lost: not estimable, so neither balanced over nor suppressed.
    "a class of two examples": Case(
        {("a", "a", "a"): 40, ("a", "b", "a"): 20, ("b", "b", "b"): 40, ("b", "a", "b"): 20, ("c", "c", "a"): 2},
        "genuine", (F(82, 122), F(120, 122)),
    ),
    "77 classes": Case(steps(77, 39, 25, 34), "genuine", (F(25, 39), F(34, 39))),
    "77 classes, each called by the next one's name": Case(steps(77, 20, 0, 20), "relabelling", (F(1), F(1))),
    "ordinal": Case(
        {
            (1, 1, 1): 20, (1, 3, 2): 20, (2, 2, 2): 20, (2, 4, 2): 10, (2, 5, 3): 10,
            (3, 3, 3): 20, (3, 1, 3): 20, (4, 4, 4): 20, (4, 2, 5): 20, (5, 5, 5): 20, (5, 3, 5): 20,
        },
        # Before: 1, 2 and 4 keep their names (a tie keeps it), 3 has 20 of 1, 3 and 5, 5 has 20 of 5 and 10 of 2.
        "genuine", (F(100, 200), F(150, 200)), options={"labels": [1, 2, 3, 4, 5], "ordinal": True},
    ),
    # 40 answers could not be read before; what is unparsed may be renamed to the mode of what it stands for.
    "unparsed before": Case(
        {("a", "a", "a"): 30, ("a", None, "a"): 30, ("b", "b", "b"): 50, ("b", None, "b"): 10},
        "genuine", (F(110, 120), F(1)),
    ),
    "unparsed after": Case(
        {("a", "a", "a"): 30, ("a", "a", None): 30, ("b", "b", "b"): 60}, "loss", (F(1), F(1)),
    ),
}  # fmt: skip


def facts(y: Sequence[Any], b: Sequence[Any], a: Sequence[Any], labels: Sequence[Any]) -> dict[str, Any]:
    """The same numbers in fractions, written from their definitions."""
    n = len(y)
    found: dict[str, Any] = {}
    for name, answers in (("before", b), ("after", a)):
        hits = Counter(t for t, p in zip(y, answers, strict=True) if t == p)
        of_class, given = Counter(y), Counter(answers)
        kept = [label for label in labels if of_class[label] >= 5]
        found[name] = {
            "accuracy": F(sum(hits.values()), n),
            "balanced": sum(F(hits[one], of_class[one]) for one in kept) / len(kept),
            "recall": {one: F(hits[one], of_class[one]) for one in labels if of_class[one]},
            "precision": {one: F(hits[one], given[one]) if given[one] else None for one in labels},
            "rate": {one: F(given[one], n) for one in labels},
            "even": {one: F(one in kept, len(kept)) for one in labels},
            "prior": {one: F(of_class[one], n) for one in labels},
        }
    return found


def difference(part: Any) -> float:
    assert isinstance(part, (Difference, Change))
    return part.value if isinstance(part, Difference) else part.difference


@pytest.mark.parametrize("name", CASES)
def test_constructed_pairs(name: str) -> None:
    case = CASES[name]
    y, b, a = columns(case.table)
    # Fitted on a copy of the examples, A* is the maximum over all relabellings of these very answers.
    audit = audit_predictions(y, b, a, validation=(y, b, a), resamples=500, **case.options)
    labels = sorted({*y, *(one for one in (*b, *a) if one is not None)}, key=str)
    if labels and isinstance(labels[0], int):
        labels.sort()
    expected, slot, parts = facts(y, b, a, labels), audit.slots[0], audit.decomposition
    assert audit.verdict == case.verdict, audit.reason
    assert tuple(label for _, label in audit.suppressed) == case.suppressed
    assert audit.labels == tuple(map(str, labels))
    one, two = expected["before"], expected["after"]
    close = lambda value: pytest.approx(float(value), abs=1e-9)  # noqa: E731
    gain = two["accuracy"] - one["accuracy"]
    assert parts.accuracy.before == close(one["accuracy"])
    assert parts.accuracy.difference == close(gain)
    assert isinstance(parts.balanced, Change)
    assert (parts.balanced.before, parts.balanced.after) == (close(one["balanced"]), close(two["balanced"]))
    weighting = sum(
        (one["prior"][label] - one["even"][label]) * (two["recall"][label] - one["recall"][label])
        for label in one["recall"]
    )
    assert difference(parts.weighting) == close(weighting)
    assert difference(parts.weighting) == close(gain - (two["balanced"] - one["balanced"]))
    assert (parts.relabelled.before, parts.relabelled.after) == tuple(map(close, case.star))
    assert parts.after_above.value == close(two["accuracy"] - case.star[0])
    assert parts.calibration.value == close(gain - (case.star[1] - case.star[0]))
    assert slot.reweighted[0].accuracy is parts.balanced
    for row, label in zip(slot.classes, labels, strict=True):
        assert row.n == sum(one == label for one in y)
        for part, field_ in ((row.recall, "recall"), (row.precision, "precision"), (row.rate, "rate")):
            before, after = one[field_].get(label), two[field_].get(label)
            if before is None or after is None:
                assert part is None
            else:
                assert part is not None
                assert (part.before, part.after, part.difference) == (
                    close(before),
                    close(after),
                    close(after - before),
                )
    table = Counter(zip(y, a, strict=True))
    assert slot.after.table == tuple(
        tuple(table[label, answer] for answer in (*labels, None)) for label in labels
    )
    assert json.loads(audit.to_json())["verdict"] == case.verdict
    assert (audit.verdict in PREVALENCE_TYPE) == (case.verdict in ("relabelling", "threshold", "prevalence"))


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("ordinal", "too few to tell")])
def test_cross_fitting_gives_the_same_verdicts(name: str) -> None:
    """And nearly the same A*, since no fold can turn these tables."""
    case = CASES[name]
    audit = audit_predictions(*columns(case.table), resamples=500, **case.options)
    assert audit.fitted == "cross-fitted"
    assert audit.verdict == case.verdict, audit.reason
    star, strict = audit.decomposition.relabelled, audit.decomposition.strict
    # The strict bar is fitted on these very examples.
    assert strict.value == pytest.approx(audit.decomposition.accuracy.after - float(case.star[0]), abs=1e-9)
    assert (star.before, star.after) == (
        pytest.approx(float(case.star[0]), abs=0.03),
        pytest.approx(float(case.star[1]), abs=0.03),
    )


def evidence(
    counts: Mapping[tuple[int, float], int], cut: float
) -> tuple[list[int], list[int], list[list[float]]]:
    """Truth, answers and log-probabilities of one signal: the log-odds are its distance from the cut."""
    rows = [key for key, count in counts.items() for _ in range(count)]
    scores = [
        [-log(1 + 2.718281828459045 ** (x - cut)), -log(1 + 2.718281828459045 ** (cut - x))] for _, x in rows
    ]
    return [y for y, _ in rows], [int(x > cut) for _, x in rows], scores


SIGNAL = {(0, -1.0): 70, (0, 0.0): 49, (0, 1.0): 21, (1, -1.0): 6, (1, 0.0): 12, (1, 1.0): 42}


def test_threshold_shift_with_probabilities() -> None:
    """The table of the case without them: the best threshold of the before prompt is the after prompt's."""
    y, b, scores = evidence(SIGNAL, -0.4)
    a = evidence(SIGNAL, 0.5)[1]
    for validation in (None, (y, b, a, scores)):
        audit = audit_predictions(y, b, a, labels=[0, 1], before_scores=scores, validation=validation)
        bench = audit.decomposition.biased
        assert bench is not None
        assert (audit.verdict, audit.suppressed) == ("threshold", ())
        assert bench.before == pytest.approx((70 + 49 + 42) / 200, abs=1e-9)
        assert bench.after_above.value == pytest.approx(0, abs=1e-9)
        # Thresholds in logits lie at −0.6, 0.4 and 1.4; the one between the last two is nearest to none.
        assert bench.biases[0][1] - bench.biases[0][0] == pytest.approx(-0.9, abs=1e-9)
        assert (bench.agreement, bench.scored, bench.after) == (1.0, 1.0, None)
    assert "Threshold shift not excluded" not in " ".join(audit.notes)
    plain = audit_predictions(y, b, a, labels=[0, 1])
    assert plain.verdict == "genuine"
    assert "not excluded" in plain.reason
    assert any(note.startswith("Threshold shift not excluded") for note in plain.notes)


def test_threshold_shift_that_suppresses_a_class() -> None:
    signal = {(0, -1.0): 60, (0, 0.0): 80, (1, 0.0): 40, (1, 1.0): 20}
    y, b, scores = evidence(signal, -0.4)
    a = evidence(signal, 0.5)[1]
    audit = audit_predictions(y, b, a, labels=[0, 1], before_scores=scores)
    # Renaming 1 to 0 reaches 70 %, the after prompt 80 %, as any threshold above 0 does.
    assert audit.decomposition.relabelled.before == pytest.approx(0.7, abs=1e-9)
    assert audit.decomposition.accuracy.after == pytest.approx(0.8, abs=1e-9)
    assert (audit.verdict, audit.suppressed) == ("prevalence", ((0, "1"),))
    assert "threshold shift" in audit.reason
    better = [
        0 if x < 0.5 and label == 0 else 1 for (label, x), count in signal.items() for _ in range(count)
    ]
    after = evidence({(label, float(answer)): 1 for label, answer in [(0, 0), (1, 1)]}, 0.5)
    assert after[1] == [0, 1]
    genuine = audit_predictions(y, b, better, labels=[0, 1], before_scores=scores)
    assert (genuine.verdict, genuine.suppressed) == ("genuine", ())
    assert "not excluded" not in genuine.reason


def web_of_lies() -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], list[tuple[str, ...]]]:
    """200 truths with "unknown" in the middle slot only (70); a before prompt that over-predicts it, an after prompt that never says so."""
    truth, before, after = [], [], []
    for place in range(200):
        outer = "yes" if place % 2 else "no"
        middle = "unknown" if place < 70 else "yes" if place < 135 else "no"
        truth.append((outer, middle, outer))
        unsure = place % 10 in (0, 3, 4, 7)
        before.append(("unknown" if unsure else outer, "unknown" if unsure or place < 70 else middle, outer))
        after.append((outer, "yes" if middle == "unknown" else middle, outer))
    return truth, before, after


def test_three_slots_with_their_own_priors() -> None:
    y, b, a = web_of_lies()
    audit = audit_predictions(y, b, a, labels=["yes", "no", "unknown"], validation=(y, b, a))
    first, middle, last = audit.slots
    priors = [[row.prior for row in slot.classes] for slot in audit.slots]
    assert priors == [[0.5, 0.5, 0.0], [0.325, 0.325, 0.35], [0.5, 0.5, 0.0]]
    # Unsure are 80 of 200: places ending in 0, 4 (even) and 3, 7 (odd).
    assert first.decomposition.accuracy.before == pytest.approx(120 / 200, abs=1e-9)
    assert first.decomposition.accuracy.after == 1.0
    # In the first slot "unknown" stands for yes and no alike: renaming finds half of it, "no" by the order of ties.
    assert first.decomposition.relabelled.before == pytest.approx((120 + 40) / 200, abs=1e-9)
    assert (first.verdict, last.verdict) == ("genuine", "no gain")
    unsure_known = sum(place % 10 in (0, 3, 4, 7) for place in range(70, 200))
    assert middle.decomposition.accuracy.before == pytest.approx((200 - unsure_known) / 200, abs=1e-9)
    assert middle.decomposition.accuracy.after == pytest.approx(130 / 200, abs=1e-9)
    assert middle.suppressed == ("unknown",)
    assert audit.suppressed == ((1, "unknown"),)
    row = middle.classes[2]
    assert row.recall is not None
    assert (row.recall.before, row.recall.after) == (1.0, 0.0)
    assert row.rate.before == pytest.approx((70 + unsure_known) / 200, abs=1e-9)
    assert (first.suppressed, any("No example of unknown" in note for note in first.notes)) == ((), True)
    # Whole tuples: right before where the middle is unknown and the first is sure, or nothing is unsure.
    right = sum(place % 10 not in (0, 3, 4, 7) for place in range(200))
    assert audit.decomposition.accuracy.before == pytest.approx(right / 200, abs=1e-9)
    assert audit.decomposition.accuracy.after == pytest.approx(130 / 200, abs=1e-9)
    assert isinstance(audit.decomposition.balanced, NotEstimable)
    pooled = sum(tuple_.count("unknown") for tuple_ in y) / 600
    assert pooled == pytest.approx(0.1167, abs=1e-4)


def test_whole_tuples_have_the_relabelling_of_each_slot_that_is_best_together() -> None:
    """Against every combination of relabellings; slots' own optima are another answer."""
    y, b, a = web_of_lies()
    audit = audit_predictions(y, b, a, labels=["yes", "no", "unknown"], validation=(y, b, a))
    labels = ("yes", "no", "unknown")
    counts = Counter(zip(y, b, strict=True))
    best = 0
    for maps in product([dict(zip(labels, to, strict=True)) for to in product(labels, repeat=3)], repeat=2):
        hits = sum(
            count
            for (truth, answer), count in counts.items()
            if maps[0][answer[0]] == truth[0] and maps[1][answer[1]] == truth[1] and answer[2] == truth[2]
        )
        best = max(best, hits)
    assert audit.decomposition.relabelled.before == pytest.approx(best / 200, abs=1e-9)


def test_ordinal_numbers_by_hand() -> None:
    y, b, a = columns(CASES["ordinal"].table)
    audit = audit_predictions(y, b, a, labels=[1, 2, 3, 4, 5], ordinal=True)
    ranks = audit.slots[0].ordinal
    assert ranks is not None and ranks.kappa is not None
    # 20 of 1 off by 2, 10 of 2 by 2 and 10 by 3, 20 each of 3, 4, 5 by 2; after 20 + 10 + 20 off by 1.
    assert ranks.rank_error.before == pytest.approx((40 + 20 + 30 + 120) / 200, abs=1e-9)
    assert ranks.rank_error.after == pytest.approx(50 / 200, abs=1e-9)
    for answers, value in ((b, ranks.kappa.before), (a, ranks.kappa.after)):
        n = len(y)
        observed = F(sum((t - p) ** 2 for t, p in zip(y, answers, strict=True)), n)
        expected = F(
            sum((t - p) ** 2 * c * d for t, c in Counter(y).items() for p, d in Counter(answers).items()),
            n * n,
        )
        assert value == pytest.approx(float(1 - observed / expected), abs=1e-9)
    assert ranks.kappa.interval is not None and ranks.kappa.interval.low > 0
    assert [row.label for row in audit.slots[0].classes] == ["1", "2", "3", "4", "5"]
    reverse = audit_predictions(y, b, a, labels=[5, 4, 3, 2, 1], ordinal=True)
    assert [row.label for row in reverse.slots[0].classes] == ["5", "4", "3", "2", "1"]


def test_other_prevalences() -> None:
    """A hacking prompt's line crosses the seed's: by hand at every share."""
    y, b, a = columns(CASES["threshold shift without probabilities"].table)
    audit = audit_predictions(y, b, a, prior={"a": 0.4, "b": 0.6}, curve="b")
    slot = audit.slots[0]
    even, declared = slot.reweighted
    recall = {"a": (F(70, 140), F(119, 140)), "b": (F(54, 60), F(42, 60))}
    for one, share in ((even, F(1, 2)), (declared, F(3, 5))):
        for side, value in enumerate((one.accuracy.before, one.accuracy.after)):
            expected = (1 - share) * recall["a"][side] + share * recall["b"][side]
            assert value == pytest.approx(float(expected), abs=1e-9)
    curve = slot.curve
    assert curve is not None and curve.label == "b" and curve.observed == pytest.approx(0.3)
    for share, point in zip(curve.shares, curve.points, strict=True):
        assert point.before == pytest.approx((1 - share) * 0.5 + share * 0.9, abs=1e-9)
        assert point.after == pytest.approx((1 - share) * 0.85 + share * 0.7, abs=1e-9)
        assert point.interval is not None and point.interval.low <= point.difference <= point.interval.high
    # 0.35 (1 − s) = 0.2 s.
    assert curve.crossing == pytest.approx(0.35 / 0.55, abs=1e-9)
    other = audit_predictions(y, b, a, curve="a").slots[0].curve
    assert other is not None and other.label == "a" and other.crossing == pytest.approx(0.2 / 0.55, abs=1e-9)
    unseen = audit_predictions(y, b, a, labels=["a", "b", "c"], prior={"c": 1.0})
    assert [one.name for one in unseen.slots[0].reweighted] == ["balanced"]
    assert any("no example of c" in note for note in unseen.slots[0].notes)


def test_a_failed_call_is_missing_and_an_unparsed_answer_wrong() -> None:
    y, b, a = ["x"] * 10 + ["y"] * 10, ["x"] * 20, ["x"] * 10 + ["y"] * 10
    b = [*b[:18], float("nan"), MISSING]
    a = [None, *a[1:]]
    audit = audit_predictions(y, b, a)
    counts = audit.counts
    assert (counts.given, counts.pairs, counts.missing, counts.unparsed_after) == (20, 18, 2, 1)
    assert audit.decomposition.accuracy.after == pytest.approx(17 / 18)
    assert audit.slots[0].after.table[0] == (9, 0, 1)
    left_out = audit_predictions(y, b, a, unparsed="exclude")
    assert (left_out.counts.pairs, left_out.counts.excluded) == (17, 1)
    assert left_out.decomposition.accuracy.after == 1.0


def test_missing_answers_that_could_turn_the_gain() -> None:
    y, b, a = columns(CASES["pure discrimination"].table)
    few = audit_predictions([*y, "a"], [*b, MISSING], [*a, "a"])
    assert few.verdict == "genuine"
    many = audit_predictions([*y, *["a"] * 60], [*b, *["a"] * 60], [*a, *[MISSING] * 60])
    assert many.verdict == "cannot tell"
    assert "60 failed calls" in many.reason


def test_identical_predictions_are_no_gain_however_few() -> None:
    audit = audit_predictions(["a", "b", "a"], ["a", "a", "a"], ["a", "a", "a"])
    assert (audit.verdict, audit.identical) == ("no gain", True)
    assert any("the same for all 3 examples" in note for note in audit.notes)
    gain = audit.decomposition.accuracy
    assert gain.interval is not None and gain.interval.high > 0.2, "three examples do not make a point"
    assert isinstance(audit.decomposition.balanced, NotEstimable)


def test_the_same_seed_gives_the_same_audit() -> None:
    table = CASES["mixture"].table
    first, again = (audit_predictions(*columns(table), seed=7) for _ in range(2))
    assert first.to_json() == again.to_json()
    assert first.to_json() != audit_predictions(*columns(table), seed=8).to_json()


def test_numpy_numbers_and_whole_floats_are_the_same_labels() -> None:
    plain = audit_predictions([0, 1, 2] * 10, [0, 1, 1] * 10, [0, 1, 2] * 10)
    arrays = audit_predictions(
        np.array([0, 1, 2] * 10), np.array([0.0, 1.0, 1.0] * 10), np.array([0, 1, 2] * 10, dtype=np.int32)
    )
    assert isinstance(arrays, PredictionAudit)
    assert plain.to_json() == arrays.to_json()
    assert plain.labels == ("0", "1", "2")
