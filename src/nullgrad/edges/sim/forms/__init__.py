"""How optimizers of other tools ask, and in which form they want the reply: a family a file.

A form tells what a request asks for and writes the reply around it. It knows nothing of worlds: who finds the new
instruction is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nullgrad.core.chat import Message
from nullgrad.edges.sim.forms import dspy, fenced, optoprime, promptolution, textgrad
from nullgrad.edges.sim.forms.sought import Kind, Sought

FORMS: tuple[Callable[[Sequence[Message]], Sought | None], ...] = (
    dspy.read,
    optoprime.read,
    textgrad.read,
    promptolution.read,
    fenced.read,
)
"""The first that recognizes a request reads it; the one for prose comes last."""


def read_request(messages: Sequence[Message]) -> Sought | None:
    """What a request asks for, None where no form recognizes it."""
    return next((found for read in FORMS if (found := read(messages)) is not None), None)


__all__ = ["FORMS", "Kind", "Sought", "read_request"]
