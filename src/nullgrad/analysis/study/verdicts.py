"""Which predictions of the gradient hypothesis hold, fail, or cannot be told, by task, selection and model.

Each line is read off the verdicts of the contrasts that test it: `supported` and `contradicted` by their intervals, `equal`
by a margin that the study declared. A result that is not significant decides nothing. A prediction holds where a contrast
shows it and none refutes it; it fails where one is refuted, whatever another shows, since it is made in general.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nullgrad.analysis.stats.contrast import Verdict
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.analysis.stats.trend import Trend
from nullgrad.analysis.study.contrasts import StudyContrast
from nullgrad.analysis.study.rows import SHOWN, TRUE
from nullgrad.core.arms import PROMPT_ONLY, SEED, Arm
from nullgrad.core.study import Study, differing

Word = Literal["holds", "fails", "cannot tell"]

PREDICTIONS: dict[str, str] = {
    "chain rule": "three stages, as in backpropagation, beat one step",
    "dependence on labels": "correct labels beat wrong or shuffled ones",
    "dependence on an evaluation": "being told how good an output is beats not being told",
    "need for examples": "feedback on examples beats advice that sees none",
    "no gain without examples": "a prompt that sees no example does not beat the seed prompt",
    "fit of true labels": "accuracy on the training examples rises with the epochs",
    "fit of shown labels": "wrong labels, where they are shown, are learned",
    "overfitting": "train accuracy draws away from test accuracy",
    "improvement after two steps": "scores go on rising after the second step",
    "validation": "choosing on validation beats taking the new prompt at once",
    "validation as a guard": "keeping the current prompt where no variant is better helps by itself",
    "validation by drawing": "choosing among more variants helps by itself",
    "validation labels": "validating against correct labels beats validating against corrupted ones",
    "propagation through a critic": "labels, or the optimization of its prompt, reach the prompt through a critic",
    "a critic in place of labels": "a critic's words do as well as the label itself",
}
"""What the hypothesis predicts. The paper's reading of validation is the reverse of it: drawing helps, guarding does not."""

LEVELS_OFF = "levels off after two steps"
NO_HARM = "wrong labels do no harm"
NO_INFORMATION = "labels without information do as well"
DRAWING = "validation helps by drawing, not by guarding"
UNSEEN = "improves without seeing an example"
ONE_STEP = "one step does as well as three"
NO_FIT = "training does not fit the data"
NOT_LEARNED = "wrong labels are not learned"

SIGNATURES = (LEVELS_OFF, NO_HARM, NO_INFORMATION, DRAWING, UNSEEN, ONE_STEP, NO_FIT, NOT_LEARNED)
"""The failure signatures of the paper. Each needs a decided verdict: a difference, or equality by a declared margin."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One contrast as evidence; differences as shares.

    Attributes:
        contrast: its name.
        compared: what is compared, in words.
        difference, interval: first − second, on this split; a trend has neither, but `tau`.
        p, alpha, detectable: one-sided, its corrected level, and the smallest effect that would have been found.
        verdict: of the contrast, in its declared direction.
        word: what it says of the prediction.
        reason: of the verdict.
        tau: Kendall's, of a trend; None elsewhere.
    """

    contrast: str
    compared: str
    difference: Estimate
    interval: Interval | NotEstimable
    p: Estimate
    alpha: float
    detectable: Estimate
    verdict: Verdict
    word: Word
    reason: str
    tau: float | None = None

    @property
    def text(self) -> str:
        """One clause."""
        parts: list[str] = [self.verdict]
        if self.tau is not None:
            parts.append(f"τ = {self.tau:.3f}")
        elif isinstance(self.difference, NotEstimable):
            parts.append(str(self.difference))
        else:
            parts.append(f"{_points(self.difference):+.1f} points{_ends(self.interval)}")
        if not isinstance(self.p, NotEstimable):
            parts.append(f"p = {p_text(self.p)} (α {self.alpha:.4g})")
            if self.verdict == "supported" and self.p > self.alpha:
                parts.append("which the permutation test does not reach")
        if self.verdict == "cannot tell" and not isinstance(self.detectable, NotEstimable):
            parts.append(f"detectable {_points(self.detectable):.1f} points")
        return f"{self.contrast}: {', '.join(parts)}"


def _points(share: float) -> float:
    return round(100 * share, 1) + 0.0


