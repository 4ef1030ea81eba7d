"""What ratings say, as one frozen value: by question, by prompt, by kind of verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nullgrad.analysis.audit.verdict import PREVALENCE_TYPE
from nullgrad.analysis.ratings import (
    TIE,
    Comparison,
    KindsTest,
    MeanRating,
    Strength,
    bradley_terry,
    kinds_test,
    mean_ratings,
)
from nullgrad.analysis.stats.agreement import Agreement, agreement
from nullgrad.analysis.stats.estimate import NotEstimable
from nullgrad.analysis.stats.intervals import Interval
from nullgrad.api.rate_session import ABSOLUTE, PAIRWISE, Session
from nullgrad.edges.ratings import RatingRow

PREVALENCE, DISCRIMINATION = "prevalence", "discrimination"
"""Kinds of prompts: those that win by prevalence, relabelling or threshold, and those that win by genuine discrimination."""

Verdicts = Mapping[tuple[str, str, int], str]


@dataclass(frozen=True, slots=True)
class QuestionSummary:
    """One question.

    Attributes:
        question, words: its name, and as raters read it.
        prompts: in the session's order: means over raters, or strengths from pairs.
        agreement: Krippendorff's alpha, ordinal.
        kinds: prompts that win by prevalence against those that win by discrimination; of `misleading`, where more is worse,
            the other way round.
        shrunk: of pairs, whether strengths had to be held back; see `BradleyTerry`.
    """

    question: str
    words: str
    prompts: tuple[MeanRating | Strength, ...]
    agreement: Agreement
    kinds: KindsTest
    shrunk: bool


@dataclass(frozen=True, slots=True)
class RatingSummary:
    """Ratings of one session.

    Attributes:
        run, session, mode: which.
        raters: with how many tasks each has rated.
        tasks: of the session.
        items: prompts: `key`, `cell`, `origins`, `verdicts`, `kind`, `text`.
        questions: one each.
        comments: how many ratings have one.
    """

    run: str
    session: str
    mode: str
    raters: tuple[tuple[str, int], ...]
    tasks: int
    items: tuple[Mapping[str, Any], ...]
    questions: tuple[QuestionSummary, ...]
    comments: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what is not estimable is its reason under `not_estimable`."""
        value: dict[str, Any] = _plain(
            asdict(self) | {"questions": [_question(one) for one in self.questions]}
        )
        value["raters"] = [{"rater": name, "rated": count} for name, count in self.raters]
        return value


def _question(one: QuestionSummary) -> dict[str, Any]:
    return {
        "question": one.question,
        "words": one.words,
        "shrunk": one.shrunk,
        "prompts": [{name: _value(getattr(row, name)) for name in row.__slots__} for row in one.prompts],
        "agreement": {name: _value(getattr(one.agreement, name)) for name in one.agreement.__slots__},
        "kinds": {name: _value(getattr(one.kinds, name)) for name in one.kinds.__slots__},
    }


def _value(value: Any) -> Any:
    if isinstance(value, NotEstimable):
        return {"not_estimable": value.reason}
    if isinstance(value, Interval):
        return [round(value.low, 6), round(value.high, 6)]
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def kind_of(verdicts: Sequence[str]) -> str:
    """`prevalence` or `discrimination` where all verdicts on a prompt say so, "" else."""
    kinds = {
        PREVALENCE if one in PREVALENCE_TYPE else DISCRIMINATION if one == "genuine" else ""
        for one in verdicts
    }
    return kinds.pop() if len(kinds) == 1 else ""


def summarize(session: Session, rows: Sequence[RatingRow], verdicts: Verdicts) -> RatingSummary:
    """What the ratings of a session say.

    Args:
        session: what was rated.
        rows: the last rating of each rater for each task.
        verdicts: by cell, arm and trial.
    """
    items = []
    for one in session.items:
        own = [verdicts.get((one.cell, arm, trial), "") for arm, trial in one.origins if arm != "seed"]
        known = [verdict for verdict in own if verdict]
        items.append(
            {
                "key": one.key, "cell": one.cell, "text": one.text, "verdicts": known, "kind": kind_of(known),
                "origins": [f"{arm}#{trial}" if arm != "seed" else "seed" for arm, trial in one.origins],
            }
        )  # fmt: skip
    names = [f"{number}" for number in range(len(items))]
    kinds = {name: item["kind"] for name, item in zip(names, items, strict=True) if item["kind"]}
    raters = sorted({row.rater for row in rows})
    make = _of_pairs if session.mode == "pairwise" else _of_prompts
    questions = PAIRWISE if session.mode == "pairwise" else ABSOLUTE
    return RatingSummary(
        session.run,
        session.id,
        session.mode,
        tuple((name, sum(row.rater == name for row in rows)) for name in raters),
        len(session.tasks),
        tuple(items),
        tuple(make(session, rows, names, raters, kinds, one[0], one[1]) for one in questions),
        sum(bool(row.comment.strip()) for row in rows),
    )


