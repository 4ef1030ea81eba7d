"""A scorer that asks a model: a judge with the user's rubric."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from nullgrad.core.answers import read_whole
from nullgrad.core.chat import Failed
from nullgrad.core.effects import Effect
from nullgrad.core.task import Example, Judge, Outcome, Scored, UnparsedAnswer
from nullgrad.core.words import Words

_SCORE = re.compile(
    r"\bscore[\s*_\"'`]{0,4}[:=][\s*_\"'`]{0,4}(?P<score>-?[0-9]{1,9}(?:\.[0-9]{1,9})?)(?![\w%]|\.[0-9])"
    r"(?: {0,2}/ {0,2}(?P<most>[0-9]{1,9}))?",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"[\s*_`\"']{0,8}(?P<score>[0-9]{1,3}(?:\.[0-9]{1,9})?)(?:/(?P<most>100))?[\s*_`\"'.]{0,8}"
)


@dataclass(frozen=True, slots=True)
class JudgeScorer:
    """Asks for a score from 0 to 100 by a rubric.

    Attributes:
        spec: canonical JSON of everything that changes a score, the judge's words included.
        words: the pack's `judge`, over the variables rubric, input, answer, expected.
        rubric: what the answer is judged by.
        threshold: 0 to 1; scores from it on become 1 and the others 0. None leaves them as they are.
    """

    spec: str
    words: Words
    rubric: str
    threshold: float | None

    @property
    def asks(self) -> bool:
        """Always."""
        return True

    def read(self, text: str) -> str | UnparsedAnswer:
        """The reply without white space around it."""
        return read_whole(text)

    def score(self, answer: str, target: str) -> float:
        """Not without a model.

        Raises:
            TypeError: always.
        """
        raise TypeError("a judge scores by `grade`, which asks a model")

    def grade(
        self, answer: str, example: Example, target: str, judge: Judge
    ) -> Generator[Effect, None, Outcome]:
        """Ask once. A failed call, and a judge's reply without a score, are missing, never wrong."""
        messages = self.words.render(
            {"rubric": self.rubric, "input": example.input, "answer": answer, "expected": target}
        )
        reply = yield from judge(messages)
        if isinstance(reply, Failed):
            return reply
        score = read_score(reply)
        if score is None:
            shown = " ".join(reply[:1000].split())[:200]
            return Failed("judge-unparsed", f"The judge's reply has no score from 0 to 100: {shown!r}")
        if self.threshold is not None:
            score = float(score >= self.threshold)
        return Scored(score, answer)


def read_score(text: str) -> float | None:
    """The score in a judge's reply, as a share of 100; None where it has none, one out of range, or two that differ.

    It is written "Score: 85", or "Score: 85/100", or is the whole reply.
    """
    found = list(_SCORE.finditer(text))
    if not found:
        bare = _BARE.fullmatch(text) if len(text) <= 40 else None
        found = [bare] if bare else []
    scores = {float(match["score"]) for match in found}
    if len(scores) != 1 or any(match["most"] not in (None, "100") for match in found):
        return None
    score = scores.pop()
    return score / 100 if 0.0 <= score <= 100.0 else None
