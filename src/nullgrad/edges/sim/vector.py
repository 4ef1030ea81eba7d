"""Studies over one simulated world without requests: the same decisions and draws, with NumPy over examples.

Nothing here decides anew: draws, batches, shown labels, proposals and the reading of replies are the full path's own
functions, and so are the facts that come of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from nullgrad.core.arms import SEED, Arm, parse_arm
from nullgrad.core.batches import batch_place
from nullgrad.core.events import BatchRun, CandidateScored, TestScored
from nullgrad.core.selection import KEEP, choose_blindly
from nullgrad.core.setting import Cast, RoleModel, scope_of
from nullgrad.core.study import ArmPlan, Cell, ContrastSpec, Design, Study
from nullgrad.core.study_facts import Key, TrialFacts
from nullgrad.core.task import Task
from nullgrad.edges.packs import load_pack
from nullgrad.edges.sim.optimizer import change_of, leads_of
from nullgrad.edges.sim.proposals import Lead, Update, guess, lead, luck_of, propose, shown_key
from nullgrad.edges.sim.signal import Ints
from nullgrad.edges.sim.space import Prompt, Space
from nullgrad.edges.sim.splits import Draws
from nullgrad.edges.sim.task import sim_task
from nullgrad.edges.sim.worlds import World
from nullgrad.errors import UserError


def sim_study(
    world: World,
    arms: Mapping[str, int] | Sequence[str],
    *,
    trials: int = 10,
    steps: int = 5,
    batch_size: int = 3,
    seed: int = 0,
    design: Design = "paired",
    contrasts: Sequence[ContrastSpec] = (),
    alpha: float = 0.05,
    curve: tuple[int, ...] = (),
    task: Task | None = None,
    pack: str = "standard",
    **split: int,
) -> Study:
    """A study of one cell (named `sim/WORLD`) over a world, ready for `simulate_study` or for the full path.

    Args:
        world: who plays generator, optimizer and critic.
        arms: canonical arms with their numbers of trials, or arms that get `trials` each.
        task: None for `sim_task(world.task_name, split=split)`. Making one takes some milliseconds: many studies
            that differ in their seed alone should share it.
        split: sizes and seed of the default task: train, validation, test, seed.

    Raises:
        UserError: see `Study` and `sim_task`.
    """
    model = world.identity
    player = RoleModel(model, constrains=True, logprobs=world.size if world.dials.logprobs else 0)
    counts = arms if isinstance(arms, Mapping) else dict.fromkeys(arms, trials)
    made = task or sim_task(world.task_name, **({"split": split} if split else {}))
    name = f"sim/{world.name}"
    return Study(
        name=name,
        cells=(Cell(name, made, Cast(player, player, player, player), load_pack(pack), name, world.spec),),
        arms=tuple(ArmPlan(parse_arm(arm), number) for arm, number in counts.items()),
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        design=design,
        contrasts=tuple(contrasts),
        alpha=alpha,
        curve=curve,
    )


def simulate_study(study: Study, world: World) -> Mapping[Key, TrialFacts]:
    """What the full path would establish, ready for `analysis.study.analyse_study`.

    Keys and facts equal `StudyRun.trials` of a complete run (the seed's readings included). The cast of the study names
    `world.identity` in every role; `sim_study` makes such a study. Sequential looks are not taken: every declared block runs.

    Raises:
        UserError: an arm has a critic, calls may fail (`fail`), or the task is not one that the world reads.
    """
    found: dict[Key, TrialFacts] = {}
    for cell in study.cells:
        space = space_of(cell, world)
        for facts, _ in run_cell(study, space, test=True):
            found[facts.cell, facts.arm, facts.trial] = facts
    return dict(sorted(found.items()))


_SPACES: dict[tuple[int, str], tuple[Cell, Space]] = {}
_MOST_SPACES = 4


def space_of(cell: Cell, world: World) -> Space:
    """The space of a cell; of the same task, pack and world it is made once."""
    key = (id(cell.task), f"{cell.name}\n{cell.pack.name}\n{world.identity}")
    known = _SPACES.get(key)
    if known is not None and known[0].task is cell.task and known[0].cast == cell.cast:
        return known[1]
    made = Space(cell, world)
    if len(_SPACES) >= _MOST_SPACES:
        _SPACES.clear()
    _SPACES[key] = (cell, made)
    return made


def run_cell(study: Study, space: Space, *, test: bool) -> Iterator[tuple[TrialFacts, Prompt]]:
    """Every trial of a cell, block by block, with its final prompt; `test` says whether the test split is read.

    Raises:
        UserError: an arm has a critic.
    """
    for one in study.arms:
        if one.arm.critic:
            raise UserError(
                f"The vectorized executor has no critic, which the arm {one.arm.canonical} needs.",
                "Nothing was run.",
                "Leave the arm out, or run the study in full.",
            )
    for number in range(study.blocks):
        shared: Draws | None = None
        for arm in (SEED, *study.block(number)):
            setting = study.setting(space.cell, arm, number)
            if setting.objective != "accuracy":
                raise UserError(
                    f"The vectorized executor selects by accuracy, not by {setting.objective}.",
                    "Nothing was run.",
                    "Run the study in full.",
                )
            if shared is None or shared.path != setting.draws:
                shared = Draws(setting.draws)
            yield _Trial(study, space, arm, number, shared).run(test)


class _Trial:
    """One trial of one arm: `core.trial.run_trial` with arrays in place of requests."""

    def __init__(self, study: Study, space: Space, arm: Arm, number: int, draws: Draws) -> None:
        self.study, self.space, self.arm, self.draws = study, space, arm, draws
        self.scope = scope_of(arm, number, space.cell.name)
        self.facts = TrialFacts(space.cell.name, arm.canonical, number)
        self.current = space.seed
        self.row: tuple[float, ...] | None = None
        self.told = space.shown(arm.labels, space.train, draws) if arm.evaluates else None
        self.asked = space.shown(arm.validation_labels, space.validation, draws) if arm.validates else None

    def run(self, test: bool) -> tuple[TrialFacts, Prompt]:
        """All steps, then the readings of the test."""
        facts, arm = self.facts, self.arm
        if arm == SEED:
            if test:
                facts.test = self._reading(self.current, "seed")
            return facts, self.current
        facts.seed = self.current.digest
        facts.texts[facts.seed] = self.current.candidate
        after: list[Prompt] = []
        for step in range(1, self.study.steps + 1):
            self._step(step)
            after.append(self.current)
        facts.final = facts.texts[self.current.digest]
        if test:
            facts.test = self._reading(self.current, "final")
            for step in self.study.curve:
                facts.curve[step] = self._reading(after[step - 1], "curve", step)
        return facts, self.current

    def _step(self, number: int) -> None:
        arm, step = self.arm, self.facts.step(number)
        places = self._batch(number) if arm.uses_examples else []
        if arm.selection == "validated" and self.row is None:
            self.row = self._validate(self.current, number, KEEP)
        variants: dict[int, Prompt] = {}
        rows: dict[int, tuple[float, ...]] = {}
        for variant in range(arm.n):
            read = self._propose(number, variant, places)
            if isinstance(read, str):
                step.unparsed[variant] = read
                continue
            variants[variant] = read
            step.proposed[variant] = self.facts.texts[read.digest] = read.candidate
            if arm.validates:
                rows[variant] = self._validate(read, number, variant)
        chosen = self._choose(number, variants, rows)
        if chosen != KEEP:
            self.current, self.row = variants[chosen], rows.get(chosen)
        step.chosen, step.candidate = chosen, self.current.digest

    def _batch(self, number: int) -> list[int]:
        """Run the current prompt on its batch; places in the train split."""
        train = self.space.train
        place = batch_place(number, len(train.examples), self.study.batch_size)
        places = self.draws.batch(train, place)
        draws = [self.draws.forward(train, one, place.epoch) for one in places]
        answers = [
            self.space.answer(self.current, train, one, draw) for one, draw in zip(places, draws, strict=True)
        ]
        true = tuple(
            float(answer == train.messages[one].label) for answer, one in zip(answers, places, strict=True)
        )
        told = (
            ()
            if self.told is None
            else tuple(float(answer == self.told[one]) for answer, one in zip(answers, places, strict=True))
        )
        ids = tuple(train.examples[one].id for one in places)
        self.facts.step(number).batch = BatchRun(self.scope, number, ids, true, 0, 0, told)
        return places

    def _propose(self, number: int, variant: int, places: Sequence[int]) -> Prompt | str:
        """A new prompt, or the reason why none can be read."""
        world, update = self.space.world, self.arm.update
        stage = "gradient-update" if update == "gradient" else update
        messages = [self.space.train.messages[one] for one in places]
        labels = [None if self.told is None else int(self.told[one]) for one in places]
        current = self.current
        shown: list[int] = []
        leads: list[Lead] = []
        if update == "one-step":
            shown = [shown_key(one.key, label) for one, label in zip(messages, labels, strict=True)]
        elif update == "gradient":
            changes, leads = self._changes(number, variant, places, labels)
            shown = [self.space.changes_key(changes)]
        luck = luck_of(world, stage, current.text, shown, self.draws.proposal(number, stage, None, variant))
        if update == "one-step":
            leads = leads_of(world, messages, labels, luck)
        return self.space.read_reply(propose(world, current.parts, cast(Update, update), luck, leads), stage)

    def _changes(
        self, step: int, variant: int, places: Sequence[int], labels: Sequence[int | None]
    ) -> tuple[tuple[str, ...], list[Lead]]:
        """What the first two stages come to: the texts of stage two, and the rules in them."""
        world, train, current = self.space.world, self.space.train, self.current
        changes: list[str] = []
        leads: list[Lead] = []
        for one, label in zip(places, labels, strict=True):
            message, taken = train.messages[one], label
            if taken is None:
                draw = self.draws.proposal(step, "gradient-output", train.examples[one].id, variant)
                shown = [shown_key(message.key, None)]
                taken = guess(world, luck_of(world, "gradient-output", current.text, shown, draw), message)
            changes.append(change_of(world, message, taken, label is not None))
            leads += [(rule,) for rule in lead(world, message, taken, label is not None)]
        return tuple(changes), leads

    def _validate(self, prompt: Prompt, step: int, variant: int) -> tuple[float, ...]:
        split = self.space.validation
        assert self.asked is not None
        answers = self.space.answers(prompt, split, self.draws)
        true = _row(answers, split.batch.labels)
        shown = true if self.asked is split.batch.labels else _row(answers, self.asked)
        self.facts.step(step).scored[variant] = CandidateScored(
            self.scope, step, variant, prompt.digest, true, shown, 0, self._spelled(answers)
        )
        return shown

    def _choose(
        self, step: int, variants: Mapping[int, Prompt], rows: Mapping[int, tuple[float, ...]]
    ) -> int:
        """`choose_best` where nothing is missing, or `choose_blindly`."""
        if not variants:
            return KEEP
        if not self.arm.validates:
            if len(variants) == 1:
                return next(iter(variants))
            return choose_blindly(list(variants), self.draws.path.stream("random", step))
        best, most = KEEP, -1.0
        if self.arm.selection == "validated" and self.row is not None:
            most = sum(self.row)
        for number, row in rows.items():
            total = sum(row)
            if total > most:
                best, most = number, total
        return best

    def _reading(self, prompt: Prompt, purpose: str, step: int = 0) -> TestScored:
        split = self.space.test
        answers = self.space.answers(prompt, split, self.draws)
        row = _row(answers, split.batch.labels)
        return TestScored(self.scope, purpose, prompt.digest, row, 0, self._spelled(answers), step)

    def _spelled(self, answers: Ints) -> tuple[str, ...]:
        labels = self.space.labels
        return tuple([labels[place] for place in answers.tolist()])


def _row(answers: Ints, right: Ints) -> tuple[float, ...]:
    return tuple((answers == right).astype(float).tolist())
