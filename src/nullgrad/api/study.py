"""Studies: planned before a token is spent, carried out and resumed, and reported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice, pairwise
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Self

from nullgrad.api.intent import study_intent
from nullgrad.api.optimization import DEFAULT_LEDGER, Quiet, Spending, check_spending
from nullgrad.api.study_build import BuiltStudy, build_study
from nullgrad.core.arms import SEED
from nullgrad.core.calls import Calls
from nullgrad.core.chat import Reply, Role, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import Reported
from nullgrad.core.facts import Spend
from nullgrad.core.study import Study as Design
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.run_notes import note_run
from nullgrad.edges.study.spec import SamplingEntry
from nullgrad.errors import UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.budget import Limits
from nullgrad.run.pilot import run_pilot
from nullgrad.run.session import Session
from nullgrad.run.study import complete_blocks, in_order, run_study, trials_of
from nullgrad.version import __version__

if TYPE_CHECKING:
    from nullgrad.analysis.study.plan import StudyPlan
    from nullgrad.analysis.study.result import StudyResult


class Study:
    """One study, ready to be planned and run; building it asks nothing.

    Args:
        built: the study as a value with its models; `from_file` makes it.
        concurrency: calls in flight per model at most.
        spending: the budget of one command.
        on_failure: `missing` (a failed call is missing) or `suspend` (the run stops there).

    Raises:
        UserError: it cannot be run as asked.
    """

    def __init__(
        self,
        built: BuiltStudy,
        *,
        concurrency: int = 32,
        spending: Spending | None = None,
        on_failure: str = "missing",
    ) -> None:
        if concurrency < 1:
            raise UserError(f"--concurrency is {concurrency}.", "Nothing was run.", "Give 1 or more.")
        self.study: Design = built.study
        self._models = built.models
        self._played = built.played
        self._concurrency = concurrency
        self._spending = spending or Spending()
        self._on_failure = on_failure
        self._prices = price_table()
        check_spending(self._spending)
        if self._spending.usd is not None:
            self._check_prices()

    @classmethod
    def from_file(
        cls,
        study: str | Path,
        *,
        model: str | Model | None = None,
        models: Mapping[str, str | Model] | None = None,
        optimizer_model: str | Model | None = None,
        critic_model: str | Model | None = None,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        tasks: Sequence[str] = (),
        scale: float = 1.0,
        trials: int | None = None,
        steps: int | None = None,
        sampling: SamplingEntry | None = None,
        sequential: bool | Sequence[int] = False,
        concurrency: int = 32,
        spending: Spending | None = None,
    ) -> Self:
        """The study of a file (YAML), or a preset by its name.

        Args:
            study: the file or the preset.
            model: the generator in place of those that the file names; a text, or a `Model`.
            models: the generators by the file's names for them.
            optimizer_model, critic_model, judge_model: the other roles, before what the file says.
            base_url, endpoint_name: of OpenAI-compatible endpoints, where the file says none.
            send_seed: whether draws are sent as `seed`.
            tasks: in place of those of the file: task files or names.
            scale: share to which trials and steps are shrunk, above 0, at most 1.
            trials: of an arm at most.
            steps: of a trial at most.
            sampling: before what the file says.
            sequential: numbers of blocks after which what is decided stops, in place of those of the file; True for a
                third, two thirds and all of the blocks where the file declares none.
            concurrency: calls in flight per model at most.
            spending: the budget of one command; what it leaves open is as the file says.

        Raises:
            UserError: it cannot be read, or cannot be run as asked.
        """
        from nullgrad.edges.study.file import cap_steps, cap_trials, load_study, scale_study, with_tasks

        if model is not None and models:
            raise UserError(
                "One model is given for all, and others by name.",
                "Nothing was run.",
                "Give one or the other.",
            )
        spec = load_study(study)
        if tasks:
            spec = with_tasks(spec, tasks)
        if scale != 1.0:
            spec = scale_study(spec, scale)
        if trials is not None:
            spec = cap_trials(spec, trials)
        if steps is not None:
            spec = cap_steps(spec, steps)
        spec = replace(spec, sequential=_looks(sequential, spec.sequential, spec.blocks))
        own, given = spec.budget, spending or Spending()
        return cls(
            build_study(
                spec,
                models=models or ({"": model} if model is not None else None),
                optimizer_model=optimizer_model,
                critic_model=critic_model,
                judge_model=judge_model,
                base_url=base_url,
                endpoint_name=endpoint_name,
                send_seed=send_seed,
                sampling=sampling,
            ),
            concurrency=concurrency,
            spending=Spending(
                own.calls if given.calls is None else given.calls,
                own.tokens if given.tokens is None else given.tokens,
                own.usd if given.usd is None else given.usd,
            ),
            on_failure=spec.on_failure,
        )

    @property
    def price_date(self) -> str:
        """Date of the price list."""
        return self._prices.as_of

    @property
    def models(self) -> tuple[tuple[str, str], ...]:
        """Who plays which role, as the user wrote it; with several models, the name of each before the role."""
        several = len(self._played) > 1
        return tuple(
            (f"{name} {role}" if several else role, model.name)
            for name, roles in self._played.items()
            for role, model in roles.items()
        )

    @property
    def simulated(self) -> tuple[str, ...]:
        """Names of the models that are simulations."""
        return tuple(sorted({model.name for model in self._models.values() if model.simulated}))

    def price(self, identity: str, usage: Usage) -> Decimal | None:
        """Dollars of a usage of a model, None where its price is unknown."""
        model = self._models.get(identity)
        if model is None:
            return None
        return self._prices.price(model.name, getattr(model, "base_url", ""), usage)

    def cost(self, about: About, usage: Usage) -> Decimal | None:
        """Dollars of a call by what it was for, None where the price is unknown."""
        return self.price(self.study.cell(about.cell).cast[about.role].model, usage)

    @property
    def limit(self) -> int:
        """Calls in flight at most over all models: each has its own limit, or `concurrency`."""
        return sum(
            min(self._concurrency, model.max_concurrency or self._concurrency)
            for model in self._models.values()
        )

    def plan(
        self,
        *,
        ledger: str | Path | None = None,
        sd: float = 0.05,
        refuse: bool | None = None,
    ) -> StudyPlan:
        """What it will ask, about what that costs, and what each contrast can show; nothing is asked.

        Args:
            ledger: whose recorded calls of this study's tasks and models say how many tokens and seconds a call takes;
                None, or a ledger without such calls, leaves tokens to a rule of thumb and the wall time out.
            sd: assumed standard deviation of a trial score, as a share.
            refuse: whether a contrast that cannot reach its corrected level is an error; None refuses in all studies but
                the paper's presets.

        Raises:
            UserError: a contrast, or a look, can never reach its level.
        """
        from nullgrad.analysis.study.plan import plan_study

        usages, seconds = measured(self.study, ledger) if ledger is not None else ({}, None)
        return plan_study(
            self.study,
            price=self.price,
            sd=sd,
            pilot=usages or None,
            concurrency=self.limit,
            seconds_per_call=seconds,
            max_usd=self._spending.usd,
            max_calls=self._spending.calls,
            refuse=refuse,
        )

    def pilot(self, calls: int, *, ledger: str | Path | None = None, observer: Observer | None = None) -> int:
        """`apilot` for callers without an event loop."""
        return asyncio.run(self.apilot(calls, ledger=ledger, observer=observer))

    async def apilot(
        self, calls: int, *, ledger: str | Path | None = None, observer: Observer | None = None
    ) -> int:
        """Make a few calls of the study, of every role, for `plan` to measure; a run replays them. Returns how many.

        Args:
            calls: the most that are paid for.
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a model cannot be used as configured.
            EndpointError: nothing answers.
        """
        with open_ledger(Path(ledger or DEFAULT_LEDGER)) as book:
            session = Session(
                self._models,
                book,
                observer or Quiet(),
                self.study.run,
                limits=Limits(calls),
                concurrency=self._concurrency,
                price=self.price,
            )
            async with session:
                await run_pilot(self.study, session)
            return session.spend().paid

    def run(
        self,
        *,
        ledger: Ledger | str | Path | None = None,
        observer: Observer | None = None,
    ) -> StudyResult:
        """`arun` for callers without an event loop."""
        return asyncio.run(self.arun(ledger=ledger, observer=observer))

    async def arun(
        self,
        *,
        ledger: Ledger | str | Path | None = None,
        observer: Observer | None = None,
    ) -> StudyResult:
        """Carry it out; the same again is answered from the ledger.

        Args:
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a model cannot be used as configured.
            EndpointError: nothing answers; what was paid for stays in the ledger.
        """
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._run(book, observer or Quiet())
        finally:
            if own:
                book.close()

    async def _run(self, ledger: Ledger, observer: Observer) -> StudyResult:
        from nullgrad.analysis.study.look import make_look

        limits = self._spending
        usd = None if limits.usd is None else Decimal(str(limits.usd))
        session = Session(
            self._models,
            ledger,
            observer,
            self.study.run,
            limits=Limits(limits.calls, limits.tokens, usd),
            concurrency=self._concurrency,
            on_failure=self._on_failure,
            price=self.price,
        )
        ledger.begin_run(self.study.run, self.study.spec)
        note_run(ledger, self.study.run, study_intent(self.study, self._models.values()))
        async with session:
            found = await run_study(
                self.study, session, make_look(self.study) if self.study.sequential else None
            )
            result = self._result(found.trials, found.spend, found.stopped)
            session.asker.state(Reported("", result.canonical()))
        return result

    def _result(self, trials: Any, spend: Spend, stopped: str) -> StudyResult:
        from nullgrad.analysis.study.result import analyse_study

        return analyse_study(
            self.study,
            trials,
            spend=spend,
            version=__version__,
            models=self.models,
            simulated=self.simulated,
            stopped=stopped,
        )

    def report(self, ledger: str | Path | None = None) -> StudyResult:
        """The result of what a ledger holds of this study, folded anew from its events; nothing is asked.

        Raises:
            UserError: there is no such ledger, or this study was never begun in it.
        """
        path = Path(ledger or DEFAULT_LEDGER)
        if not path.exists():
            raise UserError(
                f"There is no ledger at {path}.", "There is nothing to report.", "Give --ledger FILE."
            )
        with open_ledger(path, read_only=True) as book:
            if book.spec(self.study.run) is None:
                raise UserError(
                    f"The ledger {path} holds no run of the study {self.study.name!r} as it is declared.",
                    "There is nothing to report.",
                    "Give the --ledger, the models and the scale that it was run with.",
                )
            events = in_order(book.events(self.study.run))
        every = [(cell.name, number) for cell in self.study.cells for number in range(self.study.blocks)]
        blocks = complete_blocks(self.study, trials_of(self.study, events, every))
        missing = len(every) - len(blocks)
        stopped = f"{missing:,} of {len(every):,} blocks are not complete in the ledger." if missing else ""
        return self._result(trials_of(self.study, events, blocks), Spend(), stopped)

    def _check_prices(self) -> None:
        """Refuse a limit in dollars that cannot be held."""
        for cell in self.study.cells:
            calls = Calls()
            for arm in (SEED, *(one.arm for one in self.study.arms)):
                calls += self.study.calls(cell, arm)
            for role, count in calls.by_role.items():
                identity = cell.cast[role].model
                if count and self.price(identity, Usage(1000, 1000)) is None:
                    raise UserError(
                        f"The price of {self._models[identity].name} is unknown.",
                        "--max-usd cannot be held, so nothing was run.",
                        "Use --max-calls or --max-tokens.",
                    )


MOST_SAMPLES, MOST_ROWS = 200, 5_000
"""Recorded calls of a role that are measured, and rows that are looked through for them."""


def measured(study: Design, ledger: str | Path) -> tuple[dict[Role, Usage], float | None]:
    """Mean tokens of a recorded call by role, and mean seconds of a call of the study; None where nothing is known."""
    path = Path(ledger)
    if not path.exists():
        return {}, None
    usages: dict[Role, Usage] = {}
    seconds: dict[Role, float] = {}
    models = {(cell.name, role): cell.cast[role].model for cell in study.cells for role in Calls().by_role}
    with open_ledger(path, read_only=True) as book:
        for role, asked in study.asked.by_role.items():
            rows = book.replies(role=role) if asked else iter(())
            found = [
                (row.answer.usage, row.seconds)
                for row in islice(rows, MOST_ROWS)
                if isinstance(row.answer, Reply)
                and row.answer.usage.prompt is not None
                and row.answer.usage.completion is not None
                and (request := book.request_of(row.identity)) is not None
                and request.model == models.get((row.about.cell, role))
            ][:MOST_SAMPLES]
            if found:
                usages[role] = Usage(
                    round(fmean(usage.prompt or 0 for usage, _ in found)),
                    round(fmean(usage.completion or 0 for usage, _ in found)),
                )
                seconds[role] = fmean(one for _, one in found)
    known = {role: count for role, count in study.asked.by_role.items() if role in seconds}
    total = sum(known.values())
    return usages, sum(seconds[role] * count for role, count in known.items()) / total if total else None


def _looks(asked: bool | Sequence[int], declared: tuple[int, ...], blocks: int) -> tuple[int, ...]:
    """Numbers of blocks at which a look is taken."""
    if asked is False:
        return declared
    if asked is True:
        return declared or tuple(sorted({ceil(blocks / 3), ceil(2 * blocks / 3), blocks}))
    looks = tuple(asked)
    if not looks or looks[0] < 1 or looks[-1] != blocks or any(b <= a for a, b in pairwise(looks)):
        raise UserError(
            f"--sequential is {','.join(map(str, looks))}.",
            "Nothing was run.",
            f"Give rising numbers of blocks that end with {blocks}, the number planned.",
        )
    return looks
