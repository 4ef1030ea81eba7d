"""What a study file says, as plain values: no task is loaded and no model opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nullgrad.core.study import ArmPlan, ContrastSpec, Design
from nullgrad.core.subsample import Subsample
from nullgrad.edges.tasks.spec import continued
from nullgrad.errors import UserError

OnFailure = Literal["missing", "suspend"]
"""What a failed call is: `missing` (its trial and so its block may stay incomplete), or the end of this command."""

NOBODY = "none"
"""Written for a role that no model plays."""


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """One task of a study.

    Attributes:
        name: how the study calls it.
        ref: a file, or a name that `nullgrad tasks` lists.
        overrides: keys of a task file to replace, as plain values.
        subsample: what is kept of it, None for all.
        place: file and line, for messages.
    """

    name: str
    ref: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    subsample: Subsample | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class SamplingEntry:
    """What is sent with every request; None is not sent.

    Attributes:
        temperature, top_p, max_tokens: of every role.
        optimizer_temperature: the optimizer's own, `temperature` if None.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    optimizer_temperature: float | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One cast of models.

    Attributes:
        name: how the study calls it.
        model: the generator as `--model` takes it; "" where the user gives it.
        optimizer, critic, judge: the other roles, None for the generator's model (a judge's is the critic's), `none`
            for a critic or a judge that nobody plays.
        base_url, endpoint_name: of an OpenAI-compatible endpoint, None for the command's.
        sampling: its own, before the study's.
        pack: the words, None to choose by the optimizer's size.
        place: file and line, for messages.
    """

    name: str
    model: str = ""
    optimizer: str | None = None
    critic: str | None = None
    judge: str | None = None
    base_url: str | None = None
    endpoint_name: str | None = None
    sampling: SamplingEntry = field(default_factory=SamplingEntry)
    pack: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class BudgetEntry:
    """What one command may spend on paid calls; None is no limit."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class StudySpec:
    """A study file, read and checked as far as it can be without its tasks and models.

    Attributes:
        name: the study's name.
        base: the directory to which its paths are relative.
        tasks: at least one.
        models: () where the user gives one.
        arms: with their numbers of trials.
        contrasts: in their order.
        steps, batch_size, seed, design, alpha, curve, sequential: as in `core.study.Study`.
        sampling: of every model that does not say its own.
        budget: of one command.
        on_failure: what a failed call is.
        preset: the preset that it is, "" for none.
        places: file and line by key, and of each contrast by `contrast:NAME`; for messages.
    """

    name: str
    base: Path
    tasks: tuple[TaskEntry, ...]
    models: tuple[ModelEntry, ...]
    arms: tuple[ArmPlan, ...]
    contrasts: tuple[ContrastSpec, ...] = ()
    steps: int = 10
    batch_size: int = 3
    seed: int = 0
    design: Design = "paired"
    alpha: float = 0.05
    curve: tuple[int, ...] = ()
    sequential: tuple[int, ...] = ()
    sampling: SamplingEntry = field(default_factory=SamplingEntry)
    budget: BudgetEntry = field(default_factory=BudgetEntry)
    on_failure: OnFailure = "missing"
    preset: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """Number of blocks: the most trials that an arm has."""
        return max((one.trials for one in self.arms), default=0)


def located(error: UserError, place: str) -> UserError:
    """An error of another layer with its place before it; the study's name says no more than the place does."""
    if not place:
        return error
    said = error.what
    if said.startswith("The study '"):
        said = said.partition("': ")[2]
    return UserError(f"{place}: {continued(said)}", error.consequence, error.ways_out)
