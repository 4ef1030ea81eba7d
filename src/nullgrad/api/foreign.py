"""Third-party optimizers: a package's own `optimize`, unchanged, behind the gateway, with its labels in our hands."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nullgrad.api.cashier import Cashier, run_identity
from nullgrad.api.optimization import DEFAULT_LEDGER, Quiet, Spending, check_spending
from nullgrad.core.chat import Role
from nullgrad.core.draws import DrawPath
from nullgrad.core.foreign import Caller, ForeignResult, Refused
from nullgrad.core.foreign_budget import Allowance, parse_allowance
from nullgrad.core.foreign_job import PROTOCOL, ForeignArm, job_rows, parse_foreign_arm
from nullgrad.core.task import Scored, Task, TaskView
from nullgrad.edges.gateway.server import Gateway, Score
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.optimizers import Adapter, adapter_of, interpreter
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.errors import UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.foreign import Desk
from nullgrad.run.foreign_process import environment
from nullgrad.run.foreign_trial import ForeignTrial, run_foreign
from nullgrad.run.session import Session


@dataclass(frozen=True, slots=True)
class ForeignSetup:
    """How trials of one optimizer are run, whatever their arm and number.

    Attributes:
        view: the task without its test split.
        adapter: the optimizer.
        allowance: what one trial may ask for, at least one limit.
        names: the model of each role by the name under which the gateway answers it.
        seed: the study's seed.
        settings: handed to the library as they are.
        parameters: sent with every call of a role, such as {"optimizer": {"temperature": 1.0}}.
        concurrency: calls that the adapter keeps in flight.
        python: the interpreter that has the package.
    """

    view: TaskView
    adapter: Adapter
    allowance: Allowance
    names: Mapping[str, str]
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    concurrency: int = 8
    python: str = field(default_factory=interpreter)

    def job(self, arm: ForeignArm, trial: int, base_url: str, keys: Mapping[str, str]) -> str:
        """The job of one trial, one line of JSON; no row of the test split is in reach of it.

        Raises:
            UserError: an example has no wrong target.
        """
        value = {
            "protocol": PROTOCOL,
            "optimizer": self.adapter.name,
            "base_url": base_url,
            "keys": dict(keys),
            "models": {role: self.names[role] for role in keys},
            "seed_prompt": self.view.seed_prompt,
            **job_rows(self.view, arm, DrawPath(self.seed, trial)),
            "budget": {"calls": self.allowance.calls, "tokens": self.allowance.tokens},
            # Libraries differ in what they take for no seed: 0 is one of them.
            "seed": 1 + (self.seed * 10_007 + trial) % (2**31 - 1),
            "concurrency": self.concurrency,
            "settings": dict(self.settings),
            "parameters": {role: dict(own) for role, own in self.parameters.items()},
        }
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def scoring(desk: Desk, view: TaskView) -> Score:
    """What answers an adapter's process that asks for the task's score of an output."""
    examples = {one.id: one for one in (*view.train, *view.validation)}

    async def score(caller: Caller, asked: Any) -> dict[str, Any]:
        values = [asked.get(name) for name in ("id", "text", "target")] if isinstance(asked, dict) else []
        texts = [one for one in values if isinstance(one, str)]
        if len(texts) != 3 or texts[0] not in examples:
            raise Refused(
                400, "invalid_value", "A score needs the id of a row, a text and a target, all of them texts."
            )
        outcome = await desk.score(caller, view, examples[texts[0]], texts[1], texts[2])
        if isinstance(outcome, Scored):
            return {"score": outcome.score, "answer": outcome.answer}
        return {"score": 0.0, "answer": None, "unparsed": outcome.reason}

    return score


async def run_trial_behind(
    gateway: Gateway,
    desk: Desk,
    session: Session,
    setup: ForeignSetup,
    arm: ForeignArm,
    trial: int,
    run: str,
) -> ForeignResult:
    """Run one trial behind an open gateway; several may run side by side.

    Args:
        gateway: serving, with `scoring(desk, setup.view)`.
        desk: in front of `session`.
        session: open.
        setup: how.
        arm: the optimizer with its label channels.
        trial: trial number, from 0.
        run: identity of the run.

    Raises:
        UserError: the package is missing or has changed; an example has no wrong target.
        EndpointError: nothing answers.
        BudgetReached: what the command may pay is spent.
    """
    adapter = setup.adapter
    desk.admit(arm.canonical, trial, setup.allowance, setup.view.constrained)
    keys: dict[str, str] = {}
    try:
        roles: tuple[Role, ...] = ("generator", "optimizer")
        for role in roles:
            if role in adapter.roles:
                keys[role] = gateway.issue(Caller(arm.canonical, trial, role), run)
        with tempfile.TemporaryDirectory(prefix="nullgrad-") as folder:
            told = foreign_trial(setup, arm, trial, gateway.base_url, keys, Path(folder))
            return await run_foreign(told, desk, session)
    finally:
        for key in keys.values():
            gateway.withdraw(key)


def foreign_trial(
    setup: ForeignSetup, arm: ForeignArm, trial: int, base_url: str, keys: Mapping[str, str], folder: Path
) -> ForeignTrial:
    """The process of one trial; `base_url` is the gateway's and `folder` its working directory.

    Raises:
        UserError: an example has no wrong target.
    """
    adapter = setup.adapter
    return ForeignTrial(
        arm.canonical,
        trial,
        adapter.name,
        setup.view.seed_prompt,
        adapter.command(setup.python),
        environment(base_url, keys["generator"], _QUIETLY),
        folder,
        setup.job(arm, trial, base_url.removesuffix("/v1"), keys),
        adapter.hook,
        adapter.install(setup.python),
    )


_QUIETLY = {
    # The order of a set of texts is part of what some libraries do.
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    # litellm, which most of them use, would fetch its price list at every start.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""What every adapter's process finds in its environment, whatever the user's holds."""