def _ends(interval: Interval | NotEstimable) -> str:
    if isinstance(interval, NotEstimable):
        return ""
    return f" [{_points(interval.low):.1f}, {_points(interval.high):.1f}]"


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One prediction in one cell under one selection.

    Attributes:
        cell, task, model: which.
        selection: of the arms; of contrasts between selections both.
        prediction: a key of `PREDICTIONS`.
        word: `holds`, `fails` or `cannot tell`.
        text: why, a sentence.
        evidence: the contrasts that it rests on.
        signatures: failure signatures that they show.
    """

    cell: str
    task: str
    model: str
    selection: str
    prediction: str
    word: Word
    text: str
    evidence: tuple[Evidence, ...]
    signatures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """A failure signature that was seen in a cell, with the contrasts that show it."""

    name: str
    cell: str
    evidence: tuple[str, ...]


def p_text(p: float) -> str:
    """A p with two significant digits, never 0."""
    return f"{p:.2g}" if p >= 1e-5 else f"{p:.0e}"


@dataclass(frozen=True, slots=True)
class _Test:
    """How a contrast bears on a prediction: `sign` is 1 where `supported` is for it, −1 where it is against it.

    `equal` is what equality says of it.
    """

    prediction: str
    selection: str
    sign: int = 1
    equal: Word = "fails"

    def word(self, verdict: Verdict) -> Word:
        if verdict == "cannot tell":
            return "cannot tell"
        if verdict == "equal":
            return self.equal
        return "holds" if (verdict == "supported") == (self.sign > 0) else "fails"


def study_verdicts(study: Study, contrasts: Sequence[StudyContrast]) -> tuple[VerdictLine, ...]:
    """One line per prediction that the contrasts test, by cell and selection, in the order of `PREDICTIONS`."""
    seen = signatures(study, contrasts)
    groups: dict[tuple[str, str, str], list[tuple[_Test, StudyContrast]]] = {}
    for one in contrasts:
        test = _test(one)
        if test is not None:
            groups.setdefault((one.cell, test.prediction, test.selection), []).append((test, one))
    order = list(PREDICTIONS)
    cells = [cell.name for cell in study.cells]
    lines = []
    for cell, prediction, selection in sorted(
        groups, key=lambda key: (cells.index(key[0]), order.index(key[1]), key[2])
    ):
        tests = groups[cell, prediction, selection]
        evidence = tuple(_evidence(test, one) for test, one in tests)
        names = {item.contrast for item in evidence}
        word, text = _combined(prediction, evidence)
        lines.append(
            VerdictLine(
                cell,
                tests[0][1].task,
                tests[0][1].model,
                selection,
                prediction,
                word,
                text,
                evidence,
                tuple(one.name for one in seen if one.cell == cell and names & set(one.evidence)),
            )
        )
    return tuple(lines)


def undeclared(lines: Sequence[VerdictLine]) -> tuple[str, ...]:
    """Predictions that no declared contrast tests."""
    tested = {line.prediction for line in lines}
    return tuple(name for name in PREDICTIONS if name not in tested)


def _combined(prediction: str, evidence: Sequence[Evidence]) -> tuple[Word, str]:
    holds = [item.contrast for item in evidence if item.word == "holds"]
    fails = [item.contrast for item in evidence if item.word == "fails"]
    open_ = len(evidence) - len(holds) - len(fails)
    rest = f" {open_} of {len(evidence)} contrasts cannot be told." if open_ and (holds or fails) else ""
    what = PREDICTIONS[prediction]
    if fails and holds:
        return (
            "fails",
            f"Not in general that {what}: shown by {_names(holds)}, refuted by {_names(fails)}.{rest}",
        )
    if fails:
        return "fails", f"Refuted that {what}: {_names(fails)}.{rest}"
    if holds:
        return "holds", f"Shown that {what}: {_names(holds)}.{rest}"
    reasons = dict.fromkeys(item.reason for item in evidence)
    return "cannot tell", f"Open whether {what}. {' '.join(reasons)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _evidence(test: _Test, one: StudyContrast) -> Evidence:
    result = one.result
    tau = one.trend if isinstance(one.trend, NotEstimable) else NotEstimable("a trend has no difference")
    return Evidence(
        _name(one),
        f"{one.first} > {one.second}",
        one.difference if result is not None else tau,
        tau if result is None else result.interval,
        one.p,
        one.alpha,
        tau if result is None else result.detectable,
        one.verdict,
        test.word(one.verdict),
        one.reason,
        one.trend.tau if isinstance(one.trend, Trend) else None,
    )


def _name(one: StudyContrast) -> str:
    """The contrast's name; a reading beside it says which it is."""
    return (
        one.name
        if one.role == "declared"
        else f"{one.name} ({one.first} > {one.second}, {one.labels} labels)"
    )


def _selection(arm: Arm) -> str:
    text = arm.canonical.rpartition("/")[2]
    return text if arm != SEED else ""


def _test(one: StudyContrast) -> _Test | None:
    """The prediction that a contrast tests, None for one that the hypothesis is silent about."""
    if one.kind == "arms":
        return _of_arms(*one.arms)
    if one.kind == "trend":
        return _Test("validation by drawing", "number of variants")
    if one.kind == "plateau":
        return _Test("improvement after two steps", _selection(one.arms[0]))
    if one.kind == "fit":
        return _of_fit(one)
    return None


def _of_fit(one: StudyContrast) -> _Test | None:
    (arm,) = one.arms
    correct = arm.labels == "correct"
    if one.on == "train and test":
        return _Test("overfitting", _selection(arm)) if correct else None
    if one.labels == TRUE and correct:
        return _Test("fit of true labels", _selection(arm))
    if one.labels == SHOWN and not correct:
        return _Test("fit of shown labels", _selection(arm))
    return None


