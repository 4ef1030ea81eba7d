"""Trials as generators: the call formula, every field of an arm, the flow of labels, resuming by replay."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from nullgrad.core.arms import EVALUATIONS, Arm, parse_arm
from nullgrad.core.calls import Calls, trial_calls
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed
from nullgrad.core.events import CandidateScored, ProposalUnparsed, StepDone, TrialDone
from nullgrad.core.task import Example
from nullgrad.core.trial import run_test, run_trial
from tests.support.trials import Recorder, make_setting, make_view, obliging, reply, run

UPDATES = ("rewrite", "improve", "one-step", "gradient")
SELECTIONS = (
    "naive", "validated@1", "validated@3", "best@2", "best@3", "random@3",
    "validated@2+wrong", "validated@2+shuffled", "best@2+wrong", "best@2+shuffled",
)  # fmt: skip


def every_arm() -> list[str]:
    """Every combination that has a meaning."""
    return [
        f"{update}/{evaluation}/{selection}"
        for update, evaluation, selection in itertools.product(UPDATES, EVALUATIONS, SELECTIONS)
        if evaluation == "none" or update in ("one-step", "gradient")
    ]


@pytest.mark.parametrize("arm", every_arm())
@pytest.mark.parametrize(("steps", "batch_size"), [(0, 3), (1, 3), (4, 3), (5, 7)])
def test_calls_asked_follow_the_formula(arm: str, steps: int, batch_size: int) -> None:
    recorder = Recorder()
    setting = make_setting(arm, steps=steps, batch_size=batch_size)
    run(run_trial(setting), recorder)
    predicted = trial_calls(setting.arm, steps=steps, batch_size=batch_size, train=7, validation=4)
    assert recorder.roles() == dataclasses.asdict(predicted)


def test_formula_by_hand() -> None:
    """30 training, 50 validation examples, 10 steps of 3: the paper's main run."""
    size = {"steps": 10, "batch_size": 3, "train": 30, "validation": 50}
    assert trial_calls(parse_arm("gradient/correct/naive"), **size) == Calls(30, 70)
    assert trial_calls(parse_arm("gradient/correct/validated@3"), **size) == Calls(30 + 50 * 31, 210)
    assert trial_calls(parse_arm("one-step/none/best@3"), **size) == Calls(30 + 50 * 30, 30)
    assert trial_calls(parse_arm("improve/none/naive"), **size) == Calls(0, 10)
    judged = trial_calls(parse_arm("one-step/correct/best@3"), **size, judged=True)
    assert judged == Calls(30 + 50 * 30, 30, judge=30 + 50 * 30)


BASE = parse_arm("gradient/correct/validated@2")

FLIPS = {
    "update": ["one-step/correct/validated@2", "improve/none/validated@2"],
    "evaluator": ["gradient/none/validated@2"],
    "labels": ["gradient/wrong/validated@2", "gradient/shuffled/validated@2"],
    "selection": ["gradient/correct/best@2", "gradient/correct/random@2"],
    "n": ["gradient/correct/validated@3", "gradient/correct/validated@1"],
    "validation_labels": ["gradient/correct/validated@2+wrong", "gradient/correct/validated@2+shuffled"],
}
CRITIC_BASE = parse_arm("gradient/critic-binary/validated@2")
CRITIC_FLIPS = {
    "evaluator": ["gradient/critic-smooth/validated@2"],
    "labels": ["gradient/critic-binary-wrong/validated@2", "gradient/critic-binary-shuffled/validated@2"],
    "frozen": ["gradient/critic-binary+frozen/validated@2"],
}


def sent(arm: Arm, seed: int = 0) -> frozenset[str]:
    recorder = Recorder(by_prompt)
    run(run_trial(make_setting(arm, steps=4, seed=seed, view=make_view(validation=9))), recorder)
    return frozenset(ask.request.identity() for ask in recorder.asks)


def by_prompt(ask):  # type: ignore[no-untyped-def]
    """Answers that depend on the prompt, so that another selection leads to other requests."""
    if ask.about.stage == "forward":
        return reply(("yes", "no")[hash_of(ask.request.messages[0].content + str(ask.request.draw)) % 2])
    return obliging(ask)


def hash_of(text: str) -> int:
    return sum(ord(character) * (place + 1) for place, character in enumerate(text))


def test_every_field_of_an_arm_is_flipped() -> None:
    assert set(FLIPS) | set(CRITIC_FLIPS) == {field.name for field in dataclasses.fields(Arm)}


@pytest.mark.parametrize(
    ("base", "field", "flipped"),
    [
        (base, field, parse_arm(arm))
        for base, flips in ((BASE, FLIPS), (CRITIC_BASE, CRITIC_FLIPS))
        for field, arms in flips.items()
        for arm in arms
    ],
)
def test_flipping_a_field_changes_what_is_sent(base: Arm, field: str, flipped: Arm) -> None:
    if field != "update":
        differing = [
            one.name
            for one in dataclasses.fields(Arm)
            if getattr(base, one.name) != getattr(flipped, one.name)
        ]
        assert differing == [field]
    assert any(sent(base, seed) != sent(flipped, seed) for seed in range(5))
    assert sent(base) == sent(base)


