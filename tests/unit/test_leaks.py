"""Duplicates across splits: exact ones, near ones against brute force, scripts without spaces, long texts."""

from __future__ import annotations

import random
import re
from itertools import product

import pytest

from nullgrad.core import leaks
from nullgrad.core.leaks import NEAR, SKETCH, Leaks, Pair, find_leaks
from nullgrad.core.task import Example

WORDS = [f"word{number}" for number in range(5000)]


def found(first: str, second: str) -> str:
    """What two texts in different splits are: exact, near, or nothing."""
    result = find_leaks({"train": [Example("a", first, "x")], "test": [Example("b", second, "y")]})
    assert len(result.exact) + len(result.near) <= 1
    return "exact" if result.exact else "near" if result.near else ""


def text(seed: object, words: int) -> str:
    return " ".join(random.Random(repr(seed)).choices(WORDS, k=words))


def changed(sentence: str, *places: int) -> str:
    words = sentence.split()
    for place in places:
        words[place] = f"other{place}"
    return " ".join(words)


LONG = text("long", 60)

KINDS = [
    ("The cat sat.", "The cat sat.", "exact"),
    ("The cat sat.", "  the CAT\n\tsat. ", "exact"),
    ("Cafe\u0301 au lait", "caf\u00e9 AU lait", "exact"),
    ("Straße", "STRASSE", "exact"),
    ("", " ", "exact"),
    ("a", "a", "exact"),
    ("The cat sat.", "The cat sat!", "near"),  # Punctuation is no word, and no white space.
    ("The cat, it sat.", "The cat it sat", "near"),
    ("one two", "one, two", ""),  # Fewer than three words are only compared exactly.
    ("The cat sat.", "The dog sat.", ""),
    ("", "x", ""),
    ("...", "!!!", ""),
    (LONG, changed(LONG, 0), "near"),  # 57 of 59 shingles.
    (LONG, changed(LONG, 30), "near"),  # 55 of 61.
    (LONG, changed(LONG, 10, 20), "near"),  # 52 of 64.
    (LONG, changed(LONG, 10, 20, 30), ""),  # 49 of 67 are 0.73.
    (LONG, LONG + " " + text("more", 10), "near"),  # 58 of 68.
    (LONG, LONG + " " + text("more", 20), ""),  # 58 of 78.
    (LONG, " ".join(reversed(LONG.split())), ""),
    # Scripts without spaces: every character is a word.
    ("我昨天在商店里买了一台新的笔记本电脑和一只鼠标", "我昨天在商店里买了一台新的笔记本电脑和一只鼠标!", "near"),
    ("我昨天在商店里买了一台新的笔记本电脑和一只鼠标。", "我今天在公园里看见一只很大的黄色的狗和一只猫。", ""),
    ("我昨天在商店里买了一台新的笔记本电脑和一只鼠标。", "我昨天在商店里买了一台新的笔记本电脑和一只老鼠。", "near"),
    ("昨日は店で新しいノートパソコンとマウスを買いました", "昨日は店で新しいノートパソコンとマウスを買いました。", "near"),
    ("ฉันซื้อคอมพิวเตอร์ใหม่เมื่อวานนี้", "ฉันซื้อคอมพิวเตอร์ใหม่เมื่อวานนี้ค่ะ", "near"),
    ("ฉันซื้อคอมพิวเตอร์ใหม่เมื่อวานนี้", "วันนี้อากาศดีมากเราไปเดินเล่นกัน", ""),
    ("\U00020000\U00020001\U00020002\U00020003", "\U00020000\U00020001\U00020002\U00020003.", "near"),
    ("어제 가게에서 새 노트북을 샀습니다", "어제 가게에서 새 노트북을 샀습니다!", "near"),
    ("\ud800 a b c d", "\ud800 A b c d", "exact"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "kind"), KINDS)
def test_two_texts(first: str, second: str, kind: str) -> None:
    assert found(first, second) == kind
    assert found(second, first) == kind


def test_targets_ids_and_groups_do_not_matter_and_nothing_is_found_within_a_split() -> None:
    same = [Example(str(i), "one and the same text", str(i), f"g{i}") for i in range(3)]
    assert find_leaks({"train": same, "test": []}) == Leaks((), ())
    assert find_leaks({"train": same}) == Leaks((), ()) == find_leaks({})
    assert find_leaks({"train": same, "test": same[:1]}).exact == (Pair("0", "train", "0", "test", 1.0),)


def test_each_split_is_looked_for_in_the_earlier_ones() -> None:
    splits = {
        "test": [Example("t", "a text of five words", "")],
        "validation": [Example("v", "A text of five words", "")],
        "train": [Example("r2", "a text of FIVE words", ""), Example("r1", "a text of five  words", "")],
    }
    exact = find_leaks(splits).exact
    assert exact == (
        Pair("r1", "train", "v", "validation", 1.0),  # Of two the first by id.
        Pair("r1", "train", "t", "test", 1.0),
        Pair("v", "validation", "t", "test", 1.0),
    )


def test_an_exact_duplicate_is_not_named_as_a_near_one_too() -> None:
    train = [Example("a", LONG, ""), Example("b", changed(LONG, 0), "")]
    result = find_leaks({"train": train, "test": [Example("c", LONG.upper(), "")]})
    assert result == Leaks((Pair("a", "train", "c", "test", 1.0),), ())


