"""Simulated optimizer models answer other tools' requests in the form that each asks for; the texts here have that form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from nullgrad.core.chat import Message, Request
from nullgrad.edges.sim import SimModel, parse_world, sim_task
from nullgrad.edges.sim.forms import Sought, read_request
from nullgrad.edges.sim.prompts import read_prompt
from nullgrad.edges.sim.rules import HARMFUL, HELPFUL, RIGHT, Rule
from nullgrad.edges.sim.vocabulary import LABELS, write_message

SEED = "Read the customer's message and decide what kind it is."
TOPIC = 3
MESSAGE = write_message(3, 0, TOPIC, 0)
"""A complaint about products."""

OTHER = write_message(8, 1, 0, 0)
"""Praise about a delivery."""


def chat(user: str, system: str = "") -> tuple[Message, ...]:
    """Messages of a request."""
    return ((Message("system", system),) if system else ()) + (Message("user", user),)


def fields(user: dict[str, str], outputs: tuple[str, ...], *, as_json: bool = False) -> tuple[Message, ...]:
    """A request in DSPy's fields."""
    ends = "Outputs will be a JSON object." if as_json else "[[ ## completed ## ]]"
    system = "\n".join(
        (
            "Your input fields are:",
            *(f"{number}. `{name}` (str):" for number, name in enumerate(user, 1)),
            "Your output fields are:",
            *(f"{number}. `{name}` (str): what is wanted" for number, name in enumerate(outputs, 1)),
            "This is the structure.",
            *(f"\n[[ ## {name} ## ]]\n{{{name}}}" for name in user),
            *(() if as_json else (f"\n[[ ## {name} ## ]]\n{{{name}}}" for name in outputs)),
            f"\n{ends}",
            "Your objective is: to write something better.",
        )
    )
    sections = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in user.items())
    return chat(f"{sections}\n\nRespond in that form.", system)


def section(reply: str, name: str) -> str:
    """A field of a reply in sections."""
    assert reply.endswith("[[ ## completed ## ]]")
    found = re.search(rf"\[\[ ## {name} ## \]\]\n(.*?)\n\n\[\[ ## ", reply, re.DOTALL)
    assert found is not None, reply
    return found[1]


def told(label: str | None) -> str:
    """Feedback that tells a label, or none."""
    return "" if label is None else f"The answer is incorrect. The correct answer is: {label}"


def fenced(label: str | None) -> tuple[tuple[Message, ...], Callable[[str], str]]:
    text = f"Instruction:\n```\n{SEED}\n```\nSeen:\n```\n## Inputs\n{MESSAGE}\n## Generated Outputs\npraise\n"
    text += (
        f"## Feedback\n{told(label)}\n```\nWrite a new instruction within ``` blocks."
        if label
        else "```\nWrite a new instruction within ``` blocks."
    )
    return chat(text), lambda reply: reply.removeprefix("```\n").removesuffix("\n```")


def dspy_chat(label: str | None) -> tuple[tuple[Message, ...], Callable[[str], str]]:
    row = {"Inputs": {"message": MESSAGE}, "Generated Outputs": {"kind": "praise"}}
    rows = [row | ({"Feedback": told(label)} if label else {})]
    asked = {"current_instruction": SEED, "examples_with_feedback": json.dumps(rows)}
    return fields(asked, ("new_instruction",)), lambda reply: section(reply, "new_instruction")


def dspy_json(label: str | None) -> tuple[tuple[Message, ...], Callable[[str], str]]:
    row = {"Inputs": {"message": MESSAGE}, "Generated Outputs": {"kind": "praise"}}
    rows = [row | ({"Feedback": told(label)} if label else {})]
    asked = {"current_instruction": SEED, "examples_with_feedback": json.dumps(rows)}
    messages = fields(asked, ("reasoning", "new_instruction"), as_json=True)
    return messages, lambda reply: json.loads(reply)["new_instruction"]


def opro(label: str | None) -> tuple[tuple[Message, ...], Callable[[str], str]]:
    shown = f"Input: {MESSAGE}\nOutput: {label}\nInput: {OTHER}\nOutput: {label}" if label else ""
    text = f"Tried:\ntext:\nSomething else.\nscore: 40\n\ntext:\n{SEED}\nscore: 66\n\ntext:\nThird.\nscore: 7\n\nExamples:\n{shown}\n\n"
    return chat(text + "Give it between <prompt> and </prompt>."), untagged


