"""What the view finds in a ledger: counts, runs, prompts, comparisons and searches, against the ledger itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from nullgrad.api.view import LedgerView
from nullgrad.core.chat import Failed, Message, Reply, Request, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import (
    AuditStarted,
    Event,
    ForeignCandidate,
    ForeignDone,
    ForeignStarted,
    TestScored,
    TrialStarted,
)
from nullgrad.core.study_facts import fold_trials
from nullgrad.edges.ledger import read as ledger_read
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.run_notes import note_run, read_note
from nullgrad.errors import UserError
from nullgrad.ports import Record
from tests.support.studies import carry_out, scripted, study_over

ARMS = {"gradient/correct/naive": 2, "one-step/correct/validated@2": 2, "improve": 1}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over a scripted model, as it is recorded."""
    path = tmp_path_factory.mktemp("view") / "l.db"
    model = scripted()
    carry_out(study_over(model, ARMS, curve=(2,)), model, path)
    return path


@pytest.fixture(scope="module")
def view(ledger: Path) -> LedgerView:
    """It, indexed."""
    found = LedgerView(ledger)
    found.catch_up()
    return found


def test_counts_are_the_ledgers(ledger: Path, view: LedgerView) -> None:
    run = view.runs()[0]["run"]
    now = view.overview(run)
    with open_ledger(ledger, read_only=True) as book:
        rows = list(book.replies())
        trials = fold_trials(book.events(run))
    assert now["calls"] == len(rows) == view.state["total"] == view.state["taken"]
    assert {one["role"]: one["calls"] for one in now["roles"]} == {
        role: sum(row.about.role == role for row in rows) for role in {row.about.role for row in rows}
    }
    by_arm = {one["arm"]: one for one in now["arms"]}
    for arm, one in by_arm.items():
        own = [facts for key, facts in trials.items() if key[1] == arm]
        assert one["begun"] == len(own)
        assert one["ended"] == sum(facts.final is not None for facts in own)
        assert one["tested"] == sum(facts.test is not None for facts in own)
        assert one["steps"] == sum(len(facts.steps) for facts in own)
        assert one["calls"] == sum(row.about.arm == arm for row in rows)
    assert sum(one["prompt_tokens"] for one in now["roles"]) == sum(
        row.answer.usage.prompt or 0 for row in rows
    )


def test_trajectories_are_means_over_trials(ledger: Path, view: LedgerView) -> None:
    run = view.runs()[0]["run"]
    with open_ledger(ledger, read_only=True) as book:
        trials = fold_trials(book.events(run))
    found = {(row["arm"], row["measure"], row["at"]): row for row in view.trajectory(run)}
    finals = [facts.row for key, facts in trials.items() if key[1] == "gradient/correct/naive"]
    means = [sum(row) / len(row) for row in finals]
    point = found["gradient/correct/naive", "test", 3]
    assert point["n"] == 2
    assert point["mean"] == pytest.approx(sum(means) / 2)
    assert found["one-step/correct/validated@2", "validation", 3]["n"] == 2


def test_prompts_lead_to_their_transcripts_and_parents(view: LedgerView) -> None:
    run = view.runs()[0]["run"]
    rows, place = view.prompts(run, chosen=True, arm="gradient/correct/naive")
    assert place == 0
    assert all(row["scope"].startswith("gradient/correct/naive#") for row in rows)
    last = next(row for row in rows if row["step"] == 3)
    prompt = view.prompt(run, last["key"])
    assert prompt["arose"][0]["parent"] in {row["key"] for row in rows}
    found = view.search({"prompt": last["key"], "split": "test"})
    assert len(found.rows) == 6
    assert found.back_to == 0
    for row in found.rows:
        assert view.transcript(row.id).request.messages[0].content.startswith(prompt["text"])
    assert view.prompts(run, "no prompt says this")[0] == []
    with pytest.raises(UserError):
        view.prompt(run, "0" * 16)


def test_a_comparison_shows_what_differs_and_only_that(ledger: Path, view: LedgerView) -> None:
    run = view.runs()[0]["run"]
    ends = view.ends(run)
    seed = next(one for one in ends if one["step"] == 0)["key"]
    last = next(one for one in ends if one["step"] > 0 and one["scope"].startswith("gradient"))
    value = view.compare(run, seed, last["key"])
    with open_ledger(ledger, read_only=True) as book:
        trials = fold_trials(book.events(run))
    first, second = (value["pair"][side]["scope"] for side in (0, 1))
    rows = {f"{key[1]}#{key[2]}@{key[0]}": facts.test for key, facts in trials.items()}
    one, other = rows[first], rows[second]
    differ = {
        n + 1 for n in range(6) if (one.scores[n], one.answers[n]) != (other.scores[n], other.answers[n])
    }
    assert {row["place"] for row in value["rows"]} == differ
    assert not value["examples"]
    assert sum(value["table"].values()) == 6
    said, after = view.said(seed, last["key"], "test")
    assert after == ""
    assert all(row["first_text"] != row["second_text"] for row in said)
    assert len(said) == len(differ)