def jaccard(first: str, second: str) -> float:
    """By the definition, for texts of separate words."""
    one, other = (
        {tuple(words[i : i + 3]) for i in range(len(words) - 2)}
        for words in (re.findall(r"\w+", text.lower()) for text in (first, second))
    )
    return len(one & other) / len(one | other) if one | other else 0.0


def test_near_duplicates_are_those_of_brute_force() -> None:
    draws = random.Random(3)
    originals = [text(i, draws.randint(3, 80)) for i in range(60)]
    train = [Example(f"a{i}", one, "") for i, one in enumerate(originals)]
    test = []
    for i in range(240):
        words = draws.choice(originals).split()
        for _ in range(draws.randint(0, max(1, len(words) // 12))):
            words[draws.randrange(len(words))] = draws.choice(WORDS)
        if draws.random() < 0.3:
            words = words[draws.randint(0, 4) :] or words
        test.append(Example(f"b{i}", " ".join(words) + "!", ""))
    result = find_leaks({"train": train, "test": test})
    assert not result.exact
    similar = {
        (one.id, other.id): value
        for one, other in product(train, test)
        if (value := jaccard(one.input, other.input)) >= NEAR
    }
    assert {pair.second for pair in result.near} == {other for _, other in similar}
    for pair in result.near:
        assert pair.similarity == pytest.approx(similar[pair.first, pair.second], abs=1e-12)
    between = [v for one, o in product(train, test) if 0.6 < (v := jaccard(one.input, o.input)) < NEAR]
    assert len(similar) > 60 and len(between) > 20


def test_the_threshold_counts_as_near() -> None:
    # 2 of 10 words changed at the end: 8 shingles each, 6 shared of 10; and 9 shared of 11 and of 12.
    base = [f"w{i}" for i in range(14)]
    for extra, shared, kind in ((3, 12 / 15, "near"), (4, 12 / 16, "")):
        longer = [*base, *(f"x{i}" for i in range(extra))]
        assert jaccard(" ".join(base), " ".join(longer)) == pytest.approx(shared)
        assert found(" ".join(base), " ".join(longer)) == kind


def test_the_order_of_the_examples_does_not_matter() -> None:
    draws = random.Random(5)
    train = [Example(f"a{i:02}", text(i % 20, 30), "") for i in range(40)]
    test = [Example(f"b{i}", changed(text(i, 30), 3) if i % 2 else text(i, 30), "") for i in range(20)]
    first = find_leaks({"train": train, "test": test})
    assert len(first.exact) == 10 and len(first.near) == 10
    for _ in range(3):
        mixed = {"test": draws.sample(test, len(test)), "train": draws.sample(train, len(train))}
        assert find_leaks(mixed) == first


@pytest.mark.parametrize(
    ("words", "change", "near"),
    [
        (4000, 0.01, True),
        (4000, 0.03, True),
        (4000, 0.063, False),
        (4000, 0.12, False),
        (4000, 1.0, False),
        (300, 0.02, True),
    ],
)
def test_long_texts_are_compared_by_a_sample(words: int, change: float, near: bool) -> None:
    assert words > SKETCH
    vocabulary = [f"w{i}" for i in range(10**6)]
    original = random.Random(words).sample(vocabulary, words)
    draws = random.Random(7)
    other = [f"x{i}" if draws.random() < change else word for i, word in enumerate(original)]
    true = jaccard(" ".join(original), " ".join(other))
    assert (true >= NEAR) == near
    result = find_leaks(
        {
            "train": [Example("a", " ".join(original), "")],
            "test": [Example("b", " ".join(other), "")],
        }
    )
    assert bool(result.near) == near
    if near:
        assert result.near[0].similarity == pytest.approx(true, abs=0.08)


def test_a_short_text_is_no_near_duplicate_of_a_long_one_that_holds_it() -> None:
    assert found(text("short", 300), text("short", 300) + " " + text("rest", 3000)) == ""


@pytest.mark.timeout(120)
def test_texts_that_share_their_template_are_looked_through_without_comparing_all() -> None:
    def asked(split: str, number: int) -> Example:
        body = text((split, number), 12)
        return Example(
            f"{split}{number}", f"Read the text below and say what it is about. {body} Answer now.", ""
        )

    splits = {split: [asked(split, i) for i in range(1500)] for split in ("train", "test")}
    copied = [splits["train"][number] for number in range(0, 1500, 60)]
    splits["test"] += [Example(f"copy{one.id}", one.input.replace("now", "then"), "") for one in copied]
    result = find_leaks(splits)
    assert not result.exact
    assert [pair.second for pair in result.near] == sorted(f"copy{one.id}" for one in copied)
    assert all(pair.second == f"copy{pair.first}" for pair in result.near)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", ["a ", "a", "字", " ", "\n", "\u0301", "😀"])
def test_megabytes(unit: str) -> None:
    big = unit * (1_000_000 // len(unit))
    assert found(big, big + " ") == "exact"
    assert found(big + " one two three", text(1, 20)) == ""


def test_words_behind_the_most_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "MOST_WORDS", 30)
    beginning = text("beginning", 30)
    assert found(f"{beginning} {text(1, 30)}", f"{beginning} {text(2, 30)}") == "near"
    assert found(f"{text(1, 30)} {beginning}", f"{text(2, 30)} {beginning}") == ""