def _of_prompts(
    session: Session,
    rows: Sequence[RatingRow],
    names: Sequence[str],
    raters: Sequence[str],
    kinds: Mapping[str, str],
    question: str,
    words: str,
) -> QuestionSummary:
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row.rater, {})[names[session.tasks[row.task][0]]] = float(row.answers[question])
    means = mean_ratings(values, names)
    table = [[values.get(rater, {}).get(name) for name in names] for rater in raters]
    scores = {one.item: one.mean for one in means if not isinstance(one.mean, NotEstimable)}
    return QuestionSummary(
        question, words, means, agreement(table, "ordinal"), _kinds(scores, kinds, question), False
    )


def _of_pairs(
    session: Session,
    rows: Sequence[RatingRow],
    names: Sequence[str],
    raters: Sequence[str],
    kinds: Mapping[str, str],
    question: str,
    words: str,
) -> QuestionSummary:
    value = {"first": 1.0, "second": 0.0, "tie": TIE}
    by_cell: dict[str, list[Comparison]] = {}
    table: list[list[float | None]] = [[None] * len(session.tasks) for _ in raters]
    for row in rows:
        a, b = session.tasks[row.task]
        outcome = value[row.answers[question]]
        by_cell.setdefault(session.items[a].cell, []).append(
            Comparison(row.rater, names[a], names[b], outcome)
        )
        table[raters.index(row.rater)][row.task] = outcome
    strengths: dict[str, Strength] = {}
    shrunk = False
    for cell in dict.fromkeys(one.cell for one in session.items):
        own = [name for name, item in zip(names, session.items, strict=True) if item.cell == cell]
        fitted = bradley_terry(by_cell.get(cell, []), own)
        shrunk = shrunk or fitted.shrunk
        strengths |= {one.item: one for one in fitted.items}
    scores = {
        name: one.strength
        for name, one in strengths.items()
        if one.comparisons and not isinstance(one.strength, NotEstimable)
    }
    prompts = tuple(strengths[name] for name in names)
    return QuestionSummary(
        question, words, prompts, agreement(table, "ordinal"), _kinds(scores, kinds, question), shrunk
    )


def _kinds(scores: Mapping[str, float], kinds: Mapping[str, str], question: str) -> KindsTest:
    # More is better but in the question whether it misleads: there, discrimination is expected to be rated lower.
    pair = (DISCRIMINATION, PREVALENCE) if question == "misleading" else (PREVALENCE, DISCRIMINATION)
    return kinds_test(scores, kinds, *pair)


def export_rows(session: Session, rows: Sequence[RatingRow], verdicts: Verdicts) -> list[dict[str, Any]]:
    """One row for each rating and question, with what raters did not see."""
    found = []
    for row in rows:
        own = [session.items[number] for number in session.tasks[row.task]]
        hidden: dict[str, Any] = {}
        for name, item in zip(("first", "second"), own, strict=False):
            said = [verdicts.get((item.cell, arm, trial), "") for arm, trial in item.origins]
            hidden |= {
                f"{name}_prompt": item.key,
                f"{name}_origins": "; ".join(
                    f"{arm}#{trial}" if arm != "seed" else "seed" for arm, trial in item.origins
                ),
                f"{name}_verdicts": "; ".join(one for one in said if one),
            }
        for question, answer in row.answers.items():
            found.append(
                {
                    "run": session.run, "session": session.id, "mode": session.mode, "rater": row.rater, "task": row.task,
                    "cell": own[0].cell, **hidden, "question": question, "answer": answer, "comment": row.comment,
                    "seconds": round(row.seconds, 3), "at": row.at,
                }
            )  # fmt: skip
    return found