def test_two_wrong_answers_that_differ_are_shown(tmp_path: Path) -> None:
    rows = {
        "a": ((0.0, 0.0, 1.0, None), ("x", "y", "z", None)),
        "b": ((0.0, 0.0, 1.0, 1.0), ("y", "y", "z", "z")),
    }
    facts: list[Event] = []
    for number, (name, (scores, answers)) in enumerate(rows.items()):
        scope = f"improve/none/naive#{number}"
        facts += [
            TrialStarted(scope, name, (("generator", f"prompt {name}"),)),
            TestScored(scope, "final", name, scores, 0, answers),
        ]
    with open_ledger(tmp_path / "l.db") as book:
        book.begin_run(
            "r", json.dumps({"verb": "optimize", "arm": "improve", "task": {"name": "t", "digest": "d"}})
        )
        book.append((), [("r", fact) for fact in facts])
    view = LedgerView(tmp_path / "l.db")
    view.catch_up()
    keys = [view.prompts("r", f"prompt {name}")[0][0]["key"] for name in rows]
    value = view.compare("r", *keys)
    assert [row["place"] for row in value["rows"]] == [4, 1], "where scores differ first"
    assert value["table"] == {"both": 1, "first only": 0, "second only": 0, "neither": 2, "missing": 1}
    view.close()


