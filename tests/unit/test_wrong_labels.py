"""What is shown in place of the truth: never the right answer, from the question alone, and evenly spread."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import pytest
from scipy.stats import chisquare

from nullgrad.core.arms import parse_arm
from nullgrad.core.draws import DrawPath
from nullgrad.core.evaluation import check_targets, shown_targets
from nullgrad.core.scoring import canonical_target, make_scorer
from nullgrad.core.task import Example, Scorer, TaskView
from nullgrad.core.wrong_labels import RULES, default_rule, shuffled_targets, wrong_target
from nullgrad.errors import UserError
from tests.support.shared import needs_shared, shared
from tests.support.trials import make_view

YES_NO = ("yes", "no", "unknown")
LETTERS = ("(A)", "(B)", "(C)", "(D)")
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Quito", "Hanoi", "Accra", "Minsk")

# rule, labels, slots, scorer, its options, targets in turn
TASKS = {
    "choice": ("choice", LETTERS, 1, "choice", {}, LETTERS),
    "choice-of-letters": ("choice", ("A", "B", "C"), 1, "exact", {}, ("A", "B", "C")),
    "label": ("label", YES_NO, 1, "exact", {}, YES_NO),
    "label-of-two": ("label", ("yes", "no"), 1, "contains", {}, ("yes", "no")),
    "label-open": ("label", (), 1, "normalized", {}, CITIES),
    "slots": ("slots", YES_NO, 3, "labels", {}, ("yes, no, unknown", "no, no, no", "yes, yes, no")),
    "slots-partial": ("slots", YES_NO, 3, "labels", {"partial": True}, ("yes, no, unknown", "no, no, no")),
    "slots-bbeh": ("slots", (), 3, "bbeh", {}, ("yes, no, yes", "no, unknown, no", "yes, yes, no")),
    "number": ("number", (), 1, "number", {}, ("3", "-4", "1000", "0", "2.5")),
    "number-bbeh": ("number", (), 1, "bbeh", {}, ("3", "-4", "1000", "0")),
    "number-tolerant": ("number", (), 1, "number", {"tolerance": 4}, ("3", "-4", "1000")),
    "number-relative": ("number", (), 1, "number", {"relative": 0.05}, ("100", "-40", "60.5")),
    "number-labels": ("number", ("1", "2", "3", "4", "5"), 1, "exact", {}, ("1", "3", "5")),
    "other-example": ("other-example", (), 1, "normalized", {}, CITIES),
    "other-example-number": ("other-example", (), 1, "number", {"relative": 0.05}, ("980", "1000", "1020", "5")),
    "other-example-spellings": ("other-example", (), 1, "normalized", {}, ("Rome", "rome", "oslo!", "Oslo", "Lima", "LIMA")),
    "other-example-set": ("other-example", CITIES, 1, "labels", {}, ("Rome, Oslo", "Oslo", "none", "Lima, Rome")),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    rule: str
    labels: tuple[str, ...]
    scorer: Scorer
    pool: tuple[Example, ...]

    def wrong(self, example: Example, pool: Sequence[Example] | None = None) -> str:
        return wrong_target(
            self.rule, example, self.labels, self.pool if pool is None else pool, scorer=self.scorer
        )


@cache
def case(name: str, n: int = 600) -> Case:
    rule, labels, slots, kind, options, targets = TASKS[name]
    scorer = make_scorer(kind, labels=labels, slots=slots, options=options)
    canonical = [canonical_target(kind, target, labels, slots) for target in targets]
    pool = [Example(f"e{i}", f"What about thing {i}?", canonical[i % len(canonical)]) for i in range(n)]
    return Case(rule, labels, scorer, tuple(pool))


def right(scorer: Scorer, example: Example, shown: str) -> float:
    """The score of a reply that is the right answer, against the target that is shown."""
    answer = scorer.read(example.target)
    assert isinstance(answer, str)
    return scorer.score(answer, shown)


def test_every_rule_is_tried() -> None:
    assert {task[0] for task in TASKS.values()} == set(RULES)


@pytest.mark.parametrize("name", TASKS)
def test_the_right_answer_never_counts_as_right(name: str) -> None:
    one = case(name)
    for example in one.pool:
        shown = one.wrong(example)
        assert shown != example.target
        assert right(one.scorer, example, example.target) == 1.0
        assert right(one.scorer, example, shown) < 1.0, (example.target, shown)


@pytest.mark.parametrize("name", TASKS)
def test_it_is_a_target_of_the_task(name: str) -> None:
    _, labels, slots, kind, _, _ = TASKS[name]
    one = case(name)
    for example in one.pool[:100]:
        shown = one.wrong(example)
        assert canonical_target(kind, shown, labels, slots) == shown
        assert right(one.scorer, dataclasses.replace(example, target=shown), shown) == 1.0


@pytest.mark.parametrize("name", TASKS)
def test_it_depends_on_the_question_and_not_on_its_surroundings(name: str) -> None:
    one = case(name, 120)
    expected = [one.wrong(example) for example in one.pool]
    turned = list(reversed(one.pool))
    mixed = random.Random(1).sample(one.pool, len(one.pool))
    for pool in (turned, tuple(turned), mixed):
        assert [one.wrong(example, pool) for example in one.pool] == expected
    renamed = [dataclasses.replace(example, id=f"other-{example.id}", group="g") for example in one.pool]
    assert [one.wrong(example) for example in renamed] == expected
    retold = [dataclasses.replace(example, input=example.input + " Really?") for example in one.pool]
    changed = sum(one.wrong(example) != was for example, was in zip(retold, expected, strict=True))
    # The next choice, and the only other label, are the same for every question.
    assert (changed == 0) == (one.rule == "choice" or name == "label-of-two")


@pytest.mark.parametrize(
    "name", [n for n, t in TASKS.items() if t[0] in ("choice", "label", "number") and t[1]]
)
def test_with_labels_the_split_does_not_matter(name: str) -> None:
    one = case(name)
    for example in one.pool[:50]:
        assert one.wrong(example, [example]) == one.wrong(example, one.pool[50:]) == one.wrong(example)


def test_the_next_choice_is_taken_in_turn() -> None:
    one = case("choice")
    assert [one.wrong(example) for example in one.pool[:4]] == ["(B)", "(C)", "(D)", "(A)"]


@pytest.mark.parametrize(
    ("question", "target", "shown"),
    [
        ("Which?\n(A) one\n(B) two", "(B)", "(A)"),
        ("Which?\nA) one\nB) two\nC) three", "(C)", "(A)"),
        ("Which?\n  A. one\n  B. two\n  C. three", "(B)", "(C)"),
        ("Which?\nA: one\nB: two", "(A)", "(B)"),
        ("Which of A and B?", "(B)", "(C)"),  # Nothing is listed.
        ("Which?\n(A) one\n(C) three", "(C)", "(D)"),  # No list that begins with all it should.
        ("Which?\n(A) one\n(B) two", "(D)", "(A)"),  # The list does not hold the answer.
    ],
)  # fmt: skip
def test_the_next_choice_is_one_that_the_question_lists(question: str, target: str, shown: str) -> None:
    assert case("choice").wrong(Example("x", question, target)) == shown


def spread(one: Case, target: str, n: int = 4000) -> Counter[str]:
    return Counter(one.wrong(Example(f"q{i}", f"Question {i}", target)) for i in range(n))


@pytest.mark.parametrize(
    ("name", "target", "values"),
    [
        ("label", "no", ("yes", "unknown")),
        ("label-open", "Lima", tuple(city for city in CITIES if city != "Lima")),
        ("number", "7", tuple(str(7 + offset) for offset in range(-10, 11) if offset)),
        ("number", "2.5", tuple(str(Fraction(5, 2) + offset) for offset in ())),
        ("number-tolerant", "1000", tuple(str(1000 + o) for o in range(-10, 11) if abs(o) > 4)),
        ("number-labels", "3", ("1", "2", "4", "5")),
        ("other-example", "Lima", tuple(city for city in CITIES if city != "Lima")),
    ],
)
def test_it_is_uniform_over_what_is_wrong(name: str, target: str, values: tuple[str, ...]) -> None:
    seen = spread(case(name), target)
    if not values:  # A decimal: twenty offsets, never none.
        assert len(seen) == 20 and all(Fraction(one) - Fraction(target) in range(-10, 11) for one in seen)
        values = tuple(seen)
    assert set(seen) == set(values)
    assert chisquare([seen[value] for value in values]).pvalue > 0.001


@pytest.mark.parametrize("name", ["slots", "slots-bbeh"])
def test_tuples_are_uniform_over_the_others(name: str) -> None:
    one = case(name)
    target = "yes, no, yes"
    values = [YES_NO] * 3 if name == "slots" else [("no", "yes"), ("no", "unknown", "yes"), ("no", "yes")]
    others = {", ".join((a, b, c)) for a in values[0] for b in values[1] for c in values[2]} - {target}
    seen = spread(one, target, 6000)
    assert set(seen) == others
    assert chisquare([seen[other] for other in sorted(others)]).pvalue > 0.001


def content_but_for_two(answer: str, target: str) -> float:
    return float(target not in ("label 7", "label 150"))


@pytest.mark.parametrize("rule", ["label", "other-example", "slots"])
def test_it_is_uniform_where_little_is_wrong(rule: str) -> None:
    names = tuple(f"label {i}" for i in range(200))
    scorer = make_scorer("mine:score", function=content_but_for_two)
    one = Case(rule, (), scorer, tuple(Example(name, name, name) for name in names))
    seen = spread(one, "label 1", 600)
    assert set(seen) == {"label 7", "label 150"}
    assert chisquare(list(seen.values())).pvalue > 0.001


def test_the_target_of_another_example_comes_as_often_as_it_occurs() -> None:
    targets = ["Rome"] * 60 + ["Oslo"] * 30 + ["Lima"] * 10
    pool = tuple(Example(str(i), f"q {i}", target) for i, target in enumerate(targets))
    one = Case("other-example", (), make_scorer("exact"), pool)
    seen = spread(one, "Rome")
    assert set(seen) == {"Oslo", "Lima"}
    assert chisquare([seen["Oslo"], seen["Lima"]], [3000, 1000]).pvalue > 0.001


@pytest.mark.parametrize("target", ["0", "10", "-10", "5", "0.1", str(2**53), str(10**30), "-1000000"])
def test_number_offsets_are_whole_within_ten_and_never_zero(target: str) -> None:
    seen = spread(case("number"), target, 1000)
    offsets = {Fraction(shown) - Fraction(target) for shown in seen}
    assert offsets == {Fraction(o) for o in range(-10, 11)} - {0}


def test_a_step_that_floats_cannot_see_is_not_taken() -> None:
    one = case("number-bbeh")
    big = str(2**56)
    seen = spread(one, big, 500)
    assert 1 <= len(seen) < 20 and all(float(shown) != float(big) for shown in seen)
    with pytest.raises(UserError, match="no wrong target"):
        one.wrong(Example("x", "q", str(10**30)))


def within_ten_percent(answer: str, target: str) -> float:
    return float(abs(float(answer) - float(target)) <= 0.1 * abs(float(target)))


def never_content(answer: str, target: str) -> float:
    return 1.0


REFUSED = [
    ("number", "number", {"relative": 0.05}, None, ("1000", "1010"), "tolerance"),
    ("number", "number", {"tolerance": 10}, None, ("3", "30"), "tolerance"),
    ("number", "mine:score", {}, within_ten_percent, ("1000", "2000"), "other-example"),
    ("other-example", "number", {"relative": 0.5}, None, ("10", "11", "12"), "tolerance"),
    ("other-example", "mine:score", {}, never_content, ("a", "b"), "leave out"),
    ("label", "mine:score", {}, never_content, ("a", "b", "c"), "`wrong`"),
    ("choice", "mine:score", {}, never_content, ("A", "B"), "`wrong`"),
    ("slots", "mine:score", {}, never_content, ("a, b", "c, d"), "`wrong`"),
]


@pytest.mark.parametrize(("rule", "kind", "options", "function", "targets", "way"), REFUSED)
def test_where_the_scorer_takes_all_of_them_for_right_there_is_none(
    rule, kind, options, function, targets, way
) -> None:
    scorer = make_scorer(kind, options=options, function=function)
    pool = tuple(Example(target, f"q {target}", target) for target in targets)
    with pytest.raises(UserError) as caught:
        wrong_target(rule, pool[0], (), pool, scorer=scorer)
    assert repr(pool[0].id) in caught.value.what and "has no wrong target" in caught.value.what
    assert "told the truth" in caught.value.consequence and way in caught.value.ways_out


@pytest.mark.parametrize(
    ("rule", "labels", "targets", "fragment"),
    [
        ("label", ("yes",), ("yes",), "only one label"),
        ("label", ("yes", "no"), ("maybe",), "none of the labels"),
        ("choice", ("A",), ("A",), "only one choice"),
        ("choice", ("A", "B"), ("C",), "none of the labels"),
        ("slots", (), ("yes, no", "yes, no"), "only one value"),
        ("number", (), ("five",), "not a number"),
        ("number", ("100", "200"), ("100",), "no label is within 10"),
        ("other-example", (), ("Paris", "PARIS", " paris."), "all targets are equal"),
        ("other-example", (), ("1000", "1,000", "1000.0"), "all targets are equal"),
        ("next", (), ("a", "b"), "no rule"),
    ],
)  # fmt: skip
def test_what_has_no_wrong_target_is_said(rule, labels, targets, fragment) -> None:
    pool = tuple(Example(str(i), f"q {i}", target) for i, target in enumerate(targets))
    with pytest.raises(UserError, match=fragment):
        wrong_target(rule, pool[0], labels, pool, scorer=make_scorer("mine:score", function=never_content))


def test_a_judge_is_not_asked_and_a_pattern_need_not_match_the_target() -> None:
    from nullgrad.edges.packs import load_pack

    judge = make_scorer("judge", options={"rubric": "r"}, judge_words=load_pack("standard")["judge"])
    pattern = make_scorer("regex", options={"pattern": "Answer: (.*)"})
    for scorer in (judge, pattern):
        one = dataclasses.replace(case("label-open"), scorer=scorer)
        assert all(one.wrong(example) != example.target for example in one.pool[:50])


def test_the_same_list_in_another_order_is_right_for_a_set_and_wrong_for_a_text() -> None:
    pool = (Example("1", "q", "x, y"), Example("2", "r", "y, x"))
    as_text, as_set = make_scorer("exact"), make_scorer("labels")
    assert wrong_target("other-example", pool[0], (), pool, scorer=as_text) == "y, x"
    with pytest.raises(UserError, match="no wrong target"):
        wrong_target("other-example", pool[0], (), pool, scorer=as_set)


@pytest.mark.parametrize(
    ("kind", "labels", "slots", "rule"),
    [
        ("labels", YES_NO, 3, "slots"),
        ("bbeh", (), 2, "slots"),
        ("number", (), 1, "number"),
        ("labels", YES_NO, 1, "other-example"),
        ("choice", (), 1, "choice"),
        ("exact", ("A", "B"), 1, "choice"),
        ("exact", LETTERS, 1, "choice"),
        ("exact", YES_NO, 1, "label"),
        ("exact", ("A",), 1, "label"),
        ("normalized", (), 1, "other-example"),
    ],
)
def test_the_rule_that_fits(kind: str, labels: tuple[str, ...], slots: int, rule: str) -> None:
    assert default_rule(kind, labels, slots) == rule


# Shown targets of a split


def number_view(**options: object) -> TaskView:
    def numbers(split: str, values: Sequence[int]) -> tuple[Example, ...]:
        return tuple(Example(f"{split}{v}", f"{split} {v}?", str(v)) for v in values)

    return dataclasses.replace(
        make_view(),
        train=numbers("train", [3, 30, 60]),
        validation=numbers("validation", [500, 1000]),
        labels=(),
        scorer=make_scorer("number", options=options),
        wrong="number",
    )


@pytest.mark.parametrize(
    ("arms", "options", "refused"),
    [
        (["gradient/wrong"], {}, None),
        (["gradient/wrong"], {"relative": 0.05}, None),
        (["gradient/wrong"], {"tolerance": 10}, "train3"),
        (["gradient/correct/validated@3+wrong"], {}, None),
        (["gradient/correct/validated@3+wrong"], {"relative": 0.05}, "validation500"),
        (["gradient/correct", "rewrite/best@2+wrong"], {"relative": 0.05}, "validation500"),
        (["gradient/correct/validated@3", "one-step/shuffled", "improve", "seed"], {"tolerance": 10}, None),
        (["one-step/none/best@2+shuffled"], {"tolerance": 10}, None),
    ],
)
def test_what_an_arm_cannot_show_is_said_before_anything_is_asked(arms, options, refused) -> None:
    view = number_view(**options)
    if refused is None:
        check_targets(view, map(parse_arm, arms))
        return
    with pytest.raises(UserError, match=refused):
        check_targets(view, map(parse_arm, arms))


def test_wrong_targets_are_the_same_in_every_trial_arm_and_study() -> None:
    view = make_view(labels=YES_NO)
    seen = [
        shown_targets(view, "wrong", view.train, DrawPath(seed, trial, arm), split)
        for seed, trial, arm, split in (
            (0, 0, None, "train"),
            (1, 7, "a", "train"),
            (0, 1, "b", "validation"),
        )
    ]
    assert seen[0] == seen[1] == seen[2]
    assert all(seen[0][one.id] != one.target for one in view.train)


def test_the_truth_is_shown_as_it_is() -> None:
    view = make_view()
    shown = shown_targets(view, "correct", view.train, DrawPath(0, 0), "train")
    assert shown == {one.id: one.target for one in view.train}


def test_shuffled_targets_keep_their_frequencies_in_every_trial_and_split() -> None:
    view = make_view(labels=YES_NO, train=31, validation=20)
    told = {
        (trial, split): shown_targets(view, "shuffled", part, DrawPath(0, trial), split)
        for trial in range(20)
        for split, part in (("train", view.train), ("validation", view.validation))
    }
    for (_, split), shown in told.items():
        part = view.train if split == "train" else view.validation
        assert list(shown) and set(shown) == {one.id for one in part}
        assert Counter(shown.values()) == Counter(one.target for one in part)
    assert len({tuple(sorted(shown.items())) for shown in told.values()}) == len(told)


def test_shuffled_targets_are_those_of_the_block_whatever_the_order_or_the_arm() -> None:
    view = make_view(labels=YES_NO, train=31)
    first = shown_targets(view, "shuffled", view.train, DrawPath(3, 2), "train")
    assert shown_targets(view, "shuffled", view.train[::-1], DrawPath(3, 2), "train") == first
    # Paired arms have no arm in their path; independent ones draw their own.
    apart = [shown_targets(view, "shuffled", view.train, DrawPath(3, 2, arm), "train") for arm in ("a", "b")]
    assert apart[0] != apart[1] and first not in apart


def test_shuffling_is_a_uniform_permutation_and_no_derangement() -> None:
    pool = [Example(str(i), "q", target) for i, target in enumerate("abc")]
    seen = Counter("".join(shuffled_targets(pool, random.Random(i)).values()) for i in range(3000))
    assert len(seen) == 6
    assert chisquare(list(seen.values())).pvalue > 0.001


# The published data


@cache
def published(*path: str) -> tuple[dict[str, str], ...]:
    return tuple(json.loads(shared("data", *path).read_text())["examples"])


@needs_shared
@pytest.mark.parametrize(
    ("path", "kind", "labels", "slots", "expected"),
    [
        (("bbeh", "web_of_lies.json"), "bbeh", (), 3, "slots"),
        (("bbeh", "web_of_lies.json"), "labels", YES_NO, 3, "slots"),
        (("bbeh", "multistep_arithmetic.json"), "bbeh", (), 1, None),
        (("bbeh", "multistep_arithmetic.json"), "number", (), 1, "number"),
        (("bbh", "hyperbaton.json"), "choice", ("(A)", "(B)"), 1, "choice"),
        (("bbh", "navigate.json"), "exact", ("Yes", "No"), 1, "label"),
        (("bbh", "sports_understanding.json"), "contains", ("yes", "no"), 1, "label"),
        (("bbh", "web_of_lies.json"), "exact", ("Yes", "No"), 1, "label"),
    ],
)
def test_every_published_example_has_one(path, kind, labels, slots, expected) -> None:
    rule = default_rule(kind, labels, slots)
    assert rule == (expected or "other-example")
    if expected is None:
        rule = "number"
    scorer = make_scorer(kind, labels=labels, slots=slots)
    pool = tuple(
        Example(str(i), row["input"], canonical_target(kind, row["target"], labels, slots))
        for i, row in enumerate(published(*path))
    )
    shown = [wrong_target(rule, one, labels, pool, scorer=scorer) for one in pool]
    assert len(pool) in (200, 250)
    for one, target in zip(pool, shown, strict=True):
        assert right(scorer, one, target) < 1.0 and right(scorer, one, one.target) == 1.0
        if rule == "number":
            assert 0 < abs(int(target) - int(one.target)) <= 10
        elif labels and slots == 1 and len(labels) == 2:
            assert {target, one.target} == set(labels)
    backwards = [wrong_target(rule, one, labels, pool[::-1], scorer=scorer) for one in pool]
    assert backwards == shown
    if rule == "number":
        assert len({int(t) - int(o.target) for o, t in zip(pool, shown, strict=True)}) == 20
