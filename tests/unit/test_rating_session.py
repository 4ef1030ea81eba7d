"""A rating session: blind, in an order of its own for each rater, resumable, append-only."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nullgrad.api import rate
from nullgrad.api.rate import Rating, open_rating, rater_name, rating_rows, rating_summary
from nullgrad.api.rate_session import Item, Session, of_spec
from nullgrad.api.rate_summary import kind_of, summarize
from nullgrad.edges.ratings import RatingStore
from nullgrad.errors import UserError
from nullgrad.surfaces.web.rate_app import _task
from tests.support.studies import carry_out, scripted, study_over

ARMS = {"gradient/correct/naive": 2, "one-step/correct/validated@2": 2, "improve": 2}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over a scripted model, as it is recorded."""
    path = tmp_path_factory.mktemp("rate") / "l.db"
    model = scripted()
    carry_out(study_over(model, ARMS), model, path)
    return path


def all_of(rating: Rating, rater: str, answer: str) -> None:
    """Rate everything alike."""
    while (task := rating.next(rater)) is not None:
        rating.rate(rater, task, dict.fromkeys((one[0] for one in rating.questions), answer))


def test_a_session_holds_the_seed_and_each_arms_prompts(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, ratings=tmp_path / "r.db", per_arm=2)
    origins = [origin for item in rating.session.items for origin in item.origins]
    assert sorted({arm for arm, _ in origins}) == [
        "gradient/correct/naive",
        "improve/none/naive",
        "one-step/correct/validated@2",
        "seed",
    ]
    assert sum(arm != "seed" for arm, _ in origins) == 6
    assert len({item.text for item in rating.session.items}) == len(rating.session.items)
    shown = rating.examples(0)
    assert len(shown) == 2
    assert all(text.startswith("train input") for text, _ in shown), (
        "nothing of the test is shown, and no prompt with it"
    )
    assert of_spec(rating.session.spec) == rating.session
    rating.close()


