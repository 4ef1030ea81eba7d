"""An LLM critic: it judges an output in words and ends with a verdict (`critic-binary`) or a score (`critic-smooth`).

Settled here, since the paper leaves it open (section 3, critic evaluation):

- The critic never sees the right answer, nor a label of any kind: it sees the input and the output.
- Labels reach it through the optimization of its prompt alone: its judgement is compared with the verdict of the label
  shown (correct, wrong or shuffled), in words, and its prompt is updated by the arm's own update.
- Its agreement is 1 − |judged − true|, both from 0 to 1: for a verdict right or wrong, for a score the distance.
- Candidates are pairs and are selected by the task's score of the generator alone; the critic's prompt goes along.
- A judgement of which no verdict can be read is still shown to the optimizer as it is, and agrees with nothing.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from nullgrad.core.candidate import CRITIC, Candidate
from nullgrad.core.chat import Failed
from nullgrad.core.effects import Effect, ask
from nullgrad.core.forward import Output, grade
from nullgrad.core.scorers.judge import read_score
from nullgrad.core.setting import Setting
from nullgrad.core.task import Scored

VERDICTS = ("correct", "incorrect")
"""What a critic's prompt can never be: the answer to its own question."""

_VERDICT = re.compile(r"\bverdict[\s*_\"'`]{0,4}[:=][\s*_\"'`]{0,4}(incorrect|correct)\b", re.IGNORECASE)
_BARE = re.compile(r"[\s*_\"'`]{0,8}(incorrect|correct)[\s*_\"'`.!]{0,8}", re.IGNORECASE)


def read_verdict(text: str) -> float | None:
    """1 for correct, 0 for incorrect, None where a judgement has no verdict or two that differ."""
    found = {match.lower() for match in _VERDICT.findall(text)}
    if not found:
        bare = _BARE.fullmatch(text) if len(text) <= 40 else None
        found = {bare[1].lower()} if bare else set()
    return float(found == {"correct"}) if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the critic said about one output.

    Attributes:
        text: its words, as the optimizer sees them.
        score: how correct it holds the output, 0 to 1; None where that cannot be read.
    """

    text: str
    score: float | None


def judge_output(
    setting: Setting, candidate: Candidate, output: Output, step: int
) -> Generator[Effect, Any, Judgement | Failed]:
    """Ask the critic about one output; an empty judgement counts as a failed one."""
    split, pass_ = output.place
    words = setting.pack[setting.arm.evaluator]
    messages = words.render(
        {"prompt": candidate[CRITIC], "input": output.example.input, "output": output.text}
    )
    request = setting.request(
        "critic",
        messages,
        setting.draws.critic(split, output.example.id, pass_),
        stop=words.stop,
        max_tokens=words.max_tokens,
    )
    about = setting.about("critic", setting.arm.evaluator, split=split, example=output.example.id, step=step)
    reply = yield from ask(request, about)
    if isinstance(reply, Failed):
        return reply
    text = reply.text.strip()
    if not text:
        return Failed("critic-empty", "The critic said nothing.")
    return Judgement(
        text, read_verdict(text) if setting.arm.evaluator == "critic-binary" else read_score(text)
    )


@dataclass(frozen=True, slots=True)
class Criticism:
    """A judgement compared with a label.

    Attributes:
        text: in words, for the optimizer of the critic's prompt.
        shown: how correct the output is by the label shown, 0 to 1.
        agreement: of the judgement with it, 0 to 1.
    """

    text: str
    shown: float
    agreement: float


def agreement(judged: float | None, true: float) -> float:
    """1 − |judged − true|; 0 where the judgement could not be read."""
    return 0.0 if judged is None else 1.0 - abs(judged - true)


def criticize(
    setting: Setting, output: Output, judgement: Judgement, shown: Mapping[str, str], step: int
) -> Generator[Effect, Any, Criticism | Failed]:
    """Compare a judgement with the label shown, for the update of the critic's prompt."""
    target = shown[output.example.id]
    outcome = yield from grade(setting, output, target, step)
    if isinstance(outcome, Failed):
        return outcome
    true = outcome.score if isinstance(outcome, Scored) else 0.0
    answer = outcome.answer if isinstance(outcome, Scored) else ""
    agrees = agreement(judgement.score, true)
    words = {
        "expected": target,
        "answer": answer,
        "verdict": "correct"
        if true >= 1.0
        else "incorrect"
        if true <= 0.0
        else f"worth {100 * true:.0f} of 100",
        "agreement": _agreement_words(judgement.score, agrees),
    }
    return Criticism(setting.pack.piece("critic-label", words), true, agrees)


def _agreement_words(judged: float | None, agrees: float) -> str:
    if judged is None:
        return "no verdict could be read from the judgement"
    if agrees >= 1.0:
        return "the judgement was right"
    return (
        "the judgement was wrong"
        if agrees <= 0.0
        else f"the judgement was off by {100 * (1 - agrees):.0f} of 100"
    )