def untagged(reply: str) -> str:
    """What stands between the tags."""
    assert reply.startswith("<prompt>") and reply.endswith("</prompt>")
    return reply.removeprefix("<prompt>").removesuffix("</prompt>")


def optoprime(label: str | None) -> tuple[tuple[Message, ...], Callable[[str], str]]:
    system = 'Reply in JSON: {"reasoning": ..., "answer": ..., "suggestion": {<variable>: <value>}}'
    line = f"Wrong, expected {label}" if label else "Done"
    user = (
        f"#Instruction\nChange #Variables.\n\n#Code\na\n\n#Variables\n(str) prompt0={SEED}\n\n#Constraints\n(str) prompt0: a prompt\n\n"
        f"#Inputs\n(str) x0={MESSAGE}\n(str) x1={MESSAGE}\n\n#Outputs\n(str) out0=ID 0: praise\nID 1: praise\n\n"
        f"#Feedback\nID 0: {line}\nID 1: {line}\n"
    )
    return chat(user, system), lambda reply: json.loads(reply)["suggestion"]["prompt0"]


FORMS = {
    "fenced": fenced,
    "dspy chat": dspy_chat,
    "dspy json": dspy_json,
    "opro": opro,
    "optoprime": optoprime,
}


def proposed(world: str, form: str, label: str | None, n: int = 40) -> list[Rule]:
    """The rules that requests of a form come to."""
    model = SimModel(parse_world(world))
    messages, read = FORMS[form](label)
    found: list[Rule] = []
    for draw in range(n):
        prompt = read_prompt(read(model.reply(Request("m", messages, draw=draw)).text))
        assert prompt.base == SEED
        found += prompt.rules
    return found


@pytest.mark.parametrize("form", FORMS)
def test_the_reply_has_the_form_and_labels_lead_as_the_world_says(form: str) -> None:
    right = {rule for rule in proposed("gradient?find=1", form, "complaint") if rule.topic == TOPIC}
    wrong = {rule for rule in proposed("gradient?find=1", form, "praise") if rule.topic == TOPIC}
    assert (right, wrong) == ({RIGHT[TOPIC]}, {HARMFUL[TOPIC]})
    untold = {rule.kind for rule in proposed("gradient?find=1", form, None)}
    assert untold == {"right", "harmful"}, "what is not told is guessed"
    assert {rule.kind for rule in proposed("null", form, "complaint")} == {"note"}
    assert {rule.kind for rule in proposed("discovery?find=1", form, "praise")} == {"helpful", "unhelpful"}
    assert {rule.kind for rule in proposed("gradient", form, "complaint")} >= {"note"}, "nothing may be found"


def test_opro_begins_from_the_best_of_the_history() -> None:
    sought = read_request(opro(None)[0])
    assert sought is not None and sought.prompt == SEED


def chained(world: str, label: str | None, draw: int = 0) -> list[Rule]:
    """TextGrad's calls for one example: feedback on the answer, on the prompt, and the update."""
    model = SimModel(parse_world(world))

    def ask(user: str, system: str = "You give feedback.") -> str:
        return model.reply(Request("m", chat(user, system), draw=draw)).text

    objective = "<OBJECTIVE_FUNCTION>{}</OBJECTIVE_FUNCTION>"
    first = ask(
        f"<INPUTS_TO_FUNCTION> **Prediction**: praise </INPUTS_TO_FUNCTION>\n<OUTPUT_OF_FUNCTION> {told(label)} </OUTPUT_OF_FUNCTION>\n"
        f"{objective.format('Improve the metric.')}\n<VARIABLE> praise </VARIABLE>"
    )
    long = f"{SEED} Work on it as if it were your own message that somebody else had to read at the end of a long day."
    short = "Read the customer's message and decide what kind it is. (...) to read at the end of a long day."
    talk = f"<LM_SYSTEM_PROMPT> {long}\n\nAnswer with one word. </LM_SYSTEM_PROMPT>\n<LM_INPUT> {MESSAGE} </LM_INPUT>\n<LM_OUTPUT> praise </LM_OUTPUT>"
    second = ask(f"{talk}\n{objective.format('Address this: ' + first)}\n<VARIABLE> {short} </VARIABLE>")
    last = ask(
        f"<VARIABLE> {short} </VARIABLE>\n<CONTEXT>{talk}\n<FEEDBACK>{second}</FEEDBACK></CONTEXT>\nUse what is in <FEEDBACK> tags.",
        "Send it between <IMPROVED_VARIABLE> {variable} </IMPROVED_VARIABLE> tags.",
    )
    found = re.fullmatch(r"<IMPROVED_VARIABLE>(.*)</IMPROVED_VARIABLE>", last, re.DOTALL)
    assert found is not None
    prompt = read_prompt(found[1])
    assert prompt.base == long, "a shortened variable is found whole in the conversation"
    return list(prompt.rules)


