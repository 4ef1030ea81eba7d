"""The optimizer's words that led to a prompt, found again in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nullgrad.core.arms import parse_arm
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Reply
from nullgrad.core.draws import DrawPath
from nullgrad.core.study_facts import TrialFacts
from nullgrad.edges.ledger.store import ReplyRow, SqlLedger

STAGES = ("gradient-output", "gradient-prompt")
"""Stages whose replies are feedback; what the last stage writes is the prompt itself."""

MOST_TOLD = 6
"""Replies of one step that are told."""

MOST_WORDS = 1_500
"""Characters of one reply."""


@dataclass(frozen=True, slots=True)
class Told:
    """One reply.

    Attributes:
        stage: which question it answers.
        example: id of the example that it is about.
        text: at most `MOST_WORDS` characters of it.
        cut: characters left out.
    """

    stage: str
    example: str
    text: str
    cut: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """Replies that led to one variant of one step.

    Attributes:
        told: example by example.
        left_out: replies beyond `MOST_TOLD`.
    """

    told: tuple[Told, ...] = ()
    left_out: int = 0


Key = tuple[int, int, int, str, str]
"""Trial, step, variant, example, stage. Neither cell nor arm: another run may have paid for the same request."""


def keys_of(facts: TrialFacts, step: int, variant: int) -> list[Key]:
    """Where the feedback on a step's batch would stand, example by example; none for updates of one stage."""
    batch = facts.steps[step].batch
    if parse_arm(facts.arm).update != "gradient" or batch is None:
        return []
    return [(facts.trial, step, variant, example, stage) for example in batch.examples for stage in STAGES]


def collect_feedback(book: SqlLedger, wanted: Collection[Key]) -> dict[Key, list[ReplyRow]]:
    """The replies at these places, whoever paid for them; the ledger is walked once for each stage."""
    found: dict[Key, list[ReplyRow]] = {}
    if not wanted:
        return found
    for stage in STAGES:
        for row in book.replies(role="optimizer", stage=stage):
            about = row.about
            key = about.trial, about.step, about.variant, about.example, about.stage
            if key in wanted and not about.text and isinstance(row.answer, Reply):
                found.setdefault(key, []).append(row)
    return found


def find_feedback(
    book: SqlLedger,
    rows: Mapping[Key, Sequence[ReplyRow]],
    spec: Mapping[str, Any],
    facts: TrialFacts,
    step: int,
    variant: int,
    current: Candidate,
) -> Feedback:
    """What the optimizer said on the way from `current` to a variant, nothing for updates of one stage.

    A reply that several arms share is kept under the arm that paid for it. It is known by what decides a request: the
    optimizer's model, the draw, which holds seed, trial, step, stage, example and variant, and the current prompt in its words.

    Args:
        rows: what `collect_feedback` found.
        spec: of the run.
    """
    arm = parse_arm(facts.arm)
    path = DrawPath(
        int(spec["seed"]), facts.trial, facts.arm if spec.get("design") == "independent" else None
    )
    cast = spec["cells"][facts.cell]["cast"] if spec["verb"] == "study" else spec["cast"]
    model = str(cast["optimizer"]["model"])

    def own(row: ReplyRow) -> bool:
        return (row.about.cell, row.about.arm) == (facts.cell, facts.arm)

    def led_here(row: ReplyRow) -> bool:
        about, payer = row.about, parse_arm(row.about.arm)
        if (payer.update, payer.evaluation) != (arm.update, arm.evaluation):
            return False
        request = book.request_of(row.identity)
        return (
            request is not None
            and request.model == model
            and request.draw == path.proposal(step, about.stage, about.example, variant)
            and (own(row) or any(current.prompt in one.content for one in request.messages))
        )

    told: list[Told] = []
    for key in keys_of(facts, step, variant):
        for row in sorted(rows.get(key, ()), key=own, reverse=True):
            if isinstance(row.answer, Reply) and row.answer.text.strip() and led_here(row):
                text = row.answer.text.strip()
                told.append(Told(key[4], key[3], text[:MOST_WORDS], max(0, len(text) - MOST_WORDS)))
                break
    return Feedback(tuple(told[:MOST_TOLD]), max(0, len(told) - MOST_TOLD))
