"""`compare`: third-party optimizers and nullgrad's own arms at one budget and one meter, each with its label controls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nullgrad.api.cashier import Cashier, run_identity
from nullgrad.api.cast import check_sampling, make_cast
from nullgrad.api.compare_build import check_budget, check_settings, job_parameters, own_steps
from nullgrad.api.compare_plan import ComparePlan, compare_intent, plan_compare
from nullgrad.api.compare_probe import probe_packages
from nullgrad.api.foreign import ForeignSetup, run_trial_behind, scoring
from nullgrad.api.optimization import DEFAULT_LEDGER, Quiet, Spending, check_spending
from nullgrad.core.chat import Role, Sampling
from nullgrad.core.compare import Comparison, Entry
from nullgrad.core.compare_entries import (
    DEFAULT_CONTROLS,
    Control,
    foreign_arm,
    own_arm,
    parse_controls,
    parse_entries,
)
from nullgrad.core.compare_facts import CompareFacts
from nullgrad.core.draws import DrawPath
from nullgrad.core.evaluation import check_targets
from nullgrad.core.events import Reported
from nullgrad.core.facts import Spend
from nullgrad.core.foreign import ForeignResult
from nullgrad.core.foreign_budget import Allowance, parse_allowance
from nullgrad.core.foreign_job import job_rows
from nullgrad.core.task import Task
from nullgrad.edges.gateway.server import Gateway
from nullgrad.edges.ledger.store import SqlLedger, open_ledger
from nullgrad.edges.models.named import default_pack
from nullgrad.edges.optimizers import KNOWN, interpreter
from nullgrad.edges.packs import load_pack
from nullgrad.edges.run_notes import note_run
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.errors import BudgetReached, UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.compare import CompareRun, CompareWork, run_compare, unfinished
from nullgrad.run.foreign import Desk
from nullgrad.version import __version__

if TYPE_CHECKING:
    from nullgrad.analysis.comparison import CompareResult


class Compare:
    """A comparison, ready to be planned and run; building it asks nothing.

    Args:
        task: a loaded task, or what `load_task` takes.
        optimizers: adapters (`gepa`, `gepa/wrong/correct`), `nullgrad`, or arms of its own (`validated@3`,
            `gradient/correct/best@3`), with commas between them or as a sequence.
        model: the generator.
        optimizer_model, critic_model, judge_model: the other roles, the generator's model if None.
        base_url, endpoint_name, send_seed: of the models' endpoints.
        budget: what each trial of each entry may ask for, such as `800calls`, as if nothing were shared.
        trials: complete optimizations of each entry.
        controls: label controls that run beside each: of `feedback`, `selection`, `none`; () or `off` for none.
        seed: the study's seed.
        alpha: one-sided level of a family of contrasts.
        margin: half-width of equality, a share; None calls nothing equal.
        batch_size: training examples of a step of nullgrad's own arms.
        settings: by adapter, handed to its library as they are.
        temperature, top_p, max_tokens: sent with every call of every entry, only if set.
        optimizer_temperature: the optimizer's own, `temperature` if None.
        pack: words of nullgrad's own arms; None chooses by the optimizer's size.
        concurrency: calls in flight per model, and per process, at most.
        parallel: trials side by side.
        spending: what this command may pay for.
        python: the interpreter that has the packages; None takes NULLGRAD_OPTIMIZERS_PYTHON, else our own.

    Attributes:
        comparison: what is declared.
        steps: update steps of a trial by the name of each own entry; where the budget is in tokens or dollars alone, more
            than it holds.
        run_id: the run's identity. How many trials, and of which optimizers, is no part of it: more of either go on
            with the same run.

    Raises:
        UserError: anything that cannot be run as asked.
    """

    def __init__(
        self,
        task: Task | str | Path,
        optimizers: str | Sequence[str],
        *,
        model: str | Model,
        optimizer_model: str | Model | None = None,
        critic_model: str | Model | None = None,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        budget: str | Allowance,
        trials: int = 5,
        controls: str | Sequence[Control] = DEFAULT_CONTROLS,
        seed: int = 0,
        alpha: float = 0.05,
        margin: float | None = None,
        batch_size: int = 3,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        optimizer_temperature: float | None = None,
        pack: str | None = None,
        concurrency: int = 32,
        parallel: int = 2,
        spending: Spending | None = None,
        python: str | None = None,
    ) -> None:
        for name, value in (
            ("--trials", trials), ("--batch-size", batch_size), ("--concurrency", concurrency), ("--parallel", parallel),
        ):  # fmt: skip
            if value < 1:
                raise UserError(f"{name} is {value}.", "Nothing was run.", "Give 1 or more.")
        for name, share in (("--alpha", alpha), ("--margin", margin)):
            if share is not None and not 0 < share < 1:
                raise UserError(f"{name} is {share:g}.", "Nothing was run.", "Give a share between 0 and 1.")
        check_sampling(temperature, optimizer_temperature, top_p, max_tokens)
        self._spending = spending or Spending()
        check_spending(self._spending)
        self.task = task if isinstance(task, Task) else resolve_task(str(task))
        view = self.task.view
        allowance = parse_allowance(budget) if isinstance(budget, str) else budget
        entries = parse_entries(
            optimizers.split(",") if isinstance(optimizers, str) else optimizers,
            parse_controls(controls) if isinstance(controls, str) else controls,
            {name: adapter.channels for name, adapter in KNOWN.items()},
        )
        self.comparison = Comparison(view.name, entries, trials, allowance, seed, alpha, margin)
        self._settings = check_settings(settings or {}, entries)
        specs: dict[Role, str | Model] = {"generator": model, "optimizer": optimizer_model or model}
        if any(own_arm(one).critic for one in entries if one.own):
            specs["critic"] = critic_model or model
        if view.scorer.asks:
            specs["judge"] = judge_model or critic_model or model
        self._cashier = Cashier(specs, base_url, endpoint_name, send_seed)
        for given, option in ((allowance.usd, "--budget"), (self._spending.usd, "--max-usd")):
            if given is not None:
                self._cashier.check_priced(option)
        sampling = Sampling(temperature, top_p, max_tokens)
        self._parameters = job_parameters(sampling, optimizer_temperature)
        self._python = python or interpreter()
        self._concurrency = concurrency
        self.steps = own_steps(entries, view, allowance, batch_size)
        check_budget(entries, view, allowance)
        check_targets(view, [own_arm(one) for one in entries if one.own])
        for one in entries:
            if not one.own:
                job_rows(view, foreign_arm(one), DrawPath(seed, 0))
        self._work = CompareWork(
            self.comparison,
            self.task,
            make_cast(self._cashier.named, sampling, optimizer_temperature),
            load_pack(pack or default_pack(self._cashier.named["optimizer"].name)),
            batch_size,
            self.steps,
            parallel,
        )
        self.run_id, self.spec = run_identity(self._identity())

    def _identity(self) -> dict[str, Any]:
        budget = asdict(self.comparison.budget)
        return {
            "verb": "compare",
            "task": {"name": self.task.view.name, "digest": self.task.digest},
            "budget": {name: None if one is None else str(one) for name, one in budget.items()},
            "settings": {name: dict(own) for name, own in self._settings.items()},
            "parameters": self._parameters,
            "batch_size": self._work.batch_size,
            "seed": self.comparison.seed,
            "design": "paired",
            "cast": asdict(self._work.cast),
            "pack": {"name": self._work.pack.name, "digest": self._work.pack.digest},
        }

    @property
    def models(self) -> dict[str, str]:
        """The model of each role as the user wrote it."""
        return self._cashier.names

    @property
    def simulated(self) -> tuple[str, ...]:
        """Names of the models that are simulations."""
        return self._cashier.simulated

    def plan(self) -> ComparePlan:
        """What it asks at most, and about what that costs; nothing is asked."""
        return plan_compare(self._work, self._cashier)

    def setup(self, entry: Entry) -> ForeignSetup:
        """How trials of a third-party entry are run."""
        return ForeignSetup(
            self.task.view,
            KNOWN[entry.optimizer],
            self.comparison.budget,
            self._cashier.names,
            self.comparison.seed,
            self._settings.get(entry.optimizer, {}),
            self._parameters,
            self._concurrency,
            self._python,
        )

    async def probe(self, entries: Sequence[Entry] | None = None) -> dict[str, str]:
        """The version of every package that entries need, by optimizer; nothing is asked. None takes all entries.

        Raises:
            UserError: one is missing, has another interface, or refuses its settings or the budget.
        """
        third = [one for one in (self.comparison.entries if entries is None else entries) if not one.own]
        needed = {one.optimizer: one for one in reversed(third)}
        setups = {foreign_arm(one): self.setup(one) for one in needed.values()}
        return await probe_packages(setups, self._work.parallel)

    async def run(
        self, *, ledger: Ledger | str | Path | None = None, observer: Observer | None = None
    ) -> CompareResult:
        """Carry it out; the same again folds what has ended from the ledger, and answers from it what has not.

        Args:
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a package is missing or has changed; a model cannot be used as configured.
            EndpointError: nothing answers; the same again goes on from there.
            BudgetReached: what this command may pay is spent before one block was complete.
        """
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._run(book, observer or Quiet())
        finally:
            if own:
                book.close()

    def ended(self, ledger: str | Path | None = None) -> int:
        """How many of its trials a ledger holds to their end: they are not run again. Nothing is asked.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        path = Path(ledger or DEFAULT_LEDGER)
        if not path.exists():
            return 0
        with open_ledger(path, read_only=True) as book:
            facts = CompareFacts(book.events(self.run_id))
        declared = self.comparison
        return sum(
            facts.ended(entry, trial) for trial in range(declared.trials) for entry in declared.entries
        )

    async def _run(self, ledger: Ledger, observer: Observer) -> CompareResult:
        facts = CompareFacts(ledger.events(self.run_id) if isinstance(ledger, SqlLedger) else ())
        left = unfinished(self.comparison, facts)
        if not left:
            # Nothing has to be asked: no model is loaded and no package looked for.
            result = self._result(CompareRun(facts, facts.complete(self.comparison), "", Spend(usd=0.0)))
            ledger.append((), [(self.run_id, Reported("", result.canonical()))])
            return result
        ran = {
            entry.optimizer for entry in self.comparison.entries if facts.ran(entry, self.comparison.trials)
        }
        await self.probe(
            [
                entry
                for entry, trial in left
                if entry is not None and not facts.ended(entry, trial) and entry.optimizer not in ran
            ]
        )
        tally = self._cashier.tally(observer)
        session = self._cashier.session(ledger, tally, self.run_id, self._spending, self._concurrency)
        ledger.begin_run(self.run_id, self.spec)
        note_run(ledger, self.run_id, compare_intent(self._work, self._cashier.opened.values()))
        async with session:
            desk = Desk(session, self._cashier.named, tally, seed=self.comparison.seed)
            gateway = Gateway(desk, score=scoring(desk, self.task.view))
            await gateway.start()

            async def foreign(entry: Entry, trial: int) -> ForeignResult:
                return await run_trial_behind(
                    gateway, desk, session, self.setup(entry), foreign_arm(entry), trial, self.run_id
                )

            try:
                found = await run_compare(self._work, session, tally, facts, foreign)
            finally:
                await session.drain()
                await gateway.stop()
            result = self._result(found)
            session.asker.state(Reported("", result.canonical()))
        return result

    def _result(self, found: CompareRun) -> CompareResult:
        from nullgrad.analysis.comparison import compare_trials

        if not found.blocks:
            raise BudgetReached(
                found.stopped or "No block is complete.",
                "There is nothing to compare yet; what is recorded stays.",
                "The same command with more goes on from there.",
            )
        facts, comparison = found.facts, self.comparison
        numbers = range(comparison.trials)
        seeds = [facts.seed(number) for number in numbers]
        trials = [facts.trial(entry, number) for number in numbers for entry in comparison.entries]
        return compare_trials(
            comparison,
            self.task.view,
            [one for one in seeds if one is not None],
            [one for one in trials if one is not None],
            targets=[one.target for one in self.task.test],
            run=self.run_id,
            version=__version__,
            models=tuple(self._cashier.names.items()),
            simulated=self._cashier.simulated,
            spend=found.spend,
            stopped=found.stopped,
            steps=self.steps,
        )


def compare(task: Task | str | Path, optimizers: str | Sequence[str], **options: Any) -> CompareResult:
    """Compare optimizers at one budget; see `Compare` for the options.

    `ledger` and `observer` are those of `Compare.run`.

    Raises:
        UserError: it cannot be run as asked.
        EndpointError: nothing answers; what was paid for stays in the ledger.
    """
    return asyncio.run(acompare(task, optimizers, **options))


async def acompare(task: Task | str | Path, optimizers: str | Sequence[str], **options: Any) -> CompareResult:
    """`compare` for callers that have an event loop."""
    ledger, observer = options.pop("ledger", None), options.pop("observer", None)
    return await Compare(task, optimizers, **options).run(ledger=ledger, observer=observer)
