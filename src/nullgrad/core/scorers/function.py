"""A scorer that the user wrote: `module:function`, called as `function(answer_text, target)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nullgrad.core.answers import read_whole
from nullgrad.core.scorers.pure import PureScorer
from nullgrad.core.task import UnparsedAnswer
from nullgrad.errors import UserError


@dataclass(frozen=True, slots=True)
class FunctionScorer(PureScorer):
    """Reads the reply as it is; whatever goes wrong in the function is an error of the run, never a score.

    Attributes:
        name: `module:function`.
        function: takes the answer's text and the target, returns a number from 0 to 1.
    """

    name: str
    function: Callable[..., float]

    def read(self, text: str) -> str | UnparsedAnswer:
        """The reply without white space around it."""
        return read_whole(text)

    def score(self, answer: str, target: str) -> float:
        """What the function returns.

        Raises:
            UserError: it raised, or returned no number from 0 to 1.
        """
        try:
            value = self.function(answer, target)
        except (
            Exception
        ) as error:  # Whatever the user's function raises: named here, never turned into a score.
            reason = " ".join(str(error).split())[:300]
            raise self._failure(f"raised {type(error).__name__}: {reason}", answer, target) from error
        try:
            number = float("nan") if isinstance(value, str | bytes) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0.0 <= number <= 1.0:
            raise self._failure(f"returned {_short(repr(value))}, no number from 0 to 1", answer, target)
        return number

    def _failure(self, what: str, answer: str, target: str) -> UserError:
        return UserError(
            f"The scorer {self.name} {what}.",
            "No score was made up for it; what is recorded stays.",
            f"Mend the function and run again. It was called with the answer {_short(repr(answer))}"
            f" and the target {_short(repr(target))}.",
        )


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."