def test_a_search_finds_every_occurrence_and_is_bounded(
    ledger: Path, view: LedgerView, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(ledger, read_only=True) as book:
        texts = [row.answer.text.casefold() for row in book.replies()]
    wanted, yes = sum("point 1" in text for text in texts), sum("yes" in text for text in texts)
    assert wanted > 3
    monkeypatch.setattr(ledger_read, "PATIENCE", 60.0)
    monkeypatch.setattr(ledger_read, "STEP", 7)
    for filters, text, count in (({"role": "optimizer"}, "PoinT 1", wanted), ({}, "yes", yes)):
        found, before = [], None
        while True:
            page = view.search(filters, text, before=before)
            found += page.rows
            if not page.back_to:
                break
            before = page.back_to
        assert len(found) == len({row.id for row in found}) == count
    monkeypatch.setattr(ledger_read, "MOST_READ", 1)
    monkeypatch.setattr(ledger_read, "STEP", 50)
    page = view.search({}, "nowhere to be found")
    assert page.read == 50
    assert page.back_to > 0, "it says how far it came"
    assert view.search({"arm": "no such arm"}).rows == ()
    assert (
        len(view.search({"role": "generator", "split": "test", "trial": 0, "arm": "improve/none/naive"}).rows)
        == 12
    )
    sent = view.search({}, "test input 3", "messages")
    assert sent.rows
    assert all(row.about.example == "test3" for row in sent.rows)


def test_pages_are_cut_by_key(view: LedgerView) -> None:
    ids, before = [], None
    while True:
        page = view.search({}, before=before)
        ids += [row.id for row in page.rows]
        if not page.back_to:
            break
        before = page.back_to
    assert ids == sorted(range(1, view.state["total"] + 1), reverse=True)


def test_it_keeps_up_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path, model = tmp_path / "l.db", scripted()
    carry_out(study_over(model, {"improve": 1}), model, path)
    first = LedgerView(path)
    first.catch_up()
    before = first.state["taken"]
    carry_out(study_over(model, {"improve": 2, "gradient/correct/naive": 2}), model, path)
    first.catch_up()
    now = first.overview(first.runs()[0]["run"])
    assert first.state["taken"] > before
    other = LedgerView(path)
    other.catch_up()
    assert other._indexer.path != first._indexer.path, "two processes do not write one index"
    again = other.overview(other.runs()[0]["run"])
    assert now["arms"] == again["arms"]
    assert now["roles"] == again["roles"]
    first.close()
    other.close()


def test_an_index_of_another_ledger_is_made_anew(tmp_path: Path) -> None:
    path, model = tmp_path / "l.db", scripted()
    carry_out(study_over(model, {"improve": 1}), model, path)
    view = LedgerView(path)
    view.catch_up()
    view.close()
    path.unlink()
    carry_out(study_over(model, {"rewrite": 1}, seed=5), model, path)
    index = sqlite3.connect(view._indexer.path)
    assert index.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    index.close()
    from nullgrad.edges.view.index import _open

    fresh = _open(view._indexer.path, path)
    assert fresh.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    fresh.close()


def test_a_reply_is_counted_for_the_run_that_paid(tmp_path: Path) -> None:
    """Two runs with trials of the same name, one after the other and on other models."""
    path = tmp_path / "l.db"
    request = [Request(f"m{n}", (Message("user", f"q{n}"),)) for n in range(4)]
    about = About("generator", "forward", "improve/none/naive", 0, "test", "7")

    def spec(model: str) -> str:
        return json.dumps(
            {
                "verb": "optimize",
                "arm": "improve",
                "task": {"name": "t", "digest": "d"},
                "cast": {"generator": {"model": model}},
            }
        )

    def paid(number: int) -> Record:
        answer = (
            Failed("timeout", "sk-abcdefghijklmnopqrstuvwxyz", 504, 3)
            if number == 3
            else Reply("x", "stop", Usage(3, 1))
        )
        return Record(request[number].identity(), request[number], answer, about, 1, 0.1)

    with open_ledger(path) as book:
        book.begin_run("one", spec("m0"))
        book.append([paid(0)], [("one", TrialStarted("improve/none/naive#0", "c", (("generator", "p"),)))])
        book.begin_run("two", spec("m1"))
        book.append([paid(1)], [("two", TrialStarted("improve/none/naive#0", "c", (("generator", "p"),)))])
        again = Request("m0", (Message("user", "later"),))
        book.append([Record(again.identity(), again, Reply("y", "stop"), about, 2, 0.1)], ())
        book.append([paid(3)], ())
    view = LedgerView(path)
    view.catch_up()
    calls = {one["run"]: one["calls"] for one in view.runs()}
    assert calls == {"one": 2, "two": 2}
    assert view.overview("one")["retried"] == 1
    failures = view.overview("two")["failures"]
    assert [one["failure"] for one in failures] == ["timeout"]
    assert [row.failed for row in view.search({"failed": True}).rows] == [True]
    assert len(view.search({"failed": False}).rows) == 3
    assert view.examples("one")[0]["calls"] == 2
    view.close()


def test_prompts_of_audits_and_of_other_optimizers_are_found(tmp_path: Path) -> None:
    audited, foreign = "seed#0", "gepa#1"
    facts: list[Event] = [
        AuditStarted(audited, "b", "a", (("b", "the old prompt"), ("a", "the new prompt"))),
        TestScored(audited, "before", "b", (1.0, 0.0), 0, ("x", "y")),
        TestScored(audited, "after", "a", (1.0, 1.0), 0, ("x", "x")),
        ForeignStarted(foreign, "gepa", "1.0", "s", (("generator", "a seed"),)),
        ForeignCandidate(foreign, 1, "c", (("generator", "a candidate"),), 0.5),
        ForeignDone(foreign, "returned", "c"),
    ]
    with open_ledger(tmp_path / "l.db") as book:
        book.begin_run("r", json.dumps({"verb": "audit", "task": {"name": "t", "digest": "d"}}))
        book.append((), [("r", fact) for fact in facts])
    view = LedgerView(tmp_path / "l.db")
    view.catch_up()
    rows = {row["body"]: row for row in view.prompts("r")[0]}
    assert rows["a candidate"]["chosen"]
    new = view.prompt("r", rows["the new prompt"]["key"])
    assert new["arose"][0]["parent_body"] == "the old prompt"
    value = view.compare("r", rows["the old prompt"]["key"], rows["the new prompt"]["key"])
    assert [row["place"] for row in value["rows"]] == [2]
    assert view.overview("r")["arms"]
    view.close()


def test_it_only_reads(ledger: Path, view: LedgerView) -> None:
    with pytest.raises(sqlite3.OperationalError, match=r"readonly|read-only"):
        view._reader._db().execute("INSERT INTO book.meta VALUES ('a', 'b')")
    with pytest.raises(UserError, match="There is no ledger"):
        LedgerView(ledger.with_name("none.db"))
    other = ledger.with_name("other.db")
    sqlite3.connect(other).execute("CREATE TABLE a (b)")
    with pytest.raises(UserError, match="is no ledger"):
        LedgerView(other)


def test_what_a_run_intends_is_noted_beside_the_ledger(tmp_path: Path) -> None:
    path, model = tmp_path / "l.db", scripted()
    study = study_over(model, {"improve": 1})
    carry_out(study, model, path)
    work = [{"cell": "small0", "arm": "improve/none/naive", "trials": 4, "calls": 10}]
    with open_ledger(path) as book:
        note_run(book, study.run, {"work": work, "steps": 3, "models": {}, "asked": 40})
    note_run(object(), study.run, {})
    assert read_note(path, study.run)["asked"] == 40
    assert read_note(path, "other") is None
    view = LedgerView(path)
    view.catch_up()
    now = view.overview(study.run)
    assert now["state"] == "running", "the process that noted it is this one"
    assert now["done"] == pytest.approx(0.25)
    assert now["arms"][0]["trials"] == 4
    view.close()