def test_textgrads_feedback_carries_the_label_back_to_the_prompt() -> None:
    assert chained("gradient?find=1", "complaint") == [RIGHT[TOPIC]]
    assert chained("gradient?find=1", "praise") == [HARMFUL[TOPIC]]
    guessed = [chained("gradient?find=1", None, draw)[0].kind for draw in range(40)]
    assert set(guessed) == {"right", "harmful"} and 8 < guessed.count("right") < 32
    # Through several calls what the world `chain` needs is there: a label that is told, and stages.
    assert chained("chain?find=1", "complaint") == [RIGHT[TOPIC]]
    assert [rule.kind for rule in chained("chain?find=1", "praise")] == ["note"]


@pytest.mark.parametrize("label", ["complaint", "praise", None])
def test_a_summary_of_the_data_carries_what_its_labels_lead_to(label: str | None) -> None:
    model = SimModel(parse_world("gradient?find=1"))

    def ask(user: dict[str, str], *outputs: str, draw: int = 0) -> str:
        return model.reply(Request("m", fields(user, outputs), draw=draw)).text

    own = f", 'kind': '{label}'" if label else ""
    rows = f"[Example({{'message': '{MESSAGE}'{own}}}) (input_keys={{'message'}})]"
    observed = section(ask({"examples": rows}, "observations"), "observations")
    more = section(ask({"examples": rows, "prior_observations": observed}, "observations"), "observations")
    assert observed in more
    summary = section(ask({"observations": observed}, "summary"), "summary")
    assert summary == observed
    user = {
        "dataset_description": summary, "program_code": "Predict(message -> kind)", "previous_instructions": "",
        "basic_instruction": SEED, "tip": "Be brief.",
    }  # fmt: skip
    prompt = read_prompt(section(ask(user, "proposed_instruction"), "proposed_instruction"))
    assert prompt.base == SEED
    kinds = {"complaint": [RIGHT[TOPIC]], "praise": [HARMFUL[TOPIC]]}
    assert [*prompt.rules] == (kinds[label] if label else [*prompt.rules])
    assert {rule.topic for rule in prompt.rules} == {TOPIC}


def test_attempts_are_improved_from_the_best_and_every_field_is_there() -> None:
    model = SimModel(parse_world("discovery?find=1"))
    best = f"{SEED} {HELPFUL[0].sentence}"
    attempts = f"[1] «Instruction #1: {SEED}»\n[2] «Prefix #1: Kind:»\n[3] «Resulting Score #1: 55.0»\n[4] «Instruction #2: {best}»\n[5] «Prefix #2: Kind:»\n[6] «Resulting Score #2: 65.0»"
    messages = fields(
        {"attempted_instructions": attempts}, ("proposed_instruction", "proposed_prefix_for_output_field")
    )
    reply = model.reply(Request("m", messages)).text
    assert section(reply, "proposed_prefix_for_output_field") == "Answer:"
    rules = read_prompt(section(reply, "proposed_instruction")).rules
    assert rules[0] == HELPFUL[0] and len(rules) == 2


