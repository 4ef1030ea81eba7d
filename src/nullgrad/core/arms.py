"""Arms: one frozen combination of update, evaluation and selection, written `update/evaluation/selection`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from nullgrad.core.candidate import CRITIC, GENERATOR
from nullgrad.errors import UserError

Update = Literal["seed", "rewrite", "improve", "one-step", "gradient"]
Evaluator = Literal["none", "direct", "critic-binary", "critic-smooth"]
Labels = Literal["correct", "wrong", "shuffled"]
Selection = Literal["naive", "validated", "best", "random"]

UPDATES: tuple[Update, ...] = ("seed", "rewrite", "improve", "one-step", "gradient")
SELECTIONS: tuple[Selection, ...] = ("naive", "validated", "best", "random")
LABELS: tuple[Labels, ...] = ("correct", "wrong", "shuffled")
CRITICS: tuple[Evaluator, ...] = ("critic-binary", "critic-smooth")

PROMPT_ONLY: frozenset[Update] = frozenset({"rewrite", "improve"})
"""Updates that see no example, and so no evaluation."""

_SELECTION = re.compile(r"(?P<kind>[a-z]+)(?:@(?P<n>\d+))?(?:\+(?P<labels>[a-z]+))?")
_FORM = "update/evaluation/selection, such as gradient/correct/validated@3"


def _evaluations() -> dict[str, tuple[Evaluator, Labels, bool]]:
    """From every evaluation as it is written to evaluator, labels, and whether the critic's prompt is frozen."""
    known: dict[str, tuple[Evaluator, Labels, bool]] = {"none": ("none", "correct", False)}
    known |= {labels: ("direct", labels, False) for labels in LABELS}
    for critic in CRITICS:
        known |= {
            critic if labels == "correct" else f"{critic}-{labels}": (critic, labels, False)
            for labels in LABELS
        }
        known[f"{critic}+frozen"] = (critic, "correct", True)
    return known


EVALUATIONS = _evaluations()
"""Every evaluation as it is written."""

_WRITTEN = {fields: word for word, fields in EVALUATIONS.items()}


@dataclass(frozen=True, slots=True)
class Arm:
    """One frozen combination. A control differs from its treatment in exactly one field.

    Attributes:
        update: how a new prompt is proposed.
        evaluator: who tells the optimizer how good an output is: nobody, a template that shows the label
            (`direct`), or an LLM critic with a verdict (`critic-binary`) or a score from 0 to 100 (`critic-smooth`).
        labels: the labels that the evaluation rests on; `correct` for the evaluator `none`.
        frozen: whether the critic keeps the prompt that it begins with.
        selection: what is done with the variants of a step.
        n: variants per step, 1 for `naive`.
        validation_labels: the labels by which selection scores.
    """

    update: Update
    evaluator: Evaluator = "none"
    labels: Labels = "correct"
    frozen: bool = False
    selection: Selection = "naive"
    n: int = 1
    validation_labels: Labels = "correct"

    def __post_init__(self) -> None:
        problem = _meaningless(self)
        if problem:
            raise UserError(
                f"The arm {self.canonical!r} has no meaning: {problem[0]}.", "Nothing was run.", problem[1]
            )

    @property
    def evaluation(self) -> str:
        """The evaluation as it is written, such as `correct` or `critic-smooth-wrong+frozen`."""
        fields = (self.evaluator, self.labels, self.frozen)
        return _WRITTEN.get(fields, f"{self.evaluator}-{self.labels}{'+frozen' if self.frozen else ''}")

    @property
    def canonical(self) -> str:
        """The form that is recorded."""
        if self.update == "seed":
            return "seed"
        count = "" if self.selection == "naive" else f"@{self.n}"
        labels = "" if self.validation_labels == "correct" else f"+{self.validation_labels}"
        return f"{self.update}/{self.evaluation}/{self.selection}{count}{labels}"

    def __str__(self) -> str:
        return self.canonical

    @property
    def validates(self) -> bool:
        """Whether candidates are scored on validation."""
        return self.selection in ("validated", "best")

    @property
    def uses_examples(self) -> bool:
        """Whether a batch of training examples is run and shown."""
        return self.update in ("one-step", "gradient")

    @property
    def evaluates(self) -> bool:
        """Whether the optimizer is told how good an output is."""
        return self.evaluator != "none"

    @property
    def critic(self) -> bool:
        """Whether a critic evaluates."""
        return self.evaluator in CRITICS

    @property
    def joint(self) -> bool:
        """Whether the critic's prompt is optimized together with the generator's."""
        return self.critic and not self.frozen

    @property
    def optimized(self) -> tuple[str, ...]:
        """Names of the candidate's texts that are optimized."""
        return (GENERATOR, CRITIC) if self.joint else (GENERATOR,)


