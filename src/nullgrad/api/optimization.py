"""`optimize`: a better prompt, its sealed-test gain, and what the gain is made of."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from nullgrad.analysis.forecast import Forecast, forecast
from nullgrad.analysis.result import OptimizeResult, analyse
from nullgrad.api.cast import Opener, check_sampling, make_cast
from nullgrad.api.intent import plan_intent
from nullgrad.core.arms import parse_arm
from nullgrad.core.chat import Failed, Reply, Role, Sampling, Usage
from nullgrad.core.effects import About
from nullgrad.core.evaluation import check_targets
from nullgrad.core.events import Event, Reported
from nullgrad.core.plan import Controls, Plan
from nullgrad.core.selection import Objective
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.ledger.usage import has_reported
from nullgrad.edges.models.named import default_pack
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.packs import load_pack
from nullgrad.edges.run_notes import note_run
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.errors import UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.budget import Limits, Reserve
from nullgrad.run.optimize import optimize as run_optimize
from nullgrad.run.session import Session
from nullgrad.version import __version__

DEFAULT_ARM = "gradient/correct/validated@3"
DEFAULT_LEDGER = Path(".nullgrad") / "ledger.db"
WHY_TRIALS = 5
"""Trials of `--why`."""


class Quiet:
    """An observer that says nothing."""

    def on_event(self, event: Event) -> None:
        """Nothing."""

    def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
        """Nothing."""

    def on_notice(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What one command may spend on paid calls; None is no limit.

    Attributes:
        calls: number of calls.
        tokens: prompt plus completion tokens.
        usd: dollars; needs a known price.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None


class Optimization:
    """One optimization, ready to be forecast and run; building it asks nothing.

    Args:
        task: a loaded task, or what `load_task` takes (a task file, or a task's name).
        model: the generator, such as `openai/gpt-4o-mini` or `local:smollm2-135m`; or a `Model`.
        optimizer_model, critic_model: the other roles, the generator's model if None.
        judge_model: of the scorer `judge`, the critic's model if None.
        base_url: of OpenAI-compatible endpoints; None takes OPENAI_BASE_URL, else the official one.
        endpoint_name: under which replies are known, so that they survive a server's move; None takes the URL.
        arm: `update/evaluation/selection`.
        steps: update steps per trial.
        batch_size: training examples per step.
        trials: complete optimizations of the arm; None is 1, or 5 with `why`.
        controls: `none`, `standard` (the ladder) or `full` (with side arms); None is `none`, or `standard` with `why`.
        why: short for controls standard and five trials.
        seed: the study's seed.
        concurrency: calls in flight per model at most.
        temperature, top_p, max_tokens: sent only if set; they apply to every role.
        optimizer_temperature: the optimizer's own, `temperature` if None.
        send_seed: whether draws are sent as `seed`.
        pack: `standard` or `compact`; None chooses by the optimizer's size.
        objective: what validation selects by: `accuracy` (the mean score) or `balanced` (the mean recall of the classes).
        spending: the budget of this command.
        on_failure: `missing` (a failed call is missing) or `suspend` (the run stops there).

    Raises:
        UserError: anything that cannot be run as asked.
    """

    def __init__(
        self,
        task: Task | str | Path,
        *,
        model: str | Model,
        optimizer_model: str | Model | None = None,
        critic_model: str | Model | None = None,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        arm: str = DEFAULT_ARM,
        steps: int = 10,
        batch_size: int = 3,
        trials: int | None = None,
        controls: Controls | None = None,
        why: bool = False,
        seed: int = 0,
        concurrency: int = 32,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        optimizer_temperature: float | None = None,
        send_seed: bool = True,
        pack: str | None = None,
        objective: Objective = "accuracy",
        spending: Spending | None = None,
        on_failure: str = "missing",
    ) -> None:
        if concurrency < 1:
            raise UserError(f"--concurrency is {concurrency}.", "Nothing was run.", "Give 1 or more.")
        check_sampling(temperature, optimizer_temperature, top_p, max_tokens)
        check_spending(spending or Spending())
        if why and controls == "none":
            raise UserError(
                "--why runs controls, and --controls none leaves them out.",
                "Nothing was run.",
                "Drop one of them.",
            )
        if steps == 0 and (why or controls not in (None, "none")):
            raise UserError(
                "--steps 0 only scores the seed prompt, so there is no gain to attribute.",
                "Nothing was run.",
                "Give --steps 1 or more, or leave out --why and --controls.",
            )
        self.task = task if isinstance(task, Task) else resolve_task(str(task))
        specs: dict[Role, str | Model] = {
            "generator": model,
            "optimizer": optimizer_model or model,
            "critic": critic_model or model,
            "judge": judge_model or critic_model or model,
        }
        opener = Opener()
        self._opened = opener.opened
        self._named = {
            role: opener.open(spec, base_url, endpoint_name, send_seed) for role, spec in specs.items()
        }
        cast = make_cast(self._named, Sampling(temperature, top_p, max_tokens), optimizer_temperature)
        self.plan = Plan(
            task=self.task,
            arm=parse_arm(arm),
            steps=steps,
            batch_size=batch_size,
            trials=trials if trials is not None else (WHY_TRIALS if why else 1),
            controls=controls or ("standard" if why else "none"),
            seed=seed,
            cast=cast,
            pack=load_pack(pack or default_pack(self._named["optimizer"].name)),
            objective=objective,
        )
        if steps:
            check_targets(self.task.view, (self.plan.arm, *self.plan.control_arms))
        self._spending = spending or Spending()
        self._concurrency = concurrency
        self._on_failure = on_failure
        self._prices = price_table()
        if self._spending.usd is not None:
            for role, count in (self.plan.main_calls + self.plan.control_calls).by_role.items():
                if count and self._price(self._named[role].identity, Usage(1000, 1000)) is None:
                    raise UserError(
                        f"The price of {self._named[role].name} is unknown.",
                        "--max-usd cannot be held, so nothing was run.",
                        "Use --max-calls or --max-tokens.",
                    )

    def _price(self, identity: str, usage: Usage) -> Decimal | None:
        model = self._opened.get(identity)
        if model is None:
            return None
        return self._prices.price(model.name, getattr(model, "base_url", ""), usage)

    @property
    def forecast(self) -> Forecast:
        """Calls, tokens, dollars and the smallest gain that the test split can resolve."""
        return forecast(self.plan, self._price)

    @property
    def price_date(self) -> str:
        """Date of the price list."""
        return self._prices.as_of

    async def run(
        self, *, ledger: Ledger | str | Path | None = None, observer: Observer | None = None
    ) -> OptimizeResult:
        """Carry it out; the same again is answered from the ledger.

        Args:
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a model cannot be used as configured; the budget is too small for the sealed test.
            EndpointError: nothing answers.
        """
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._run(book, observer or Quiet())
        finally:
            if own:
                book.close()

    async def _run(self, ledger: Ledger, observer: Observer) -> OptimizeResult:
        plan, limits = self.plan, self._spending
        expected = self.forecast
        reserve = Reserve(
            expected.test.total,
            expected.test_tokens if limits.tokens is not None else 0,
            expected.test_usd or Decimal(0),
        )
        usd = None if limits.usd is None else Decimal(str(limits.usd))
        session = Session(
            self._opened,
            ledger,
            observer,
            plan.run,
            limits=Limits(limits.calls, limits.tokens, usd),
            concurrency=self._concurrency,
            on_failure=self._on_failure,
            price=self._price,
        )
        if not has_reported(ledger, plan.run):
            # What has reported is in the ledger, test and all; anything that is not ends the run as a budget's end does.
            session.budget.check(reserve)
        ledger.begin_run(plan.run, plan.spec)
        note_run(ledger, plan.run, plan_intent(plan, self._opened.values()))
        before = ledger.test_openings(plan.task.digest, plan.run)
        async with session:
            facts = await run_optimize(plan, session, reserve)
            result = analyse(
                facts,
                version=__version__,
                models=tuple((role, model.name) for role, model in self._named.items()),
                simulated=tuple(sorted({model.name for model in self._named.values() if model.simulated})),
                readings_before=before,
            )
            session.asker.state(Reported("", result.canonical()))
        return result


def check_spending(spending: Spending) -> None:
    for name, value in (("--max-calls", spending.calls), ("--max-tokens", spending.tokens)):
        if value is not None and value < 0:
            raise UserError(f"{name} is {value}.", "Nothing was run.", "Give 0 or more.")
    if spending.usd is not None and not 0 <= spending.usd < math.inf:
        raise UserError(
            f"--max-usd is {spending.usd:g}.", "Nothing was run.", "Give an amount in dollars, 0 or more."
        )


def optimize(task: Task | str | Path, *, model: str | Model, **options: Any) -> OptimizeResult:
    """Optimize a prompt and say what the gain is made of; see `Optimization` for the options.

    `ledger` and `observer` are those of `Optimization.run`.

    Raises:
        UserError: it cannot be run as asked.
        EndpointError: nothing answers; what was paid for stays in the ledger.
    """
    return asyncio.run(aoptimize(task, model=model, **options))


async def aoptimize(task: Task | str | Path, *, model: str | Model, **options: Any) -> OptimizeResult:
    """`optimize` for callers that have an event loop."""
    ledger, observer = options.pop("ledger", None), options.pop("observer", None)
    return await Optimization(task, model=model, **options).run(ledger=ledger, observer=observer)