def test_the_same_command_resumes_and_another_seed_is_another_session(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    first = open_rating("last", ledger, ratings=path)
    task = first.next("anna")
    assert task is not None
    first.rate("anna", task, {"soundness": "4", "relevance": "5", "misleading": "1"}, "fine", 12.5)
    first.close()
    again = open_rating("last", ledger, ratings=path)
    assert again.session.id == first.session.id
    assert list(again.done("anna")) == [task]
    assert again.answers("anna", task) == {"soundness": "4", "relevance": "5", "misleading": "1"}
    assert again.next("anna") == again.session.order("anna")[1]
    assert again.next("ben") == again.session.order("ben")[0]
    again.close()
    other = open_rating("last", ledger, ratings=path, seed=1)
    assert other.session.id != first.session.id
    other.close()


def test_orders_differ_by_rater_and_sides_by_task(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, mode="pairwise", per_arm=2, ratings=tmp_path / "r.db")
    session, names = rating.session, [f"rater {number}" for number in range(12)]
    assert len({tuple(session.order(name)) for name in names}) > 6
    for name in names:
        assert sorted(session.order(name)) == list(range(len(session.tasks)))
    sides = [session.swapped(name, task) for name in names for task in range(len(session.tasks))]
    assert 0.4 < sum(sides) / len(sides) < 0.6
    first = [session.items[task[0]].origins[0][0] for task in session.tasks if ("seed", 0) in
             (*session.items[task[0]].origins, *session.items[task[1]].origins)]  # fmt: skip
    assert len({arm == "seed" for arm in first}) == 2, "the seed prompt is not always the first of a pair"
    rating.close()


def test_pairs_are_bounded_and_spread(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, mode="pairwise", per_arm=2, pairs=5, ratings=tmp_path / "r.db")
    used = [number for task in rating.session.tasks for number in task]
    assert len(rating.session.tasks) == 5
    counts = [used.count(number) for number in range(len(rating.session.items))]
    assert max(counts) - min(counts) <= 1
    rating.close()


@pytest.mark.parametrize("mode", ["absolute", "pairwise"])
def test_a_page_does_not_tell_which_prompt_it_is(ledger: Path, tmp_path: Path, mode: rate.Mode) -> None:
    rating = open_rating("last", ledger, mode=mode, ratings=tmp_path / "r.db")
    for task in range(len(rating.session.tasks)):
        text = _task(rating, "anna", task, {}, "")
        for number in rating.session.tasks[task]:
            item = rating.session.items[number]
            assert item.key not in text
            assert item.text.split(";")[0] in text
        for word in (
            "gradient",
            "one-step",
            "improve",
            "seed",
            "naive",
            "validated",
            "genuine",
            "prevalence",
            rating.session.run,
        ):
            assert word not in text.replace(item.text, "")
    rating.close()


def test_left_and_right_are_turned_back(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, mode="pairwise", ratings=tmp_path / "r.db")
    best = rating.session.items[0].text
    for rater in ("anna", "ben", "cleo"):
        while (task := rating.next(rater)) is not None:
            left, right = rating.shown(rater, task)
            answer = "left" if left == best else "right" if right == best else "tie"
            rating.rate(rater, task, dict.fromkeys(("soundness", "relevance", "misleading"), answer))
            assert rating.answers(rater, task)["soundness"] == answer
    rating.close()
    found = rating_summary("last", ledger, ratings=tmp_path / "r.db")
    assert found is not None
    question = found.questions[0]
    shares = [one.share for one in question.prompts]
    assert max(shares) == shares[0], "the first item won, on whichever side it stood"
    assert question.agreement.alpha == pytest.approx(1.0), "three raters who agree, whatever side they saw"


def test_ties_leave_everybody_at_average(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, mode="pairwise", ratings=tmp_path / "r.db")
    all_of(rating, "anna", "tie")
    rating.close()
    found = rating_summary("last", ledger, ratings=tmp_path / "r.db", mode="pairwise")
    assert found is not None
    assert all(one.share == pytest.approx(0.5) for one in found.questions[0].prompts)
    assert not found.questions[0].shrunk
    assert rating_summary("last", ledger, ratings=tmp_path / "r.db", mode="absolute") is None


def test_ratings_are_appended_and_the_last_counts(ledger: Path, tmp_path: Path) -> None:
    rating = open_rating("last", ledger, ratings=tmp_path / "r.db")
    all_of(rating, "anna", "2")
    rating.rate("anna", 0, {"soundness": "5", "relevance": "5", "misleading": "5"})
    assert rating.answers("anna", 0)["soundness"] == "5"
    assert len(rating.done("anna")) == len(rating.session.tasks)
    rating.close()
    db = sqlite3.connect(tmp_path / "r.db")
    assert db.execute("SELECT count(*) FROM ratings").fetchone()[0] == len(rating.session.tasks) + 1
    for statement in ("UPDATE ratings SET comment = 'x'", "DELETE FROM ratings", "DELETE FROM sessions"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_rows_of_the_export(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    assert rating_rows("last", ledger, ratings=path) == []
    assert rating_summary("last", ledger, ratings=path) is None
    rating = open_rating("last", ledger, ratings=path)
    all_of(rating, "anna", "3")
    all_of(rating, "ben", "4")
    rating.close()
    rows = rating_rows("last", ledger, ratings=path)
    assert len(rows) == 2 * len(rating.session.tasks) * 3
    assert {row["rater"] for row in rows} == {"anna", "ben"}
    assert {row["answer"] for row in rows} == {3, 4}
    assert any(row["first_origins"] == "seed" for row in rows)


def test_mistakes_are_one_clear_line(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    rating = open_rating("last", ledger, ratings=path, raters=["anna", " anna ", "ben"])
    assert rating.raters == ("anna", "ben")
    with pytest.raises(UserError, match="not among the raters"):
        rating.known("eve")
    with pytest.raises(UserError, match="has no answer"):
        rating.rate("anna", 0, {"soundness": "4"})
    with pytest.raises(UserError, match="has no answer"):
        rating.rate("anna", 0, dict.fromkeys(("soundness", "relevance", "misleading"), "6"))
    with pytest.raises(UserError, match="no task 99"):
        rating.rate("anna", 99, {})
    assert rating.done("anna") == {}
    rating.close()
    for name in ("", "   ", "a/b", "<script>", "x" * 41, "..", "a\0b"):
        with pytest.raises(UserError, match="no name"):
            rater_name(name)
    assert rater_name("  Zoë  van Dijk ") == "Zoë van Dijk"
    with pytest.raises(UserError, match="no run 'zzz'"):
        open_rating("zzz", ledger, ratings=path)
    with pytest.raises(UserError, match="--per-arm is 0"):
        open_rating("last", ledger, per_arm=0, ratings=path)
    with pytest.raises(UserError, match="cannot be opened"):
        RatingStore(ledger)


def test_prompts_by_prevalence_are_tested_against_prompts_by_discrimination() -> None:
    kinds = ["threshold", "relabelling", "prevalence", "genuine", "genuine", "genuine", "mixed"]
    items = tuple(Item(f"k{n}", f"prompt {n}", "", (("improve/none/naive", n),)) for n in range(7))
    session = Session("run", "absolute", 0, items, tuple((n,) for n in range(7)), {})
    verdicts = {("", "improve/none/naive", n): kind for n, kind in enumerate(kinds)}
    from nullgrad.edges.ratings import RatingRow

    rows = [
        RatingRow(
            rater,
            n,
            {"soundness": (1 if n < 3 else 4) + shift, "relevance": 3, "misleading": (5 if n < 3 else 2)},
            "",
            1.0,
            "",
        )
        for n in range(7)
        for rater, shift in (("anna", 0), ("ben", 1))
    ]
    found = summarize(session, rows, verdicts)
    sound = found.questions[0].kinds
    assert (sound.first, sound.second, sound.n) == ("prevalence", "discrimination", (3, 3))
    assert sound.difference == pytest.approx(-3.0)
    assert sound.p == pytest.approx(1 / 20), "the most extreme of 20 assignments"
    misleads = found.questions[2].kinds
    assert (misleads.first, misleads.p) == ("discrimination", pytest.approx(1 / 20)), (
        "where more is worse, the other way round"
    )
    assert found.to_dict()["items"][6]["kind"] == ""
    assert kind_of(["genuine", "prevalence"]) == ""
    assert kind_of(["prevalence", "threshold"]) == "prevalence"