def _meaningless(arm: Arm) -> tuple[str, str] | None:
    """Why a combination has no meaning and what to write instead, None if it has one."""
    if arm.update == "seed":
        if (arm.evaluator, arm.labels, arm.frozen, arm.selection, arm.n, arm.validation_labels) != (
            "none", "correct", False, "naive", 1, "correct",
        ):  # fmt: skip
            return (
                "the seed prompt is not optimized, so there is nothing to evaluate or select",
                "Write seed.",
            )
        return None
    if arm.update in PROMPT_ONLY and arm.evaluates:
        return (
            f"{arm.update} sees no example, so no evaluation can reach it",
            f"Write {arm.update}/none/{arm.selection}, or use one-step or gradient.",
        )
    if arm.critic and arm.frozen and arm.labels != "correct":
        return (
            "labels reach a critic through the optimization of its prompt alone, and a frozen one has none",
            f"Write {arm.evaluator}+frozen, or {arm.evaluator}-{arm.labels}.",
        )
    if (arm.evaluator, arm.labels, arm.frozen) not in _WRITTEN:
        return "only an evaluation has labels, and only a critic can be frozen", f"Write {_FORM}."
    if arm.selection == "naive" and arm.n != 1:
        return "naive takes its only variant", f"Write naive, or best@{arm.n}, or random@{arm.n}."
    if arm.n < 1:
        return "a step needs at least one variant", f"Write {arm.selection}@3."
    if arm.selection in ("best", "random") and arm.n == 1:
        return (
            f"{arm.selection}@1 has one variant and no choice, which is naive",
            f"Write naive, or {arm.selection}@2 or more.",
        )
    if arm.validation_labels != "correct" and not arm.validates:
        return (
            f"{arm.selection} reads no validation label",
            f"Leave out +{arm.validation_labels}, or use validated@n or best@n.",
        )
    return None


SEED = Arm("seed")
"""The unoptimized prompt."""


def parse_arm(text: str) -> Arm:
    """The arm that a text means.

    `rewrite` is short for `rewrite/none/naive`, `rewrite/best@3` for `rewrite/none/best@3` (likewise `improve`),
    and `gradient/correct` for `gradient/correct/naive`.

    Raises:
        UserError: a part is unknown, or the combination has no meaning.
    """
    parts = text.strip().split("/")
    update = _known(parts[0], UPDATES, "update", text)
    if update == "seed":
        if len(parts) > 1:
            raise UserError(
                f"The arm {text!r} adds to the seed prompt, which is not optimized.",
                "Nothing was run.",
                "Write seed.",
            )
        return SEED
    if update in PROMPT_ONLY and len(parts) == 1:
        parts = [update, "none", "naive"]
    elif update in PROMPT_ONLY and len(parts) == 2 and parts[1] not in EVALUATIONS:
        parts = [update, "none", parts[1]]
    elif len(parts) == 2:
        parts = [*parts, "naive"]
    if len(parts) != 3:
        raise UserError(f"The arm {text!r} has {len(parts)} parts.", "Nothing was run.", f"Write {_FORM}.")
    evaluator, of_labels, frozen = EVALUATIONS[_known(parts[1], tuple(EVALUATIONS), "evaluation", text)]
    match = _SELECTION.fullmatch(parts[2])
    if match is None:
        raise UserError(
            f"The selection {parts[2]!r} of the arm {text!r} cannot be read.",
            "Nothing was run.",
            "Write naive, validated@3, best@3 or random@3, with +wrong or +shuffled for the validation labels.",
        )
    selection = _known(match["kind"], SELECTIONS, "selection", text)
    if match["n"] is None and selection != "naive":
        raise UserError(
            f"The selection {parts[2]!r} of the arm {text!r} does not say how many variants.",
            "Nothing was run.",
            f"Write {selection}@3.",
        )
    labels = _known(match["labels"] or "correct", LABELS, "kind of validation labels", text)
    return Arm(
        cast(Update, update),
        evaluator,
        of_labels,
        frozen,
        cast(Selection, selection),
        int(match["n"] or 1),
        cast(Labels, labels),
    )