RIGHT, WRONG = "RIGHT-SENTINEL", "WRONG-SENTINEL"

SHOWS = {"one-step": "one-step", "gradient": "gradient-output"}
"""The stage that shows the evaluation."""


def sentinel_view():  # type: ignore[no-untyped-def]
    """Every target is the right sentinel; the only other label is the wrong one."""
    view = make_view(labels=(RIGHT, WRONG))
    return dataclasses.replace(
        view,
        train=tuple(Example(one.id, one.input, RIGHT) for one in view.train),
        validation=tuple(Example(one.id, one.input, RIGHT) for one in view.validation),
    )


def neutral(ask):  # type: ignore[no-untyped-def]
    """Answers without a sentinel."""
    return reply("something else") if ask.about.stage == "forward" else obliging(ask)


@pytest.mark.parametrize("update", ["one-step", "gradient"])
@pytest.mark.parametrize("selection", ["naive", "validated@2", "validated@2+wrong"])
def test_labels_flow_only_where_the_arm_says(update: str, selection: str) -> None:
    for evaluation, expected, forbidden in (("correct", RIGHT, WRONG), ("wrong", WRONG, RIGHT)):
        recorder = Recorder(neutral)
        run(
            run_trial(make_setting(f"{update}/{evaluation}/{selection}", view=sentinel_view(), steps=3)),
            recorder,
        )
        shown = recorder.texts(SHOWS[update])
        assert shown
        assert all(expected in text for text in shown)
        everything = ["\n".join(m.content for m in ask.request.messages) for ask in recorder.asks]
        assert not any(forbidden in text for text in everything)
        others = [ask for ask in recorder.asks if ask.about.stage != SHOWS[update]]
        assert not any(expected in message.content for ask in others for message in ask.request.messages)
    recorder = Recorder(neutral)
    run(run_trial(make_setting(f"{update}/none/{selection}", view=sentinel_view(), steps=3)), recorder)
    everything = ["\n".join(m.content for m in ask.request.messages) for ask in recorder.asks]
    assert everything
    assert not any(RIGHT in text or WRONG in text for text in everything)


def test_the_compact_words_carry_the_evaluation_too() -> None:
    from nullgrad.edges.packs import load_pack

    pack = load_pack("compact")
    for update in ("one-step", "gradient"):
        recorder = Recorder(neutral)
        run(run_trial(make_setting(f"{update}/wrong/naive", view=sentinel_view(), pack=pack)), recorder)
        shown = recorder.texts(SHOWS[update])
        assert shown
        assert all(WRONG in text and RIGHT not in text for text in shown)


def test_the_verdict_follows_the_label_shown() -> None:
    """An answer that is right is called incorrect where the wrong label is shown."""
    recorder = Recorder(lambda ask: reply("yes") if ask.about.stage == "forward" else obliging(ask))
    view = make_view()
    view = dataclasses.replace(view, train=tuple(Example(one.id, one.input, "yes") for one in view.train))
    run(run_trial(make_setting("one-step/wrong/naive", view=view, steps=1)), recorder)
    (text,) = recorder.texts("one-step")
    assert "which is incorrect" in text
    assert "which is correct" not in text


def test_shuffled_targets_keep_the_marginals() -> None:
    recorder = Recorder(neutral)
    view = make_view(train=6)
    run(run_trial(make_setting("one-step/shuffled/naive", view=view, steps=2)), recorder)
    text = "".join(recorder.texts("one-step"))
    assert text.count('the correct answer is "yes"') == 3
    assert text.count('the correct answer is "no"') == 3


def test_validation_of_the_current_prompt_is_not_asked_again() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("improve/none/validated@2", steps=5)), recorder)
    keys = [(ask.request.identity()) for ask in recorder.asks]
    assert len(keys) == len(set(keys))


def test_arms_of_a_block_share_forward_requests_and_not_proposals() -> None:
    def asked(arm: str, trial: int) -> dict[str, set[str]]:
        recorder = Recorder()
        run(run_trial(make_setting(arm, steps=1, trial=trial)), recorder)
        found: dict[str, set[str]] = {}
        for ask in recorder.asks:
            found.setdefault(ask.about.stage, set()).add(ask.request.identity())
        return found

    one, two = asked("one-step/correct/naive", 0), asked("one-step/wrong/naive", 0)
    assert one["forward"] == two["forward"]
    assert one["one-step"].isdisjoint(two["one-step"])
    assert one["forward"].isdisjoint(asked("one-step/correct/naive", 1)["forward"])
    assert asked("rewrite/none/best@2", 0)["rewrite"] < asked("rewrite/none/best@3", 0)["rewrite"]


