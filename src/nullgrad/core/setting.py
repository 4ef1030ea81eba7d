"""What a trial is given: its view of the task, its arm, its draws, who plays which role, and the words."""

from __future__ import annotations

from dataclasses import dataclass, field

from nullgrad.core.arms import Arm
from nullgrad.core.chat import Message, Request, Role, Sampling
from nullgrad.core.draws import DrawPath
from nullgrad.core.effects import About
from nullgrad.core.selection import Objective
from nullgrad.core.task import TaskView
from nullgrad.core.words import Pack


@dataclass(frozen=True, slots=True)
class RoleModel:
    """The model that plays a role.

    Attributes:
        model: the model's declared identity, hashed into every request.
        sampling: what the user set for this role.
        constrains: whether the engine holds replies to a closed label set.
        logprobs: alternatives per token to ask for on constrained replies, 0 for none.
    """

    model: str
    sampling: Sampling = field(default_factory=Sampling)
    constrains: bool = False
    logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which role."""

    generator: RoleModel
    optimizer: RoleModel
    critic: RoleModel
    judge: RoleModel

    def __getitem__(self, role: Role) -> RoleModel:
        player: RoleModel = getattr(self, role)
        return player


def scope_of(arm: Arm, trial: int, cell: str = "") -> str:
    """Scope of a trial's events."""
    return f"{arm.canonical}#{trial}" + (f"@{cell}" if cell else "")


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that one trial decides from.

    Attributes:
        view: the task without its test split.
        arm: the arm.
        trial: trial number, from 0.
        draws: the trial's draw path.
        steps: number of update steps, 0 or more.
        batch_size: training examples per step, 1 or more.
        cast: who plays which role.
        pack: the words.
        cell: the study's cell (task and models), "" outside studies.
        objective: what selection maximizes on validation.
        logprobs: alternatives per token to ask the generator for on free replies, too; 0 for none.
        recorded_as: whose calls and events these are where that is none of our arms, "" for the arm.
    """

    view: TaskView
    arm: Arm
    trial: int
    draws: DrawPath
    steps: int
    batch_size: int
    cast: Cast
    pack: Pack
    cell: str = ""
    objective: Objective = "accuracy"
    logprobs: int = 0
    recorded_as: str = ""

    @property
    def scope(self) -> str:
        """Scope of the trial's events."""
        if self.recorded_as:
            return f"{self.recorded_as}#{self.trial}"
        return scope_of(self.arm, self.trial, self.cell)

    def about(
        self,
        role: Role,
        stage: str,
        *,
        split: str = "",
        example: str = "",
        step: int = 0,
        variant: int = 0,
        text: str = "",
    ) -> About:
        """What a call of this trial is for."""
        return About(
            role,
            stage,
            self.recorded_as or self.arm.canonical,
            self.trial,
            split,
            example,
            step,
            variant,
            self.cell,
            text,
        )

    def request(
        self,
        role: Role,
        messages: tuple[Message, ...],
        draw: int,
        *,
        choices: tuple[str, ...] = (),
        stop: tuple[str, ...] = (),
        max_tokens: int | None = None,
    ) -> Request:
        """A request to the model that plays `role`; a limit given by the user wins over a template's."""
        player = self.cast[role]
        sampling = player.sampling
        if max_tokens is not None and sampling.max_tokens is None:
            sampling = Sampling(sampling.temperature, sampling.top_p, max_tokens)
        allowed = choices if player.constrains else ()
        free = self.logprobs if role == "generator" else 0
        logprobs = player.logprobs if allowed else free
        return Request(player.model, messages, sampling, allowed, stop, logprobs, draw)
