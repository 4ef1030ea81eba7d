"""How a new prompt is proposed: `rewrite`, `improve`, `one-step`, and the three stages of `gradient`.

The forward pass of a batch is run once per step and handed to all variants. Every variant draws each of its
optimizer stages anew. An unparsed proposal is not asked again. A critic's prompt is proposed by the same updates:
its examples are the outputs that it judged, its outputs the judgements.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.candidate import GENERATOR
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.critic import VERDICTS
from nullgrad.core.effects import Effect, ask, parallel
from nullgrad.core.prompt import Parsed, Unparsed, parse_prompt
from nullgrad.core.setting import Setting


@dataclass(frozen=True, slots=True)
class Shown:
    """One example of a batch as an optimizer sees it.

    Attributes:
        id: of the example.
        input: what the prompt was used on.
        output: what came of it.
        evaluation: of the output, in words, "" for none.
    """

    id: str
    input: str
    output: str
    evaluation: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The text that a proposal is to replace.

    Attributes:
        name: of the text in the candidate.
        prompt: the text.
        shown: the batch as its optimizer sees it; what failed is not among it.
    """

    name: str
    prompt: str
    shown: Sequence[Shown] = ()


def propose(
    setting: Setting, subject: Subject, step: int, variant: int
) -> Generator[Effect, Any, Parsed | Unparsed]:
    """One variant of a text, by the arm's update."""
    update = setting.arm.update
    last: str = update
    values: Mapping[str, str] = {}
    if setting.arm.uses_examples and not subject.shown:
        return Unparsed("no-feedback", "every call of the batch failed")
    if update == "one-step":
        values = {"examples": _examples(setting, subject.shown)}
    elif update == "gradient":
        last = "gradient-update"
        changes = yield from parallel(
            _chain(setting, subject, example, step, variant) for example in subject.shown
        )
        kept = [change for change in changes if change]
        if not kept:
            return Unparsed("no-feedback", "no example of the batch led to a proposed change")
        joined = "\n\n".join(
            setting.pack.piece("change", {"number": str(number), "change": change})
            for number, change in enumerate(kept, 1)
        )
        values = {"changes": joined}
    reply = yield from _stage(setting, last, subject, values, step, variant)
    labels = setting.view.labels if subject.name == GENERATOR else VERDICTS
    return parse_prompt(reply, setting.pack[last].reply, labels)


def _chain(
    setting: Setting, subject: Subject, example: Shown, step: int, variant: int
) -> Generator[Effect, Any, str]:
    """Stages one and two for one example: how the output, then the prompt, should change; "" where a call failed."""
    seen = {"input": example.input, "output": example.output}
    told = {**seen, "evaluation": example.evaluation}
    first = yield from _stage(setting, "gradient-output", subject, told, step, variant, example.id)
    if isinstance(first, Failed) or not first.text.strip():
        return ""
    change = {**seen, "change": first.text.strip()}
    second = yield from _stage(setting, "gradient-prompt", subject, change, step, variant, example.id)
    return "" if isinstance(second, Failed) else second.text.strip()


def _stage(
    setting: Setting,
    stage: str,
    subject: Subject,
    values: Mapping[str, str],
    step: int,
    variant: int,
    example: str = "",
) -> Generator[Effect, Any, Reply | Failed]:
    """Ask the optimizer at one stage."""
    view, own = setting.view, subject.name == GENERATOR
    words = setting.pack[stage]
    messages = words.render(
        {
            "prompt": subject.prompt,
            "format": view.format if own else "",
            "labels": ", ".join(view.labels) if own else "",
            **values,
        }
    )
    request = setting.request(
        "optimizer",
        messages,
        setting.draws.proposal(step, stage, example or None, variant, subject.name),
        stop=words.stop,
        max_tokens=words.max_tokens,
    )
    about = setting.about(
        "optimizer",
        stage,
        split="train" if example else "",
        example=example,
        step=step,
        variant=variant,
        text="" if own else subject.name,
    )
    return (yield from ask(request, about))


def _examples(setting: Setting, shown: Sequence[Shown]) -> str:
    return "\n\n".join(
        setting.pack.piece(
            "example",
            {
                "number": str(number),
                "input": one.input,
                "output": one.output,
                "evaluation": one.evaluation,
            },
        ).strip()
        for number, one in enumerate(shown, 1)
    )