def test_parents_are_merged_and_a_rephrasing_keeps_the_rules() -> None:
    model = SimModel(parse_world("discovery?find=1"))
    demo = "Prompt 1: Say it.\nPrompt 2: Tell it.\n2. <prompt>Say and tell it.</prompt>\n\n"
    for head in ("", demo):
        text = f"{head}Merge.\nPrompt 1: {SEED} {HELPFUL[0].sentence}\nPrompt 2: {SEED} {HELPFUL[1].sentence}\n\nReturn <prompt>new</prompt>"
        merged = read_prompt(untagged(model.reply(Request("m", chat(text))).text))
        assert merged.base == SEED and merged.rules[:2] == HELPFUL[:2] and len(merged.rules) == 3
    text = f"Rephrase the prompt, preserving its core meaning.\nPrompt: {SEED} {HELPFUL[0].sentence}\n\nReturn <prompt>new</prompt>"
    kept = read_prompt(untagged(model.reply(Request("m", chat(text))).text))
    assert kept.opener is not None and kept.rules == (HELPFUL[0],)
    text = (
        f"A variation with the same semantic meaning, in <prompt> and </prompt>.\n\nInput: {SEED}\n\nOutput:"
    )
    varied = read_prompt(untagged(model.reply(Request("m", chat(text))).text))
    assert varied.opener is not None and varied.base == SEED


def test_the_tasks_own_question_in_fields_is_answered_as_the_same_question_in_plain_text() -> None:
    """Who leaves DSPy its own format for the task gets a label in it, right as often as the prompt is."""
    model = SimModel(parse_world("gradient?rho=0&redraw=1"))
    task = sim_task("sim/gradient", split={"train": 30, "validation": 400, "test": 10})
    right = {}
    for rules in ((), RIGHT):
        prompt = " ".join((SEED, *(rule.sentence for rule in rules)))
        found = []
        for one in task.view.validation:
            user, system = fields({"message": one.input}, ("reasoning", "kind"))[::-1]
            system = Message("system", system.content + f"\n        {prompt}")
            reply = model.reply(Request("m", (system, user))).text
            found.append(section(reply, "kind") == one.target)
        right[rules] = sum(found) / len(found)
    world = parse_world("gradient")
    for rules, share in right.items():
        truth = world.accuracy(" ".join((SEED, *(rule.sentence for rule in rules))))
        assert abs(share - truth) < 4 * (truth * (1 - truth) / 400) ** 0.5


def test_forward_calls_are_no_request_for_a_prompt_whatever_the_prompt_talks_about() -> None:
    task = sim_task("sim/gradient")
    model = SimModel(parse_world("gradient"))
    one = task.test[0]
    for prompt in (
        "Write a better prompt between <prompt> and </prompt>.",
        '{"suggestion": {}}\n#Variables\n(str) prompt0=a b c',
        "<VARIABLE> a </VARIABLE> <IMPROVED_VARIABLE>",
        "Your output fields are:\n1. `new_instruction` (str):",
    ):
        assert model.reply(Request("m", task.view.messages(prompt, one))).text in LABELS


def test_a_form_knows_nothing_of_worlds() -> None:
    """Whoever finds the new text, the form writes it: `conformance` asks with texts of its own."""
    for make in FORMS.values():
        messages, read = make("complaint")
        sought = read_request(messages)
        assert isinstance(sought, Sought) and sought.kind == "improve" and sought.prompt == SEED
        assert read(sought.write("Something\nnew: “{it}”.")) == "Something\nnew: “{it}”."
    assert read_request(chat("Hello there.")) is None
    assert read_request(()) is None


def test_a_label_belongs_to_the_message_before_it_and_to_no_other() -> None:
    text = f"```\n{SEED}\n```\n{MESSAGE}\n\n{OTHER}\nThe correct answer is: praise\nWrite a new instruction."
    sought = read_request(chat(text))
    assert sought is not None
    (first, untold), (second, told_of) = sought.shown
    assert (first, untold, second) == (MESSAGE, "", OTHER) and "praise" in told_of


def test_optoprimes_feedback_is_by_number_though_its_inputs_stand_in_any_order() -> None:
    user = (
        f"#Variables\n(str) prompt0={SEED}\n\n#Inputs\n(str) x11={OTHER}\n(str) x9={MESSAGE}\n\n"
        "#Feedback\nID 0: Wrong, expected complaint\nID 1: Wrong, expected praise\n"
    )
    sought = read_request(chat(user, '{"suggestion": {}}'))
    assert sought is not None
    assert [(text, told_of.strip(" :")) for text, told_of in sought.shown] == [
        (MESSAGE, "complaint"),
        (OTHER, "praise"),
    ]
    shorter = read_request(chat(user.replace("ID 1: Wrong, expected praise\n", ""), '{"suggestion": {}}'))
    assert shorter is not None and {told_of for _, told_of in shorter.shown} == {""}