def _known(word: str, words: tuple[str, ...], what: str, arm: str) -> str:
    if word in words:
        return word
    near = difflib.get_close_matches(word, words, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{word!r} is no {what} (in the arm {arm!r}).",
        "Nothing was run.",
        f"{hint}Known: {', '.join(words)}. An arm is written {_FORM}.",
    )


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of the attribution ladder: an arm, and the ingredient that it adds to the rung before."""

    ingredient: str
    arm: Arm


def ladder(top: Arm) -> tuple[Rung, ...]:
    """The rungs below and up to an arm, each with one ingredient more (STATISTICS, Attribution).

    Raises:
        UserError: the arm is a control itself (wrong or shuffled labels, random selection), so that there is
            nothing to attribute.
    """
    if (
        top.labels != "correct"
        or top.validation_labels != "correct"
        or top.selection == "random"
        or top == SEED
    ):
        raise UserError(
            f"The arm {top.canonical!r} is a control itself, so its gain cannot be attributed.",
            "Nothing was run.",
            "Give --arm a treatment, such as gradient/correct/validated@3, or leave out --why and --controls.",
        )
    chosen = f"best@{top.n}" if top.n >= 2 else "naive"

    def at(update_and_evaluation: str) -> Arm:
        return parse_arm(f"{update_and_evaluation}/{chosen}")

    rungs = [Rung("seed", SEED), Rung("paraphrase", Arm("rewrite"))]
    if top.n >= 2:
        rungs.append(Rung("drawing and choosing", at("rewrite/none")))
    if top.update != "rewrite":
        rungs.append(Rung("generic knowledge", at("improve/none")))
    if top.uses_examples:
        rungs.append(Rung("inputs and outputs", at("one-step/none")))
        if top.evaluates:
            rungs.append(Rung("a verdict without information", at("one-step/shuffled")))
            rungs.append(Rung("the label's information", at("one-step/correct")))
        if top.update == "gradient":
            rungs.append(Rung("the chain", at("gradient/correct" if top.evaluates else "gradient/none")))
        if top.critic:
            rungs.append(Rung("the critic", at(f"{top.update}/{top.evaluation}")))
    if top.selection == "validated":
        rungs.append(Rung("the guard", top))
    kept = [rungs[0]]
    for rung in rungs[1:]:
        if rung.arm != kept[-1].arm:
            kept.append(rung)
    return tuple(kept)


def side_arms(top: Arm) -> tuple[Arm, ...]:
    """Controls beside the ladder (`--controls full`): misinformation, blind choice, corrupted selection."""
    arms: list[Arm] = []
    if top.evaluates and top.labels == "correct":
        arms.append(replace(top, labels="wrong"))
    if top.n >= 2:
        arms.append(replace(top, selection="random", validation_labels="correct"))
    if top.validates:
        arms.append(replace(top, validation_labels="wrong"))
    if top.selection == "validated" and top.n >= 2:
        arms.append(replace(top, n=1))
    return tuple(arms)