def _of_arms(first: Arm, second: Arm) -> _Test | None:
    for one, two, sign in ((first, second, 1), (second, first, -1)):
        found = _directed(one, two)
        if found is not None:
            prediction, selection, equal = found
            own = -1 if prediction in INVERTED else 1
            return _Test(prediction, selection, sign * own, equal)
    return None


INVERTED = frozenset({"no gain without examples", "a critic in place of labels"})
"""Predictions that something makes no difference, or a loss: a difference refutes them."""


def _directed(better: Arm, worse: Arm) -> tuple[str, str, Word] | None:
    """Prediction, selection and what equality says, where the first arm is the one with more of the ingredient."""
    fields = differing(better, worse)
    selection = _selection(better)
    if worse == SEED:
        return ("no gain without examples", selection, "holds") if better.update in PROMPT_ONLY else None
    if better == SEED:
        return None
    if fields <= {"selection", "n"}:
        prediction = _of_selections(better, worse)
        return None if prediction is None else (prediction, f"{selection} > {_selection(worse)}", "fails")
    if fields == {"validation_labels"}:
        return ("validation labels", selection, "fails") if better.validation_labels == "correct" else None
    if fields == {"update"} and (better.update, worse.update) == ("gradient", "one-step"):
        return "chain rule", selection, "fails"
    if better.uses_examples and worse.update == "improve" and fields <= {"update", "evaluator"}:
        return "need for examples", selection, "fails"
    if fields == {"labels"} and better.labels == "correct":
        name = "propagation through a critic" if better.critic else "dependence on labels"
        return name, selection, "fails"
    if fields == {"frozen"} and worse.frozen:
        return "propagation through a critic", selection, "fails"
    if fields == {"evaluator"}:
        return _of_evaluators(better, worse, selection)
    return None


def _of_evaluators(better: Arm, worse: Arm, selection: str) -> tuple[str, str, Word] | None:
    if better.evaluator == "direct" and worse.critic:
        return ("a critic in place of labels", selection, "holds") if better.labels == "correct" else None
    if worse.evaluator == "none":
        name = "propagation through a critic" if better.critic else "dependence on an evaluation"
        return name, selection, "fails"
    return None


def _of_selections(better: Arm, worse: Arm) -> str | None:
    one, two = (better.selection, better.n), (worse.selection, worse.n)
    if one == ("validated", 1) and two == ("naive", 1):
        return "validation as a guard"
    if one[0] == "validated" and two == ("best", one[1]):
        return "validation as a guard"
    if one[0] == "validated" and two == ("naive", 1):
        return "validation"
    if one[0] == "best" and two[0] in ("naive", "random") and two[1] in (1, one[1]):
        return "validation by drawing"
    if one[0] == two[0] in ("validated", "best") and one[1] > two[1]:
        return "validation by drawing"
    return None


def signatures(study: Study, contrasts: Sequence[StudyContrast]) -> tuple[Signature, ...]:
    """Failure signatures of the paper that the contrasts show, cell by cell."""
    found: list[Signature] = []
    for cell in study.cells:
        own = [one for one in contrasts if one.cell == cell.name and one.kind != "models"]
        by_name: dict[str, list[str]] = {}
        for one in own:
            for name in _shown(one):
                by_name.setdefault(name, []).append(_name(one))
        drawing = _drawing(own)
        if drawing:
            by_name[DRAWING] = drawing
        found += [Signature(name, cell.name, tuple(by_name[name])) for name in SIGNATURES if name in by_name]
    return tuple(found)


def _shown(one: StudyContrast) -> Iterator[str]:
    """Signatures that one contrast shows by itself."""
    test = _test(one)
    if test is None:
        return
    word = test.word(one.verdict)
    match test.prediction:
        case "improvement after two steps" if one.verdict == "equal":
            yield LEVELS_OFF
        case "dependence on labels" | "propagation through a critic" if word == "fails":
            labels = {arm.labels for arm in one.arms}
            if "wrong" in labels:
                yield NO_HARM
            elif "shuffled" in labels:
                yield NO_INFORMATION
        case "no gain without examples" if word == "fails":
            yield UNSEEN
        case "chain rule" if word == "fails":
            yield ONE_STEP
        case "fit of true labels" if word == "fails":
            yield NO_FIT
        case "fit of shown labels" if word == "fails":
            yield NOT_LEARNED


def _drawing(contrasts: Sequence[StudyContrast]) -> list[str]:
    """Contrasts of one update and evaluation of which the guard alone brings nothing and choosing among more does."""
    by_update: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for one in contrasts:
        test = _test(one)
        if test is None or not test.prediction.startswith("validation"):
            continue
        key = one.arms[0].canonical.rpartition("/")[0]
        guards, kept, draws = by_update.setdefault(key, ([], [], []))
        word = test.word(one.verdict)
        if test.prediction == "validation as a guard":
            (guards if word == "fails" else kept if word == "holds" else []).append(_name(one))
        elif word == "holds" and test.prediction in ("validation by drawing", "validation"):
            draws.append(_name(one))
    return [
        name
        for guards, kept, draws in by_update.values()
        if guards and draws and not kept
        for name in (*draws, *guards)
    ]
