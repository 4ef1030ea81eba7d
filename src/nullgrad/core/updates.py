"""How a new prompt is proposed: `rewrite`, `improve`, `one-step`, and the three stages of `gradient`.

The forward pass of a batch is run once per step and handed to all variants. Every variant draws each of its
optimizer stages anew. An unparsed proposal is not asked again.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Reply
from nullgrad.core.effects import Effect, ask, emit, parallel
from nullgrad.core.evaluation import Evaluation, evaluate
from nullgrad.core.events import BatchRun
from nullgrad.core.forward import Output, forward, unparsed
from nullgrad.core.prompt import Parsed, Unparsed, parse_prompt
from nullgrad.core.setting import Setting
from nullgrad.core.task import Example, UnparsedAnswer

Batch = tuple[tuple[Output, str], ...]
"""The outputs of a batch, each with its evaluation in words; what failed is not among them."""


def batch_outputs(
    setting: Setting,
    candidate: Candidate,
    batch: Sequence[Example],
    shown: Mapping[str, str],
    step: int,
    epoch: int,
) -> Generator[Effect, Any, Batch]:
    """Run the current candidate on a batch and evaluate it.

    Examples of which the generator's call or the evaluation failed are left out: shown without its evaluation, an
    example would belong to another arm.
    """

    def one(example: Example) -> Generator[Effect, Any, tuple[Output, Evaluation | Failed]]:
        output = yield from forward(setting, candidate, example, "train", epoch, step)
        if isinstance(output.reply, Failed):
            return output, output.reply
        return output, (yield from evaluate(setting, output, shown, step))

    rows = yield from parallel(one(example) for example in batch)
    told = [evaluation.score if isinstance(evaluation, Evaluation) else None for _, evaluation in rows]
    yield from emit(
        BatchRun(
            setting.scope,
            step,
            tuple(example.id for example in batch),
            () if setting.view.scorer.asks else tuple(_true_score(setting, output) for output, _ in rows),
            unparsed([output.answer for output, _ in rows]),
            sum(isinstance(output.reply, Failed) for output, _ in rows),
            tuple(told) if setting.arm.evaluates else (),
        )
    )
    return tuple(
        (output, evaluation.text) for output, evaluation in rows if isinstance(evaluation, Evaluation)
    )


def _true_score(setting: Setting, output: Output) -> float | None:
    """Against the right target, whatever the evaluation tells the optimizer."""
    if isinstance(output.answer, Failed):
        return None
    if isinstance(output.answer, UnparsedAnswer):
        return 0.0
    return setting.view.scorer.score(output.answer, output.example.target)


def propose(
    setting: Setting, candidate: Candidate, batch: Batch, step: int, variant: int
) -> Generator[Effect, Any, Parsed | Unparsed]:
    """One variant of a step, by the arm's update."""
    update = setting.arm.update
    if update in ("rewrite", "improve"):
        reply = yield from _stage(setting, update, candidate, {}, step, variant)
    elif not batch:
        return Unparsed("no-feedback", "every call of the batch failed")
    elif update == "one-step":
        reply = yield from _stage(
            setting, update, candidate, {"examples": _examples(setting, batch)}, step, variant
        )
    else:
        changes = yield from parallel(
            _chain(setting, candidate, output, evaluation, step, variant) for output, evaluation in batch
        )
        kept = [change for change in changes if change]
        if not kept:
            return Unparsed("no-feedback", "no example of the batch led to a proposed change")
        joined = "\n\n".join(
            setting.pack.piece("change", {"number": str(number), "change": change})
            for number, change in enumerate(kept, 1)
        )
        reply = yield from _stage(setting, "gradient-update", candidate, {"changes": joined}, step, variant)
    last = update if update != "gradient" else "gradient-update"
    return parse_prompt(reply, setting.pack[last].reply, setting.view.labels)


def _chain(
    setting: Setting, candidate: Candidate, output: Output, evaluation: str, step: int, variant: int
) -> Generator[Effect, Any, str]:
    """Stages one and two for one example: how the output, then the prompt, should change; "" where a call failed."""
    seen = {"input": output.example.input, "output": _text(output)}
    first = yield from _stage(
        setting,
        "gradient-output",
        candidate,
        {**seen, "evaluation": evaluation},
        step,
        variant,
        output.example.id,
    )
    if isinstance(first, Failed) or not first.text.strip():
        return ""
    second = yield from _stage(
        setting,
        "gradient-prompt",
        candidate,
        {**seen, "change": first.text.strip()},
        step,
        variant,
        output.example.id,
    )
    return "" if isinstance(second, Failed) else second.text.strip()


def _stage(
    setting: Setting,
    stage: str,
    candidate: Candidate,
    values: Mapping[str, str],
    step: int,
    variant: int,
    example: str = "",
) -> Generator[Effect, Any, Reply | Failed]:
    """Ask the optimizer at one stage."""
    view = setting.view
    words = setting.pack[stage]
    messages = words.render(
        {
            "prompt": candidate.prompt,
            "format": view.format,
            "labels": ", ".join(view.labels),
            **values,
        }
    )
    request = setting.request(
        "optimizer",
        messages,
        setting.draws.proposal(step, stage, example or None, variant),
        stop=words.stop,
        max_tokens=words.max_tokens,
    )
    split = "train" if example else ""
    about = setting.about("optimizer", stage, split=split, example=example, step=step, variant=variant)
    return (yield from ask(request, about))


def _examples(setting: Setting, batch: Batch) -> str:
    return "\n\n".join(
        setting.pack.piece(
            "example",
            {
                "number": str(number),
                "input": output.example.input,
                "output": _text(output),
                "evaluation": evaluation,
            },
        ).strip()
        for number, (output, evaluation) in enumerate(batch, 1)
    )


def _text(output: Output) -> str:
    assert isinstance(output.reply, Reply)
    return output.reply.text.strip()
