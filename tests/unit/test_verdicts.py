"""Every word of every prediction, reached by a constructed world; and no equality without a margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from nullgrad.analysis.study.result import StudyResult
from nullgrad.analysis.study.verdicts import PREDICTIONS, SIGNATURES, VerdictLine
from nullgrad.core.arms import parse_arm
from nullgrad.core.study import ContrastSpec
from tests.support.study_facts import (
    a_contrast,
    a_study,
    a_trial,
    analysed,
    batches,
    keyed,
    of_scores,
    right,
    within,
)

N = 8
HIGH, LOW = [32, 30, 33, 31, 34, 32, 31, 33], [20, 22, 19, 21, 23, 20, 22, 18]
SAME = [31, 32, 31, 32, 32, 33, 32, 31]
"""Within five points of HIGH on average, and close to it block by block."""
NEAR = [33, 31, 32, 30, 33, 33, 32, 32]
WIDE = [40, 10, 38, 12, 39, 11, 40, 9]

C, W, S, NO = (f"gradient/{e}/naive" for e in ("correct", "wrong", "shuffled", "none"))
ONE = "one-step/correct/naive"


def world(
    scores: Mapping[str, Sequence[float]], contrasts: Sequence[ContrastSpec], **changes: object
) -> StudyResult:
    arms = {arm: N for arm in scores if arm != "seed"}
    return analysed(a_study(arms, contrasts, **changes), of_scores(scores))


def line(result: StudyResult, prediction: str) -> VerdictLine:
    (found,) = [one for one in result.verdicts if one.prediction == prediction]
    return found


TESTS = [
    ("chain rule", C, ONE, "one step does as well as three"),
    ("dependence on labels", C, W, "wrong labels do no harm"),
    ("dependence on labels", C, S, "labels without information do as well"),
    ("dependence on an evaluation", C, NO, None),
    ("need for examples", C, "improve", None),
    ("validation", "gradient/correct/validated@3", C, None),
    ("validation as a guard", "gradient/correct/validated@1", C, None),
    ("validation as a guard", "gradient/correct/validated@3", "gradient/correct/best@3", None),
    ("validation by drawing", "gradient/correct/best@3", C, None),
    ("validation by drawing", "gradient/correct/validated@5", "gradient/correct/validated@1", None),
    ("validation labels", "gradient/correct/validated@3", "gradient/correct/validated@3+wrong", None),
    ("propagation through a critic", "gradient/critic-binary/naive", "gradient/critic-binary-wrong/naive",
     "wrong labels do no harm"),
    ("propagation through a critic", "gradient/critic-smooth/naive", "gradient/critic-smooth+frozen/naive", None),
    ("propagation through a critic", "gradient/critic-smooth/naive", "gradient/none/naive", None),
]  # fmt: skip


@pytest.mark.parametrize(("prediction", "better", "worse", "signature"), TESTS)
def test_each_word_of_what_predicts_a_difference(
    prediction: str, better: str, worse: str, signature: str | None
) -> None:
    for first, second, margin, word in (
        (HIGH, LOW, 0.1, "holds"),
        (LOW, HIGH, 0.1, "fails"),
        (HIGH, NEAR, 0.1, "fails"),
        (HIGH, NEAR, None, "cannot tell"),
        (HIGH, WIDE, 0.05, "cannot tell"),
    ):
        result = world({better: first, worse: second}, [a_contrast(better, worse, margin=margin)])
        found = line(result, prediction)
        assert found.word == word, (first, second)
        seen = {one.name for one in result.signatures}
        assert seen == ({signature} if signature and word == "fails" else set())
        assert found.signatures == tuple(seen)
        assert prediction not in result.undeclared
        # Declared the other way round, the same world says the same.
        turned = world({better: first, worse: second}, [a_contrast(worse, better, margin=margin)])
        assert line(turned, prediction).word == word


@pytest.mark.parametrize(
    ("prediction", "first", "second"),
    [
        ("no gain without examples", "improve", "seed"),
        ("no gain without examples", "rewrite", "seed"),
        ("a critic in place of labels", C, "gradient/critic-binary/naive"),
    ],
)
def test_each_word_of_what_predicts_none(prediction: str, first: str, second: str) -> None:
    for one, two, margin, word in (
        (HIGH, LOW, 0.1, "fails"),
        (LOW, HIGH, 0.1, "holds"),
        (HIGH, NEAR, 0.1, "holds"),
        (HIGH, NEAR, None, "cannot tell"),
    ):
        result = world({first: one, second: two}, [a_contrast(first, second, margin=margin)])
        assert line(result, prediction).word == word
        seen = [s.name for s in result.signatures]
        improves = word == "fails" and second == "seed"
        assert seen == (["improves without seeing an example"] if improves else [])


def test_a_result_that_is_not_significant_is_never_equality() -> None:
    found = line(world({C: HIGH, ONE: SAME}, [a_contrast(C, ONE)]), "chain rule")
    assert found.word == "cannot tell"
    assert "no margin was declared" in found.text
    (evidence,) = found.evidence
    assert "detectable" in evidence.text
    assert "p = " in evidence.text


def test_a_prediction_that_one_contrast_refutes_fails_whatever_another_shows() -> None:
    other = "one-step/wrong/naive"
    contrasts = [a_contrast(C, W, margin=0.1), a_contrast(ONE, other, margin=0.1)]
    result = world({C: HIGH, W: LOW, ONE: HIGH, other: NEAR}, contrasts)
    found = line(result, "dependence on labels")
    assert found.word == "fails"
    assert "Not in general" in found.text
    assert [one.word for one in found.evidence] == ["holds", "fails"]
    half = world({C: HIGH, W: LOW, ONE: HIGH, other: WIDE}, contrasts)
    found = line(half, "dependence on labels")
    assert found.word == "holds"
    assert "1 of 2 contrasts cannot be told" in found.text


def test_lines_are_by_selection() -> None:
    arms = [C, W, "gradient/correct/validated@3", "gradient/wrong/validated@3"]
    contrasts = [a_contrast(arms[0], arms[1]), a_contrast(arms[2], arms[3])]
    result = world(dict(zip(arms, (HIGH, LOW, LOW, HIGH), strict=True)), contrasts)
    assert [(one.selection, one.word) for one in result.verdicts] == [
        ("naive", "holds"),
        ("validated@3", "fails"),
    ]


V1, V5, B5 = (f"gradient/correct/{s}" for s in ("validated@1", "validated@5", "best@5"))


@pytest.mark.parametrize(
    ("scores", "margin", "seen"),
    [
        ({C: LOW, V1: [v + (-1) ** n for n, v in enumerate(LOW)], B5: HIGH, V5: HIGH}, 0.1, True),
        ({C: LOW, V1: [v + (-1) ** n for n, v in enumerate(LOW)], B5: HIGH, V5: HIGH}, None, False),
        ({C: LOW, V1: HIGH, B5: LOW, V5: HIGH}, 0.1, False),
        ({C: HIGH, V1: LOW, B5: NEAR, V5: NEAR}, 0.1, False),
    ],
)
def test_drawing_is_told_from_guarding_by_the_square(
    scores: dict[str, list[int]], margin: float | None, seen: bool
) -> None:
    contrasts = [
        a_contrast(V1, C, margin=margin),
        a_contrast(V5, C, margin=margin),
        a_contrast(B5, C, margin=margin),
    ]
    result = world(scores, contrasts)
    assert ("validation helps by drawing, not by guarding" in [s.name for s in result.signatures]) is seen


def test_a_plateau_levels_off_only_by_a_margin() -> None:
    def result(second: Sequence[int], margin: float | None) -> StudyResult:
        trials = [a_trial(C, n, right(HIGH[n]), curve={2: right(second[n])}) for n in range(N)]
        return analysed(a_study({C: N}, [within("plateau", C, margin=margin)], curve=(2,)), keyed(trials))

    for second, margin, word, signs in (
        (LOW, 0.1, "holds", ()),
        (NEAR, 0.1, "fails", ("levels off after two steps",)),
        (NEAR, None, "cannot tell", ()),
        ([40] * N, 0.1, "fails", ()),
    ):
        found = line(result(second, margin), "improvement after two steps")
        assert (found.word, found.signatures) == (word, signs)


def fit_world(arm: str, last: float, margin: float | None = 0.2) -> StudyResult:
    """The first epoch has 3 of 6 right, the last one `last` of 6 on average."""
    trials = []
    stream = np.random.default_rng(1)
    for n in range(10):
        count = int(np.clip(round(last + stream.choice((-1, 0, 1))), 0, 6))
        flat = (1.0,) * count + (0.0,) * (6 - count)
        own = [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), flat[:3], flat[3:]]
        trials.append(batches(a_trial(arm, n, right(20)), own, own))
    return analysed(a_study({arm: 10}, [within("fit", arm, margin=margin)]), keyed(trials))


@pytest.mark.parametrize(
    ("arm", "prediction", "signature"),
    [
        (C, "fit of true labels", "training does not fit the data"),
        (W, "fit of shown labels", "wrong labels are not learned"),
    ],
)
def test_fit_of_true_and_of_shown_labels(arm: str, prediction: str, signature: str) -> None:
    for last, margin, word in (
        (5, 0.2, "holds"),
        (3, 0.2, "fails"),
        (3, None, "cannot tell"),
        (1, 0.2, "fails"),
    ):
        result = fit_world(arm, last, margin)
        found = line(result, prediction)
        assert found.word == word
        assert (signature in found.signatures) is (word == "fails")
    # The reading against true labels of an arm that was shown wrong ones is no prediction.
    assert [one.prediction for one in fit_world(W, 5).verdicts] == ["fit of shown labels"]


def test_a_trend_is_drawing_and_says_its_tau() -> None:
    arms = [f"gradient/correct/validated@{n}" for n in (1, 3, 5)]
    spec = ContrastSpec("rise", "f", "trend", tuple(map(parse_arm, arms)))
    found = line(world(dict(zip(arms, (LOW, NEAR, [38] * N), strict=True)), [spec]), "validation by drawing")
    assert found.word == "holds"
    assert "τ = " in found.evidence[0].text
    found = line(world(dict(zip(arms, (WIDE, HIGH, WIDE), strict=True)), [spec]), "validation by drawing")
    assert found.word == "cannot tell"


def test_what_the_hypothesis_is_silent_about_is_no_line() -> None:
    random = "gradient/correct/random@3"
    result = world({C: HIGH, random: LOW}, [a_contrast(random, C)])
    assert result.verdicts == ()
    assert result.undeclared == tuple(PREDICTIONS)


def test_every_signature_is_named_once() -> None:
    assert len(set(SIGNATURES)) == len(SIGNATURES) == 8