def test_each_variant_draws_all_three_stages_anew() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("gradient/correct/random@3", steps=1)), recorder)
    for stage, count in (
        ("forward", 3),
        ("gradient-output", 9),
        ("gradient-prompt", 9),
        ("gradient-update", 3),
    ):
        asks = [ask for ask in recorder.asks if ask.about.stage == stage]
        assert len(asks) == count
        assert len({ask.request.identity() for ask in asks}) == count


def test_an_unparsed_rewrite_keeps_the_prompt_and_is_not_asked_again() -> None:
    def refuse(ask):  # type: ignore[no-untyped-def]
        return reply("I'm sorry, I can't help with that.") if ask.about.stage == "improve" else obliging(ask)

    recorder = Recorder(refuse)
    result = run(run_trial(make_setting("improve/none/validated@2", steps=3)), recorder)
    assert result.candidate.prompt == "Say yes or no."
    assert recorder.roles() == {"generator": 4, "optimizer": 6, "critic": 0, "judge": 0}
    assert sum(isinstance(event, ProposalUnparsed) for event in recorder.events) == 6


def test_a_failed_call_is_missing_and_never_wrong() -> None:
    """The better prompt's only miss is a failure: it must not lose to a prompt with a wrong answer there."""

    def partly(ask):  # type: ignore[no-untyped-def]
        about = ask.about
        if about.stage != "forward":
            return obliging(ask)
        new = "Rewritten" in ask.request.messages[0].content
        target = ("yes", "no")[int(about.example[-1]) % 2]
        if about.example == "validation0":
            return Failed("server", "broken", 500, 3) if new else reply(target)
        return reply(target) if new or about.example != "validation1" else reply("yes")

    recorder = Recorder(partly)
    result = run(run_trial(make_setting("improve/none/validated@1", steps=1)), recorder)
    assert result.candidate.prompt.startswith("Rewritten")
    rows = {event.variant: event.shown for event in recorder.events if isinstance(event, CandidateScored)}
    assert rows[0] == (None, 1.0, 1.0, 1.0)
    assert rows[-1] == (1.0, 0.0, 1.0, 1.0)


def test_a_batch_of_failures_gives_no_proposal() -> None:
    def broken(ask):  # type: ignore[no-untyped-def]
        return Failed("server", "down") if ask.about.stage == "forward" else obliging(ask)

    recorder = Recorder(broken)
    result = run(run_trial(make_setting("gradient/correct/naive", steps=2)), recorder)
    assert result.candidate.prompt == "Say yes or no."
    assert recorder.roles()["optimizer"] == 0


def test_ties_keep_the_current_prompt() -> None:
    recorder = Recorder(lambda ask: reply("yes") if ask.about.stage == "forward" else obliging(ask))
    result = run(run_trial(make_setting("improve/none/validated@3", steps=3)), recorder)
    assert result.candidate.prompt == "Say yes or no."
    best = run(run_trial(make_setting("improve/none/best@3", steps=1)), Recorder(recorder.responder))
    assert best.candidate.prompt != "Say yes or no."


def test_batches_are_drawn_without_replacement_by_epoch() -> None:
    recorder = Recorder()
    run(run_trial(make_setting("one-step/none/naive", steps=6, batch_size=3)), recorder)
    seen = [
        ask.about.example
        for ask in recorder.asks
        if ask.about.split == "train" and ask.about.stage == "forward"
    ]
    first, second = seen[:7], seen[7:]
    assert sorted(first) == sorted(second) == [f"train{number}" for number in range(7)]
    assert first != second
    identities = [ask.request.draw for ask in recorder.asks if ask.about.stage == "forward"]
    assert len(set(identities)) == len(identities)


def test_the_same_trial_twice_is_the_same() -> None:
    one, two = Recorder(by_prompt), Recorder(by_prompt)
    for recorder in (one, two):
        run(run_trial(make_setting("gradient/shuffled/validated@3+shuffled", steps=4)), recorder)
    assert one.events == two.events
    assert [ask.request for ask in one.asks] == [ask.request for ask in two.asks]


def test_events_tell_the_whole_trial() -> None:
    recorder = Recorder(by_prompt)
    result = run(run_trial(make_setting("improve/none/best@2", steps=3)), recorder)
    done = [event for event in recorder.events if isinstance(event, StepDone)]
    assert [event.step for event in done] == [1, 2, 3]
    assert isinstance(recorder.events[-1], TrialDone)
    assert recorder.events[-1].candidate == done[-1].candidate == result.candidate.digest


def test_the_test_split_is_opened_before_it_is_read() -> None:
    view = make_view()
    recorder = Recorder()
    setting = make_setting("seed", view=view)
    test = tuple(Example(f"t{n}", f"input {n}", "yes") for n in range(5))
    scores = run(run_test(setting, Candidate.of("A prompt."), "seed", test), recorder)
    assert [event.kind for event in recorder.events] == ["test-opened", "test-scored"]
    assert len(scores.shown) == 5
    assert {ask.about.split for ask in recorder.asks} == {"test"}
