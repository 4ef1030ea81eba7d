"""The critic: what it sees, what its prompt is told, and how its judgement is read."""

from __future__ import annotations

import dataclasses

import pytest

from nullgrad.core.candidate import CRITIC, GENERATOR
from nullgrad.core.chat import Failed
from nullgrad.core.critic import agreement, read_verdict
from nullgrad.core.events import BatchRun, Critiqued, ProposalUnparsed, Proposed, StepDone
from nullgrad.core.task import Example
from nullgrad.core.trial import run_trial, seed_candidate
from nullgrad.edges.packs import load_pack
from tests.support.trials import Recorder, make_setting, make_view, obliging, reply, run

RIGHT, WRONG = "RIGHT-SENTINEL", "WRONG-SENTINEL"
SHOWS = {"one-step": "one-step", "gradient": "gradient-output"}


def sentinel_view():  # type: ignore[no-untyped-def]
    view = make_view(labels=(RIGHT, WRONG))
    return dataclasses.replace(view, train=tuple(Example(one.id, one.input, RIGHT) for one in view.train))


def neutral(ask):  # type: ignore[no-untyped-def]
    return reply("something else") if ask.about.stage == "forward" else obliging(ask)


def sent_to(ask) -> str:  # type: ignore[no-untyped-def]
    return "\n".join(message.content for message in ask.request.messages)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("It adds wrongly.\nVerdict: incorrect", 0.0),
        ("**Verdict:** correct", 1.0),
        ("verdict: Correct.", 1.0),
        ("Incorrect.", 0.0),
        ("correct", 1.0),
        ("It is correct that the sum is odd.", None),
        ("Verdict: correct\nVerdict: incorrect", None),
        ("Verdict: correctly", None),
        ("", None),
    ],
)
def test_verdicts_are_read_or_not_at_all(text: str, verdict: float | None) -> None:
    assert read_verdict(text) == verdict


def test_agreement_is_one_minus_the_distance() -> None:
    assert [agreement(judged, true) for judged, true in ((1, 1), (0, 1), (0.75, 1), (0.5, 0.5), (None, 1))] == [
        1.0, 0.0, 0.75, 1.0, 0.0,
    ]  # fmt: skip


@pytest.mark.parametrize("pack", ["standard", "compact"])
@pytest.mark.parametrize("update", ["one-step", "gradient"])
@pytest.mark.parametrize("kind", ["critic-binary", "critic-smooth"])
def test_labels_reach_the_critics_update_and_nothing_else(pack: str, update: str, kind: str) -> None:
    for labels, expected, forbidden in (("", RIGHT, WRONG), ("-wrong", WRONG, RIGHT)):
        recorder = Recorder(neutral)
        arm = f"{update}/{kind}{labels}/naive"
        run(run_trial(make_setting(arm, view=sentinel_view(), steps=3, pack=load_pack(pack))), recorder)
        told = [ask for ask in recorder.asks if ask.about.text == CRITIC and ask.about.stage == SHOWS[update]]
        assert told
        assert all(expected in sent_to(ask) for ask in told)
        assert not any(forbidden in sent_to(ask) for ask in recorder.asks)
        assert not any(expected in sent_to(ask) for ask in recorder.asks if ask not in told)


@pytest.mark.parametrize("kind", ["critic-binary", "critic-smooth"])
def test_a_frozen_critic_is_told_nothing_and_keeps_its_prompt(kind: str) -> None:
    recorder = Recorder(neutral)
    setting = make_setting(f"gradient/{kind}+frozen/naive", view=sentinel_view(), steps=2)
    result = run(run_trial(setting), recorder)
    assert result.candidate[CRITIC] == seed_candidate(setting)[CRITIC]
    assert result.candidate[GENERATOR] != setting.view.seed_prompt
    assert not any(ask.about.text for ask in recorder.asks)
    assert not any(RIGHT in sent_to(ask) or WRONG in sent_to(ask) for ask in recorder.asks)


def test_both_prompts_of_the_pair_change_and_are_stated_once() -> None:
    recorder = Recorder()
    setting = make_setting("gradient/critic-binary/naive", steps=2)
    result = run(run_trial(setting), recorder)
    seed = seed_candidate(setting)
    assert all(result.candidate[name] != seed[name] for name in (GENERATOR, CRITIC))
    proposed = [event for event in recorder.events if isinstance(event, Proposed)]
    assert dict(proposed[-1].texts) == dict(result.candidate.texts)
    draws = [ask.request.draw for ask in recorder.asks if ask.about.role == "optimizer"]
    assert len(set(draws)) == len(draws), "the two texts are proposed by draws of their own"


def test_the_optimizer_is_shown_the_judgement_in_place_of_a_label() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("one-step/critic-smooth/naive", steps=1)), recorder)
    judged = [ask for ask in recorder.asks if ask.about.role == "critic"]
    assert len(judged) == 3
    (own,) = [ask for ask in recorder.asks if ask.about.stage == "one-step" and not ask.about.text]
    for ask in judged:
        assert f"Score: {ask.request.draw % 101}" in sent_to(own)
    assert "the correct answer" not in sent_to(own)


def test_what_cannot_be_read_of_a_pair_stays_as_it_was() -> None:
    def refuse(ask):  # type: ignore[no-untyped-def]
        return reply("no") if ask.about.text == CRITIC and ask.about.stage == "one-step" else obliging(ask)

    recorder = Recorder(refuse)
    setting = make_setting("one-step/critic-binary/naive", steps=1)
    result = run(run_trial(setting), recorder)
    (event,) = [event for event in recorder.events if isinstance(event, Proposed)]
    assert event.kept == (CRITIC,)
    assert result.candidate[CRITIC] == seed_candidate(setting)[CRITIC]
    both = Recorder(lambda ask: reply("no") if ask.about.role == "optimizer" else obliging(ask))
    assert run(run_trial(setting), both).candidate == seed_candidate(setting)
    assert sum(isinstance(event, ProposalUnparsed) for event in both.events) == 1


def test_a_failed_judgement_leaves_its_example_out() -> None:
    def broken(ask):  # type: ignore[no-untyped-def]
        return Failed("server", "down") if ask.about.role == "critic" else obliging(ask)

    recorder = Recorder(broken)
    run(run_trial(make_setting("gradient/critic-binary/naive", steps=2)), recorder)
    assert recorder.roles()["optimizer"] == 0
    (first, _) = [event for event in recorder.events if isinstance(event, Critiqued)]
    assert first.judged == (None, None, None)
    assert first.shown == (None, None, None)


def test_agreement_can_be_told_from_the_events() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("gradient/critic-binary-wrong/naive", steps=2)), recorder)
    for critiqued, batch in zip(
        (event for event in recorder.events if isinstance(event, Critiqued)),
        (event for event in recorder.events if isinstance(event, BatchRun)),
        strict=True,
    ):
        assert critiqued.examples == batch.examples
        assert critiqued.true == batch.scores
        assert set(critiqued.judged) <= {0.0, 1.0}
        # With two labels, an output that is right is wrong by the wrong label, and the other way round.
        assert [a + b for a, b in zip(critiqued.true, critiqued.shown, strict=True)] == [1.0] * 3  # type: ignore[operator]


def test_pairs_are_selected_by_the_generators_score_alone() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("gradient/critic-binary/validated@2", steps=3)), recorder)
    assert not any(ask.about.role == "critic" for ask in recorder.asks if ask.about.split == "validation")
    assert len([event for event in recorder.events if isinstance(event, StepDone)]) == 3
