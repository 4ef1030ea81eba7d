"""`audit`: is this prompt better, or has it learned the prior?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from nullgrad.analysis.audit.forecast import forecast_audit, main_test
from nullgrad.analysis.audit.report import OUTSIDE_CURVE, AuditReport, analyse_audit
from nullgrad.analysis.forecast import Forecast
from nullgrad.api.audit_prompts import GivenPrompt, check_component, prompt_of_file
from nullgrad.api.cast import Opener, check_sampling, make_cast
from nullgrad.api.optimization import DEFAULT_LEDGER, Quiet, Spending, check_spending
from nullgrad.core.audit_plan import REPEATS, TEST_AGAIN, AuditPlan
from nullgrad.core.chat import Role, Sampling, Usage
from nullgrad.core.events import Reported
from nullgrad.core.fresh_items import ITEMS, SHARES, fresh_items, has_share, items_at
from nullgrad.core.objective import has_classes
from nullgrad.core.task import Example, Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.ledger.usage import has_reported
from nullgrad.edges.models.prices import price_table
from nullgrad.edges.packs import load_pack
from nullgrad.edges.tasks.shipped import resolve_task
from nullgrad.errors import UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.audit import audit as run_audit
from nullgrad.run.budget import Limits, Reserve
from nullgrad.run.session import Session
from nullgrad.version import __version__

_NOTHING = "Nothing was run."


class Audit:
    """One audit, ready to be forecast and run; building it asks nothing.

    Args:
        task: a loaded task, or what `load_task` takes.
        before, after: the two prompts, as texts; or a `Path`, read as the command reads a file: text, a result, a program.
        model: the generator, such as `openai/gpt-4o-mini` or `local:smollm2-135m`; or a `Model`.
        judge_model: of the scorer `judge`, the generator if None.
        base_url, endpoint_name, send_seed: as of `Optimization`.
        sections: whether the after prompt's sections are ablated.
        repeats: evaluations of each prompt of the ablation.
        margin: in points: a prompt that gains less is not better, and the shortest prompt may lose as much.
        prior: {label: share} at which accuracy is re-weighted, besides the balanced one.
        fresh: whether both prompts are run anew: on freshly made items where the task is procedural, else on the test
            under fresh draws.
        curve: a class: accuracy over its share, on freshly made items where the task's generator has a dial for it, else
            from the recorded answers.
        shares, items: of a curve on made items: the shares, and items at each of them.
        ordinal: whether the order of the labels means something.
        seed, trial: of the draws; those of a recorded run find its replies again.
        logprobs: whether log-probabilities of the labels are asked for; a number asks for that many alternatives of a token
            instead of what the model usually gives, which makes other requests of them than an optimization's.
        concurrency: calls in flight at most.
        temperature, top_p, max_tokens: sent only if set.
        spending: the budget of this command.
        on_failure: `missing` or `suspend`.
        names: where the prompts came from, for display; those of a `Path` are its own.
        component: which prompt of a `Path` that holds several.
        notes: what a reader of the report has to know of the prompts.

    Raises:
        UserError: anything that cannot be audited as asked.
    """

    def __init__(
        self,
        task: Task | str | Path,
        before: str | Path,
        after: str | Path,
        *,
        model: str | Model,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        sections: bool = False,
        repeats: int = REPEATS,
        margin: float = 5.0,
        prior: Mapping[str, float] | None = None,
        fresh: bool = False,
        curve: str | None = None,
        shares: Sequence[float] = SHARES,
        items: int = ITEMS,
        ordinal: bool = False,
        seed: int = 0,
        trial: int = 0,
        logprobs: bool | int = True,
        concurrency: int = 32,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        spending: Spending | None = None,
        on_failure: str = "missing",
        names: tuple[str, str] = ("before", "after"),
        component: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        if concurrency < 1:
            raise UserError(f"--concurrency is {concurrency}.", _NOTHING, "Give 1 or more.")
        check_sampling(temperature, None, top_p, max_tokens)
        check_spending(spending or Spending())
        self.task = task if isinstance(task, Task) else resolve_task(str(task))
        view = self.task.view
        opener = Opener()
        specs: dict[Role, str | Model] = {"generator": model, "judge": judge_model or model}
        self._named = {
            role: opener.open(spec, base_url, endpoint_name, send_seed) for role, spec in specs.items()
        }
        self._opened = opener.opened
        self._prior = _prior(prior, view.labels) if prior else None
        self._curve = _label(curve, view.labels) if curve is not None else None
        self._ordinal = ordinal
        given = tuple(
            prompt_of_file(one, side, self.task, component)
            if isinstance(one, Path)
            else GivenPrompt(name, one)
            for one, side, name in ((before, "before", names[0]), (after, "after", names[1]))
        )
        check_component(component, *given)
        self._names = (given[0].name, given[1].name)
        said = dict.fromkeys((*self.task.notes, *notes, *given[0].notes, *given[1].notes))
        self.task = replace(self.task, notes=tuple(said))
        self._asked: list[str] = []
        generator = self._named["generator"]
        if logprobs is not True and logprobs < 0:
            raise UserError(f"--logprobs is {logprobs}.", _NOTHING, "Give 0 or more.")
        cast = make_cast(self._named, Sampling(temperature, top_p, max_tokens), None)
        wanted = generator.max_logprobs if logprobs is True else int(logprobs)
        if not (has_classes(view) and view.slots == 1 and generator.max_logprobs):
            wanted = 0
        if logprobs is not True and wanted:
            cast = replace(cast, generator=replace(cast.generator, logprobs=wanted))
        self.plan = AuditPlan(
            task=self.task,
            before=given[0].text.strip(),
            after=given[1].text.strip(),
            cast=cast,
            pack=load_pack("standard"),
            seed=seed,
            trial=trial,
            sections=sections,
            repeats=repeats,
            margin=margin / 100,
            fresh=self._fresh(fresh, shares, items, seed),
            logprobs=wanted,
        )
        self._spending = spending or Spending()
        self._concurrency = concurrency
        self._on_failure = on_failure
        self._prices = price_table()
        if self._spending.usd is not None:
            for role, count in self.plan.calls.by_role.items():
                if count and self._price(self._named[role].identity, Usage(1000, 1000)) is None:
                    raise UserError(
                        f"The price of {self._named[role].name} is unknown.",
                        "--max-usd cannot be held, so nothing was run.",
                        "Use --max-calls or --max-tokens.",
                    )

    def _fresh(
        self, fresh: bool, shares: Sequence[float], items: int, seed: int
    ) -> dict[str, tuple[Example, ...]]:
        """What is run anew; what the task cannot have is noted."""
        made, groups = self.task.made, dict[str, tuple[Example, ...]]()
        if items < 1:
            raise UserError(f"--items is {items}.", _NOTHING, "Give 1 or more.")
        if fresh and made is not None:
            groups["fresh"] = fresh_items(self.task, made, len(self.task.test), seed)
        elif fresh:
            groups[TEST_AGAIN] = self.task.test
        if self._curve is not None and made is not None and has_share(made, self._curve):
            for share, own in items_at(self.task, made, self._curve, shares, items, seed).items():
                groups[f"{OUTSIDE_CURVE}{share:g}"] = own
        elif self._curve is not None:
            self._asked.append(
                f"The task cannot make items at a given share of {self._curve}: its curve is re-weighted from the "
                "recorded answers, and confirms nothing."
            )
        return groups

    def _price(self, identity: str, usage: Usage) -> Decimal | None:
        model = self._opened.get(identity)
        if model is None:
            return None
        return self._prices.price(model.name, getattr(model, "base_url", ""), usage)

    @property
    def forecast(self) -> Forecast:
        """Calls at most, tokens, dollars and the smallest gain that the test split can resolve."""
        return forecast_audit(self.plan, self._price)

    @property
    def price_date(self) -> str:
        """Date of the price list."""
        return self._prices.as_of

    async def run(
        self, *, ledger: Ledger | str | Path | None = None, observer: Observer | None = None
    ) -> AuditReport:
        """Carry it out; the same again is answered from the ledger.

        Args:
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a model cannot be used as configured; the budget is too small for the sealed test.
            BudgetReached: before both prompts were read on the sealed test.
            EndpointError: nothing answers.
        """
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._run(book, observer or Quiet())
        finally:
            if own:
                book.close()

    async def _run(self, ledger: Ledger, observer: Observer) -> AuditReport:
        plan, limits = self.plan, self._spending
        expected = self.forecast
        least = main_test(plan, expected)
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
            session.budget.check(_reserve(least, limits))
        ledger.begin_run(plan.run, plan.spec)
        before = ledger.test_openings(plan.task.digest, plan.run)
        async with session:
            facts = await run_audit(plan, session, _reserve(least, limits))
            report = analyse_audit(
                facts,
                version=__version__,
                models=tuple((role, model.name) for role, model in self._played.items()),
                simulated=tuple(sorted({model.name for model in self._played.values() if model.simulated})),
                names=self._names,
                readings_before=before,
                prior=self._prior,
                curve=self._curve,
                ordinal=self._ordinal,
                asked=tuple(self._asked),
            )
            session.asker.state(Reported("", report.canonical()))
        return report

    @property
    def _played(self) -> dict[Role, Model]:
        """Models that are asked: the judge's only where the scorer asks one."""
        return {role: self._named[role] for role in self.plan.roles}