class ForeignOptimization:
    """One trial of a third-party optimizer on a task; building it asks nothing.

    Args:
        task: a loaded task, or what `load_task` takes.
        optimizer: `optimizer/feedback/selection`, such as `gepa` or `gepa/wrong/correct`.
        model: the generator.
        optimizer_model: who reflects, the generator's model if None.
        judge_model: of the scorer `judge`, the generator's model if None.
        base_url, endpoint_name, send_seed: of the models' endpoints.
        budget: what the trial may ask for, such as `800calls`, as if nothing were shared.
        trial: trial number, from 0.
        seed: the study's seed.
        settings: handed to the library as they are.
        parameters: sent with every call of a role.
        concurrency: calls in flight per model at most.
        spending: what this command may pay for.
        python: the interpreter that has the package; None takes NULLGRAD_OPTIMIZERS_PYTHON, else our own.

    Raises:
        UserError: anything that cannot be run as asked.
    """

    def __init__(
        self,
        task: Task | str | Path,
        optimizer: str,
        *,
        model: str | Model,
        optimizer_model: str | Model | None = None,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        budget: str | Allowance,
        trial: int = 0,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: int = 32,
        spending: Spending | None = None,
        python: str | None = None,
    ) -> None:
        self.task = task if isinstance(task, Task) else resolve_task(str(task))
        self.arm = parse_foreign_arm(optimizer)
        allowance = parse_allowance(budget) if isinstance(budget, str) else budget
        if allowance == Allowance():
            raise UserError(
                "The trial has no budget.", "An optimizer may never end; nothing was run.", "Give 800calls."
            )
        self._spending = spending or Spending()
        check_spending(self._spending)
        specs: dict[Role, str | Model] = {"generator": model, "optimizer": optimizer_model or model}
        if self.task.view.scorer.asks:
            specs["judge"] = judge_model or model
        self._cashier = Cashier(specs, base_url, endpoint_name, send_seed)
        if allowance.usd is not None:
            self._cashier.check_priced("The budget")
        if self._spending.usd is not None:
            self._cashier.check_priced("--max-usd")
        self._trial = trial
        self._concurrency = concurrency
        self.setup = ForeignSetup(
            self.task.view,
            adapter_of(self.arm.optimizer),
            allowance,
            self._cashier.names,
            seed,
            settings or {},
            parameters or {},
            concurrency,
            python or interpreter(),
        )
        self.run_id, self.spec = run_identity(
            {
                "verb": "foreign",
                "task": {"name": self.task.view.name, "digest": self.task.digest},
                "optimizer": self.arm.optimizer,
                "budget": {
                    name: None if one is None else str(one) for name, one in asdict(allowance).items()
                },
                "settings": dict(settings or {}),
                "parameters": {role: dict(own) for role, own in (parameters or {}).items()},
                "seed": seed,
                "design": "paired",
                "cast": {role: one.identity for role, one in self._cashier.named.items()},
            }
        )

    async def run(
        self, *, ledger: Ledger | str | Path | None = None, observer: Observer | None = None
    ) -> ForeignResult:
        """Carry it out; the same again is answered from the ledger while the library itself starts over.

        Raises:
            UserError: the package is missing or has changed; a model cannot be used as configured.
            EndpointError: nothing answers.
            BudgetReached: what this command may pay is spent.
        """
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._run(book, observer or Quiet())
        finally:
            if own:
                book.close()

    async def _run(self, ledger: Ledger, observer: Observer) -> ForeignResult:
        tally = self._cashier.tally(observer)
        session = self._cashier.session(ledger, tally, self.run_id, self._spending, self._concurrency)
        ledger.begin_run(self.run_id, self.spec)
        async with session:
            desk = Desk(session, self._cashier.named, tally, seed=self.setup.seed)
            gateway = Gateway(desk, score=scoring(desk, self.task.view))
            await gateway.start()
            try:
                return await run_trial_behind(
                    gateway, desk, session, self.setup, self.arm, self._trial, self.run_id
                )
            finally:
                await session.drain()
                await gateway.stop()


def run_optimizer(task: Task | str | Path, optimizer: str, **options: Any) -> ForeignResult:
    """Run one trial of a third-party optimizer; see `ForeignOptimization` for the options.

    `ledger` and `observer` are those of `ForeignOptimization.run`.

    Raises:
        UserError: it cannot be run as asked.
        EndpointError: nothing answers; what was paid for stays in the ledger.
    """
    return asyncio.run(arun_optimizer(task, optimizer, **options))


async def arun_optimizer(task: Task | str | Path, optimizer: str, **options: Any) -> ForeignResult:
    """`run_optimizer` for callers that have an event loop."""
    ledger, observer = options.pop("ledger", None), options.pop("observer", None)
    return await ForeignOptimization(task, optimizer, **options).run(ledger=ledger, observer=observer)
