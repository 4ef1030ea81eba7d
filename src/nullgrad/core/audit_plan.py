"""What an audit of two prompts asks: its identity, its draws, and how many calls that is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

from nullgrad.core.arms import SEED
from nullgrad.core.calls import Calls, test_calls
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Role
from nullgrad.core.draws import DrawPath, draw_of
from nullgrad.core.sections import Section, cut, only, without
from nullgrad.core.setting import Cast, Setting
from nullgrad.core.task import Example, Task
from nullgrad.core.words import Pack
from nullgrad.errors import UserError

REPEATS = 5
"""Evaluations of each prompt of a section ablation, as published."""

TEST_AGAIN = "test"
"""Name of the group of fresh examples that is the sealed test itself, under fresh draws."""


@dataclass(frozen=True)
class AuditPlan:
    """One audit, complete.

    Attributes:
        task: the task with its sealed test.
        before, after: the two prompts.
        seed, trial: of the draw path; those of a recorded run find its replies again.
        cast: who plays which role; the generator, and the judge of a scorer that asks.
        pack: the words of a judge.
        sections: whether the after prompt is ablated.
        repeats: evaluations of each prompt of the ablation, each with other draws, 1 or more.
        margin: below this difference of accuracy, a share, a prompt is not better; how much the shortest one may lose.
        fresh: groups of examples that both prompts are run on anew, by name: `fresh` and, for a share of a class,
            `fresh:0.25` are items made for it, `TEST_AGAIN` is the test under fresh draws.
        logprobs: alternatives per token to ask for on free replies, 0 for none.
    """

    task: Task
    before: str
    after: str
    cast: Cast
    pack: Pack
    seed: int = 0
    trial: int = 0
    sections: bool = False
    repeats: int = REPEATS
    margin: float = 0.05
    fresh: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    logprobs: int = 0

    def __post_init__(self) -> None:
        for which, prompt in (("before", self.before), ("after", self.after)):
            if not prompt.strip():
                raise UserError(
                    f"The {which} prompt is empty.", "Nothing was run.", f"Give --{which} another file."
                )
        if self.before.strip() == self.after.strip():
            raise UserError(
                "The before and the after prompt are the same text.",
                "There is no change to audit, so nothing was run.",
                "Give two different prompts.",
            )
        if self.repeats < 1:
            raise UserError(f"--repeats is {self.repeats}.", "Nothing was run.", "Give 1 or more.")
        if not 0 < self.margin < 1:
            raise UserError(
                f"The margin is {100 * self.margin:g} points.",
                "Nothing was run.",
                "Give points between 0 and 100.",
            )
        if self.sections and not self.task.view.validation:
            raise UserError(
                f"The task {self.task.view.name} has no validation examples to ablate sections on.",
                "Nothing was run.",
                "Give the task some (split.validation), or leave out --sections and --minimize.",
            )
        if self.sections and len(self.cuts) < 2:
            raise UserError(
                "The after prompt is a single sentence, which cannot be cut into sections.",
                "Nothing was run.",
                "Leave out --sections and --minimize.",
            )

    @property
    def candidates(self) -> dict[str, Candidate]:
        """The two prompts as candidates, by name."""
        return {"before": Candidate.of(self.before), "after": Candidate.of(self.after)}

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who is asked."""
        return ("generator", "judge") if self.task.view.scorer.asks else ("generator",)

    @cached_property
    def cuts(self) -> tuple[Section, ...]:
        """Sections of the after prompt."""
        return cut(self.after)

    @cached_property
    def spec(self) -> str:
        """Canonical JSON of the pair that is audited; what else is asked of it goes on with the same run."""
        value = {
            "verb": "audit",
            "task": {"name": self.task.view.name, "digest": self.task.digest},
            "before": self.candidates["before"].digest,
            "after": self.candidates["after"].digest,
            "seed": self.seed,
            "trial": self.trial,
            "cast": {role: asdict(self.cast[role]) for role in self.roles},
            "logprobs": self.logprobs,
        }
        return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))

    @property
    def run(self) -> str:
        """Identity of the run: the first 16 hexadecimal digits of the SHA-256 of its specification."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:16]

    def setting(self, repeat: int = 0, *, fresh: bool = False) -> Setting:
        """What a reading is asked with; `fresh` draws are none that any optimization has seen."""
        seed = draw_of("fresh", self.seed) if fresh else self.seed
        return Setting(
            self.task.view,
            SEED,
            self.trial + repeat,
            DrawPath(seed, self.trial + repeat),
            0,
            1,
            self.cast,
            self.pack,
            logprobs=self.logprobs,
        )

    @property
    def reading_calls(self) -> Calls:
        """Calls of both prompts on validation and test."""
        return self._of(2 * (len(self.task.view.validation) + len(self.task.test)))

    @property
    def fresh_calls(self) -> Calls:
        """Calls of both prompts on what is run anew."""
        return self._of(2 * sum(map(len, self.fresh.values())))

    @property
    def section_calls(self) -> Calls:
        """Calls of the ablation at most; prompts that come out alike are asked once."""
        if not self.sections:
            return Calls()
        first = len(first_variants(self.cuts))
        later = max(len(self.cuts) - 3, 0) + (len(self.cuts) > 2)
        each = len(self.task.view.validation) * self.repeats
        return self._of((first + later) * each + len(self.task.test))

    @property
    def test_calls(self) -> Calls:
        """Calls of the sealed test: both prompts, and the shortest one of an ablation."""
        again = 2 * (TEST_AGAIN in self.fresh)
        return self._of((2 + self.sections + again) * len(self.task.test))

    @property
    def calls(self) -> Calls:
        """All of them at most."""
        return self.reading_calls + self.fresh_calls + self.section_calls

    def _of(self, forward: int) -> Calls:
        return test_calls(forward, self.task.view.scorer.asks)


@dataclass(frozen=True, slots=True)
class Variant:
    """A prompt of an ablation.

    Attributes:
        kept: numbers of the sections that it consists of.
        of: how many sections the full prompt has.
        text: the prompt.
    """

    kept: tuple[int, ...]
    of: int
    text: str

    @property
    def removed(self) -> tuple[int, ...]:
        """Numbers of the sections that it does without."""
        return tuple(number for number in range(self.of) if number not in self.kept)

    @property
    def name(self) -> str:
        """`full`, `without 2`, `without 2, 4` or `only 3`; sections are counted from 1."""
        if not self.removed:
            return "full"
        if len(self.kept) == 1 and self.of > 2:
            return f"only {self.kept[0] + 1}"
        return f"without {', '.join(str(number + 1) for number in self.removed)}"


def leaving_out(sections: tuple[Section, ...], removed: frozenset[int]) -> Variant:
    """The variant without these sections."""
    kept = tuple(one.number for one in sections if one.number not in removed)
    return Variant(kept, len(sections), without(sections, removed))


def keeping(sections: tuple[Section, ...], number: int) -> Variant:
    """The variant of one section alone."""
    return Variant((number,), len(sections), only(sections, (number,)))


def first_variants(sections: tuple[Section, ...]) -> tuple[Variant, ...]:
    """What an ablation runs whatever comes of it: the full prompt, each section left out, each one alone."""
    every = [leaving_out(sections, frozenset())]
    every += [leaving_out(sections, frozenset((one.number,))) for one in sections]
    every += [keeping(sections, one.number) for one in sections]
    return tuple({variant.kept: variant for variant in every}.values())