def _reserve(expected: Forecast, limits: Spending) -> Reserve:
    return Reserve(
        expected.test.total,
        expected.test_tokens if limits.tokens is not None else 0,
        expected.test_usd or Decimal(0),
    )


def _label(given: str, labels: tuple[str, ...]) -> str:
    found = next((label for label in labels if label.casefold() == given.strip().casefold()), None)
    if found is None:
        raise UserError(
            f"{given!r} is no label of the task.",
            _NOTHING,
            f"Its labels are {', '.join(labels)}." if labels else "Its answers are open: leave it out.",
        )
    return found


def _prior(prior: Mapping[str, float], labels: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for given, share in prior.items():
        if not 0 <= share <= 1:
            raise UserError(
                f"The share of {given} is {share:g}.", _NOTHING, "Give shares between 0 and 1 that sum to 1."
            )
        found[_label(given, labels)] = share
    rest = [label for label in labels if label not in found]
    total = sum(found.values())
    if total > 1 + 1e-9 or (not rest and abs(total - 1) > 1e-6):
        raise UserError(
            f"The shares of --prior sum to {total:g}.", _NOTHING, "Give shares between 0 and 1 that sum to 1."
        )
    # What is left over is shared among the labels that were not named.
    found |= {label: (1 - total) / len(rest) for label in rest}
    return {label: found[label] for label in labels}


def audit(
    task: Task | str | Path, before: str | Path, after: str | Path, *, model: str | Model, **options: Any
) -> AuditReport:
    """Audit a change of prompt: class-wise, by its gain decomposition, its sections, rules and leaks; see `Audit`.

    `ledger` and `observer` are those of `Audit.run`.

    Raises:
        UserError: it cannot be audited as asked.
        EndpointError: nothing answers; what was paid for stays in the ledger.
    """
    return asyncio.run(aaudit(task, before, after, model=model, **options))


async def aaudit(
    task: Task | str | Path, before: str | Path, after: str | Path, *, model: str | Model, **options: Any
) -> AuditReport:
    """`audit` for callers that have an event loop."""
    ledger, observer = options.pop("ledger", None), options.pop("observer", None)
    return await Audit(task, before, after, model=model, **options).run(ledger=ledger, observer=observer)
