"""Logs of inspect_ai: one `.eval` file for each prompt that was read on the sealed test, written by inspect_ai's own writer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.task import Scored, UnparsedAnswer
from nullgrad.edges.export.values import NOTHING, EvaluatedExample, EvaluatedPrompt, missing_extra, plain
from nullgrad.errors import UserError

SIMULATED = "simulated"
"""Tag of a log whose model is no real one."""

_STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
"""From a reply's finish reason to inspect_ai's; all others are `unknown` there."""


def write_inspect(prompts: Iterable[EvaluatedPrompt], folder: Path) -> list[Path]:
    """Write a log for each prompt; one that is there from an earlier export of the same run is replaced.

    Args:
        prompts: with their transcripts.
        folder: made where it is missing.

    Returns:
        The files, in order.

    Raises:
        UserError: the extra is not installed, or the folder cannot be written.
    """
    try:
        import inspect_ai.log as inspect_log  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise missing_extra("inspect_ai", "inspect") from None
    written: list[Path] = []
    for prompt in prompts:
        path = folder / file_name(prompt)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            inspect_log.write_eval_log(_log(prompt), str(path.resolve()), format="eval")
        except OSError as error:
            raise UserError(
                f"--out {folder} cannot be written: {error.strerror or error}.",
                NOTHING if not written else f"{len(written)} logs were written before.",
                "Name another folder.",
            ) from None
        written.append(path)
    return written


def file_name(prompt: EvaluatedPrompt) -> str:
    """Name of a log as inspect_ai gives them, time first; the same prompt of the same run has the same."""
    at = re.sub(r"[^0-9T+-]", "-", datetime.fromisoformat(prompt.begun).isoformat(timespec="seconds"))
    name = re.sub(r"[^\w.]+", "-", f"{prompt.task}-{prompt.purpose}").strip("-")
    return f"{at}_{name}_{_id(prompt)}.eval"


def _id(prompt: EvaluatedPrompt) -> str:
    place = (prompt.run, prompt.cell, prompt.arm, str(prompt.trial), prompt.purpose)
    return hashlib.sha256("\n".join(place).encode()).hexdigest()[:22]


def _log(prompt: EvaluatedPrompt) -> Any:
    from inspect_ai.log import (  # type: ignore[import-not-found, unused-ignore]
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalPlan,
        EvalPlanStep,
        EvalSpec,
        EvalStats,
    )
    from inspect_ai.model import GenerateConfig  # type: ignore[import-not-found, unused-ignore]

    config = GenerateConfig(
        temperature=prompt.sampling.temperature,
        top_p=prompt.sampling.top_p,
        max_tokens=prompt.sampling.max_tokens,
    )
    samples = [_sample(prompt, one) for one in prompt.examples]
    times = sorted(one.at for one in prompt.examples)
    metadata = _metadata(prompt)
    tags = ["nullgrad", prompt.purpose, *([SIMULATED] if prompt.simulated else [])]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=_id(prompt),
            run_id=prompt.run,
            created=prompt.begun,
            task=prompt.task,
            task_display_name=f"{prompt.task}: {prompt.purpose} prompt",
            task_id=_id(prompt),
            task_version=prompt.digest[:16],
            task_args={"prompt": prompt.purpose, "arm": prompt.arm, "trial": prompt.trial},
            model=prompt.model,
            model_generate_config=config,
            dataset=EvalDataset(
                name=f"{prompt.task}, sealed test",
                samples=len(samples),
                sample_ids=[one.example.id for one in prompt.examples],
                shuffled=False,
            ),
            config=EvalConfig(epochs=1),
            packages={"nullgrad": prompt.version},
            tags=tags,
            metadata=metadata,
        ),
        plan=EvalPlan(
            steps=[
                EvalPlanStep(
                    solver="generate", params={"prompt": plain(prompt.prompt), "format": plain(prompt.format)}
                )
            ],
            config=config,
        ),
        results=_results(prompt),
        stats=EvalStats(
            started_at=times[0], completed_at=times[-1], model_usage=_usage_of(prompt.model, prompt.examples)
        ),
        # A log that is read has these filled from the specification; one that is made has to fill them itself.
        tags=tags,
        metadata=metadata,
        samples=samples,
    )


def _metadata(prompt: EvaluatedPrompt) -> dict[str, Any]:
    return {
        "nullgrad_run": prompt.run,
        SIMULATED: prompt.simulated,
        "cell": prompt.cell,
        "arm": prompt.arm,
        "trial": prompt.trial,
        "which_prompt": prompt.purpose,
        "prompt": plain(prompt.prompt),
        "format": plain(prompt.format),
    }


def _results(prompt: EvaluatedPrompt) -> Any:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    name = "mean" if prompt.graded else "accuracy"
    scored = [one.score for one in prompt.examples if one.score is not None]
    failed = sum(isinstance(one.reply, Failed) for one in prompt.examples)
    unparsed = sum(isinstance(one.outcome, UnparsedAnswer) for one in prompt.examples)
    metrics = {}
    if prompt.score is not None:
        ends = None if prompt.interval is None else {"ci95": list(prompt.interval), "method": "Wilson"}
        metrics[name] = EvalMetric(name=name, value=prompt.score, metadata=ends)
    score = EvalScore(
        name=prompt.scorer,
        scorer=prompt.scorer,
        params=prompt.scorer_options,
        scored_samples=len(scored),
        unscored_samples=len(prompt.examples) - len(scored),
        metrics=metrics,
    )
    return EvalResults(
        total_samples=len(prompt.examples),
        completed_samples=len(prompt.examples) - failed,
        scores=[score],
        metadata={"unparsed": unparsed, "failed": failed},
    )


def _sample(prompt: EvaluatedPrompt, one: EvaluatedExample) -> Any:
    from inspect_ai.event import ModelEvent  # type: ignore[import-not-found, unused-ignore]
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        GenerateConfig,
        ModelOutput,
    )
    from inspect_ai.scorer import Score  # type: ignore[import-not-found, unused-ignore]

    made = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    sent = [
        made[message.role](id=f"{one.example.id}-{place}", content=plain(message.content))
        for place, message in enumerate(one.request.messages)
    ]
    ended = datetime.fromisoformat(one.at).astimezone(UTC)
    begun = ended - timedelta(seconds=one.seconds)
    reply = one.reply
    output = _output(prompt.model, one.example.id, reply) if isinstance(reply, Reply) else ModelOutput()
    failure = plain(reply.message or reply.kind) if isinstance(reply, Failed) else None
    scores = None
    if one.score is not None:
        read = one.outcome
        scores = {
            prompt.scorer: Score(
                value=one.score,
                answer=plain(read.answer) if isinstance(read, Scored) else None,
                explanation=f"Unparsed: {read.reason}." if isinstance(read, UnparsedAnswer) else None,
            )
        }
    event = ModelEvent(
        uuid=f"{_id(prompt)}-{one.example.id}",
        timestamp=begun,
        completed=ended,
        working_start=0.0,
        working_time=one.seconds,
        model=prompt.model,
        role="generator",
        input=sent,
        tools=[],
        tool_choice="none",
        config=GenerateConfig(
            temperature=one.request.sampling.temperature,
            top_p=one.request.sampling.top_p,
            max_tokens=one.request.sampling.max_tokens,
            stop_seqs=list(one.request.stop) or None,
            seed=one.request.seed,
        ),
        output=output,
        error=failure,
    )
    return EvalSample(
        id=one.example.id,
        epoch=1,
        input=plain(one.example.input),
        target=plain(one.example.target),
        messages=[*sent, *([output.message] if isinstance(reply, Reply) else [])],
        output=output,
        scores=scores,
        metadata={"outcome": _outcome_word(one), "draw": str(one.request.draw), "group": one.example.group},
        events=[event],
        model_usage=_usage_of(prompt.model, [one]),
        started_at=begun.isoformat(),
        completed_at=ended.isoformat(),
        total_time=one.seconds,
        working_time=one.seconds,
        uuid=f"{_id(prompt)}-{one.example.id}",
        error=None
        if failure is None
        else EvalError(message=failure, traceback=failure, traceback_ansi=failure),
    )


def _outcome_word(one: EvaluatedExample) -> str:
    if isinstance(one.outcome, Scored):
        return "scored"
    return "unparsed" if isinstance(one.outcome, UnparsedAnswer) else "failed"


def _output(model: str, example: str, reply: Reply) -> Any:
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput

    message = ChatMessageAssistant(
        id=f"{example}-reply", content=plain(reply.text), source="generate", model=reply.served_model or model
    )
    stop: Any = _STOPS.get(reply.finish_reason, "unknown")
    return ModelOutput(
        model=reply.served_model or model,
        choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
        usage=_usage(reply),
    )


def _usage(reply: Reply) -> Any:
    """Tokens as inspect_ai counts them, cached ones apart; None where the endpoint did not say."""
    from inspect_ai.model import ModelUsage

    usage = reply.usage
    if usage.prompt is None or usage.completion is None:
        return None
    cached = min(usage.cached or 0, usage.prompt)
    return ModelUsage(
        input_tokens=usage.prompt - cached,
        output_tokens=usage.completion,
        total_tokens=usage.prompt + usage.completion,
        input_tokens_cache_read=usage.cached,
        reasoning_tokens=usage.reasoning,
    )


def _usage_of(model: str, examples: Iterable[EvaluatedExample]) -> dict[str, Any]:
    total: Any = None
    for one in examples:
        usage = _usage(one.reply) if isinstance(one.reply, Reply) else None
        if usage is not None:
            total = usage if total is None else total + usage
    return {} if total is None else {model: total}
