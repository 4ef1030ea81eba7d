"""A world as optimizer and critic: replies to requests of nullgrad's own stages."""

from __future__ import annotations

from collections.abc import Sequence

from nullgrad.core.critic import read_verdict
from nullgrad.core.scorers.judge import read_score
from nullgrad.core.words import ReplyForm
from nullgrad.edges.sim.messages import check_class
from nullgrad.edges.sim.mix import Luck, text_key
from nullgrad.edges.sim.prompts import read_prompt
from nullgrad.edges.sim.proposals import Lead, Update, guess, lead, luck_of, propose, shown_key
from nullgrad.edges.sim.rules import find_rules
from nullgrad.edges.sim.stages import Asked, expected_in, has_message, is_critic_case
from nullgrad.edges.sim.vocabulary import LABELS, TOPICS, Message
from nullgrad.edges.sim.worlds import World

_DEGREE, _JUDGED = 1, 2

_TOLD, _GUESSED = "It should say", "It may have to say"
"""How stage one names a label that was told, and one that is guessed."""


def reply_to(world: World, asked: Asked, draw: int) -> str:
    """The reply at a stage."""
    if asked.stage in ("critic-binary", "critic-smooth"):
        return _judge(world, asked, draw)
    if asked.stage == "gradient-output":
        return _output_change(world, asked, draw)
    if asked.stage == "gradient-prompt":
        return _prompt_change(world, asked)
    return _new_prompt(world, asked, draw)


def framed(prompt: str, form: ReplyForm) -> str:
    """A prompt in the form that is asked for."""
    return f"<prompt>\n{prompt}\n</prompt>" if form == "prompt-fenced" else prompt


def place_of(world: World, label: str) -> int | None:
    """The place of a label as it is written, None for none of the world's."""
    known = [one.lower() for one in world.labels]
    text = label.strip().lower()
    return known.index(text) if text in known else None


def told_label(world: World, pack: str, output: str, evaluation: str) -> int | None:
    """The label that an evaluation tells: the one that it names, or that a critic's judgement of the output implies.

    Of three classes, "incorrect" leaves two: the next one is taken. None where nothing is told.
    """
    if not evaluation.strip():
        return None
    expected = expected_in(pack, evaluation)
    if expected is not None:
        return place_of(world, expected)
    answered = place_of(world, output)
    score = read_verdict(evaluation)
    score = read_score(evaluation) if score is None else score
    if answered is None or score is None:
        return None
    return answered if score >= 0.5 else (answered + 1) % world.size


def _output_change(world: World, asked: Asked, draw: int) -> str:
    """Stage one: how the output should change. It names the label taken for right, and the topic."""
    message = _message(world, asked.values["input"])
    if is_critic_case(asked.pack, asked.values["input"]):
        return "The judgement should say what in the message it rests on."
    label = told_label(world, asked.pack.name, asked.values["output"], asked.values.get("evaluation", ""))
    told = label is not None
    if label is None:
        luck = luck_of(
            world, asked.stage, text_key(asked.values["prompt"]), [shown_key(message.key, None)], draw
        )
        label = guess(world, luck, message)
    return (
        f'{_TOLD if told else _GUESSED} "{LABELS[label]}", since that is what the message about {TOPICS[message.topic]} '
        "amounts to."
    )


def _prompt_change(world: World, asked: Asked) -> str:
    """Stage two: how the instruction should change. It names the rule that the label of stage one leads to."""
    message = _message(world, asked.values["input"])
    if is_critic_case(asked.pack, asked.values["input"]):
        return "Ask for a reason with every judgement."
    change = asked.values["change"]
    return change_of(world, message, _named(world, change), _TOLD.lower() in change.lower())


def change_of(world: World, message: Message, label: int | None, told: bool) -> str:
    """What stage two says of an example whose label is taken to be `label`, None for unknown."""
    topic = TOPICS[message.topic]
    if label is None:
        return f"Say more clearly what counts in messages about {topic}."
    rules = lead(world, message, label, told)
    if not rules:
        return f'Say more clearly what makes a message about {topic} one that is "{LABELS[label]}".'
    return " ".join(rule.sentence for rule in rules)


def _named(world: World, change: str) -> int | None:
    """The only label that stage one names."""
    found = [place for place, label in enumerate(world.labels) if f'"{label}"' in change.lower()]
    return found[0] if len(found) == 1 else None


def _new_prompt(world: World, asked: Asked, draw: int) -> str:
    """Stage three, and the updates of a single stage."""
    text = asked.values["prompt"]
    keys: list[int] = []
    leads: list[Lead] = []
    messages: list[Message] = []
    labels: list[int | None] = []
    update: Update
    if asked.stage == "gradient-update":
        update = "gradient"
        leads = [(rule,) for rule, _, _ in find_rules(asked.values["changes"])]
        keys = [text_key(asked.values["changes"])]
    elif asked.stage == "one-step":
        update = "one-step"
        messages = [_message(world, one["input"]) for one in asked.shown]
        labels = [
            told_label(world, asked.pack.name, one["output"], one.get("evaluation", ""))
            for one in asked.shown
        ]
        keys = [shown_key(one.key, label) for one, label in zip(messages, labels, strict=True)]
    else:
        update = "rewrite" if asked.stage == "rewrite" else "improve"
    luck = luck_of(world, asked.stage, text_key(text), keys, draw)
    if update == "one-step" and not is_critic_case(asked.pack, asked.shown[0]["input"]):
        leads = leads_of(world, messages, labels, luck)
    return framed(propose(world, read_prompt(text), update, luck, leads).text, asked.reply)


def leads_of(
    world: World, messages: Sequence[Message], labels: Sequence[int | None], luck: Luck
) -> list[Lead]:
    """What the examples of one step lead to; a label that is not told is guessed."""
    return [
        lead(world, one, guess(world, luck, one, number) if label is None else label, label is not None)
        for number, (one, label) in enumerate(zip(messages, labels, strict=True))
    ]


def _judge(world: World, asked: Asked, draw: int) -> str:
    """A judgement, right with the chance that the dial `critic` gives; the critic's prompt has no effect on it."""
    message = _message(world, asked.values["input"])
    answered = place_of(world, asked.values["output"])
    luck = luck_of(world, "critic", 0 if answered is None else answered + 1, [message.key], draw)
    right = answered == message.label
    says = right == (luck.uniform(_JUDGED) < world.dials.critic)
    bare = asked.reply == "text" and asked.pack.name == "compact"
    if asked.stage == "critic-binary":
        verdict = "correct" if says else "incorrect"
        return f" {verdict}" if bare else f"{_reason(message, says)}\nVerdict: {verdict}"
    score = (60 if says else 5) + luck.below(36, _DEGREE)
    return f" {score}" if bare else f"{_reason(message, says)}\nScore: {score}"


def _reason(message: Message, says: bool) -> str:
    held = "fits" if says else "does not fit"
    return f"The output {held} what the message about {TOPICS[message.topic]} says."


def _message(world: World, text: str) -> Message:
    message = has_message(text)
    assert message is not None
    check_class(message, world.size, world.spec)
    return message
