"""`conformance`: every installed adapter through the checks, offline, behind the same gateway that users' runs pass."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from nullgrad.analysis.calibration.conformance import ConformanceReport, ConformanceRow
from nullgrad.analysis.stats.intervals import paired_proportions
from nullgrad.api.calibrate_foreign import IN_FLIGHT, claimed_gain, rights
from nullgrad.api.foreign import ForeignOptimization
from nullgrad.core import conformance as judge
from nullgrad.core.conformance import CHECKS, Finding, Flow, Gains, Resumed, Seen
from nullgrad.core.draws import DrawPath
from nullgrad.core.foreign_job import parse_foreign_arm
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.edges.memory import MemoryLedger
from nullgrad.edges.optimizers import KNOWN, Adapter, adapter_of, interpreter
from nullgrad.edges.optimizers.installed import installed_version
from nullgrad.edges.probe import LABELS, ProbeModel, Watching, probe_task
from nullgrad.edges.sim import SimModel, World, parse_world, sim_task
from nullgrad.errors import EndpointError, UserError
from nullgrad.version import __version__

SIZES = {"train": 12, "validation": 24}
"""Rows that an optimizer is given."""

FRESH = 400
"""Fresh examples of each run in a world."""

CALLS = 640
"""Calls that a run may make."""

RUNS = 3
"""Runs in each world, each with a task and draws of its own."""

LEVEL = 0.99
"""Of the intervals: a sound adapter must not fail one time in twenty."""

NULL = "sim:null?rho=0"
PLANTED = {
    True: "sim:gradient?effect=3&find=1&rho=0",
    False: "sim:discovery?effect=3&find=1&rho=0",
}
"""By whether feedback reaches the optimizer: where labels lead to rules, and where luck alone does."""

ARMS = ("correct/correct", "wrong/correct", "none/correct", "correct/wrong")
"""Label channels of the four runs that follow the labels."""

ROLES = ("generator", "optimizer")

FAILING = 0.03
"""Share of the requests that can never be answered."""

Progress = Callable[[str, str], None]
"""Told (optimizer, what is being done)."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One adapter with what its runs have in common.

    Attributes:
        adapter: the adapter.
        python: the interpreter.
        folder: for a ledger on disk.
        seed: of the runs.
        seen: every run so far.
    """

    adapter: Adapter
    python: str
    folder: Path
    seed: int
    seen: list[Seen] = field(default_factory=list)


def conformance(
    optimizers: Sequence[str] = (),
    *,
    python: str | None = None,
    checks: Sequence[str] = tuple(CHECKS),
    seed: int = 0,
    progress: Progress | None = None,
) -> ConformanceReport:
    """Run adapters through the checks; the same table for the same packages and seed.

    Args:
        optimizers: names of adapters, all that nullgrad knows if empty.
        python: the interpreter that has the packages; None takes NULLGRAD_OPTIMIZERS_PYTHON, else our own.
        checks: which.
        seed: of the runs.
        progress: told what is being done.

    Raises:
        UserError: there is no such adapter, check or interpreter.
    """
    adapters = [adapter_of(name) for name in dict.fromkeys(optimizers)] or list(KNOWN.values())
    unknown = [one for one in checks if one not in CHECKS]
    if unknown:
        raise UserError(
            f"There is no check {unknown[0]!r}.", "Nothing was run.", f"Known: {', '.join(CHECKS)}."
        )
    named = python or interpreter()
    told = progress or (lambda optimizer, what: None)
    wanted = tuple(check for check in CHECKS if check in checks)
    rows = tuple(_row(adapter, named, wanted, seed, told) for adapter in adapters)
    worlds = (NULL, *PLANTED.values(), "sim:probe")
    return ConformanceReport(rows, wanted, worlds, __version__, seed)


def _row(adapter: Adapter, python: str, checks: Sequence[str], seed: int, told: Progress) -> ConformanceRow:
    version = installed_version(adapter, python)
    row = ConformanceRow(adapter.name, adapter.package, version, adapter.channels)
    if not version:
        return replace(row, problem="not installed", install=adapter.install(python))
    with tempfile.TemporaryDirectory(prefix="nullgrad-") as folder:
        bench = Bench(adapter, python, Path(folder), seed)
        try:
            return replace(
                row, findings=asyncio.run(_checked(bench, checks, lambda what: told(adapter.name, what)))
            )
        except UserError as error:
            return replace(row, problem=str(error))


async def _checked(bench: Bench, checks: Sequence[str], told: Callable[[str], None]) -> tuple[Finding, ...]:
    """The checks in an order in which later ones can use the runs of earlier ones; findings in the order of `CHECKS`."""
    found: list[Finding] = []
    adapter = bench.adapter
    world = PLANTED["feedback" in adapter.channels]
    first: Seen | None = None
    if "labels" in checks:
        told("labels")
        flows = [await _flow(bench, arm) for arm in ARMS]
        found.append(judge.judge_labels(adapter.channels, LABELS, flows))
    if "null" in checks:
        told("null")
        found.append(judge.judge_null((await _gains(bench, NULL))[0]))
    if "planted" in checks:
        told("planted")
        gains, first = await _gains(bench, world)
        found.append(judge.judge_planted(gains, parse_world(world).name))
    if "failures" in checks:
        told("failures")
        some = await _failing(bench, FAILING)
        found.append(judge.judge_failures(some, await _failing(bench, 1.0)))
    if first is None and {"seed", "budget", "resume"} & set(checks):
        first = await _run(bench, world, 0)
    if "seed" in checks and first is not None:
        told("seed")
        again = await _run(bench, world, 0)
        found.append(judge.judge_seed(first.result, again.result, adapter.deviation))
    if "budget" in checks and first is not None:
        told("budget")
        found.append(judge.judge_budget(await _half(bench, world, first), adapter.hook))
    if "resume" in checks and first is not None:
        told("resume")
        found.append(judge.judge_resume(await _killed(bench, world, first), adapter.deviation))
    if not bench.seen and {"test", "counts"} & set(checks):
        await _run(bench, world, 0)
    if "test" in checks:
        found.append(judge.judge_test(bench.seen))
    if "counts" in checks:
        found.append(judge.judge_counts(bench.seen))
    order = list(CHECKS)
    return tuple(sorted(found, key=lambda one: order.index(one.check)))


async def _watched(
    bench: Bench,
    task: Task,
    arm: str,
    models: Sequence[Watching],
    *,
    marks: Sequence[str],
    budget: str = f"{CALLS}calls",
    trial: int = 0,
    ledger: Path | None = None,
) -> Seen:
    """One run of the adapter, on a ledger of its own if none is given."""
    generator, optimizer = models
    done = ForeignOptimization(
        task,
        f"{bench.adapter.name}/{arm}",
        model=generator,
        optimizer_model=optimizer,
        budget=budget,
        trial=trial,
        seed=bench.seed,
        concurrency=IN_FLIGHT,
        python=bench.python,
    )
    result = await done.run(ledger=ledger or MemoryLedger())
    seen = Seen(
        result,
        {"generator": len(generator.asked), "optimizer": len(optimizer.asked)},
        generator.failed + optimizer.failed,
        generator.holding(marks) + optimizer.holding(marks),
    )
    bench.seen.append(seen)
    return seen


async def _flow(bench: Bench, arm: str) -> Flow:
    """Where the labels of the probe's task go in one arm."""
    task, scorer = probe_task({**SIZES, "test": 24})
    models = [Watching(ProbeModel(role), role) for role in ROLES]
    await _watched(bench, task, arm, models, marks=[one.input for one in task.test])
    by_role = dict(zip(ROLES, models, strict=True))
    known = (LABELS.train, LABELS.validation, LABELS.other)
    return Flow(
        parse_foreign_arm(f"{bench.adapter.name}/{arm}"),
        {role: len(model.asked) for role, model in by_role.items()},
        {role: model.holding(known) for role, model in by_role.items()},
        frozenset(label for label in known if any(model.holding([label]) for model in models)),
        frozenset(scorer.targets),
    )


def _in_world(spec: str, number: int, seed: int) -> tuple[World, Task]:
    """A world with the task of one run."""
    world = parse_world(f"{spec}{'&' if '?' in spec else '?'}seed={seed * 1000 + number}")
    task = sim_task(world.task_name, split={**SIZES, "test": FRESH, "seed": seed * 1000 + number})
    return world, task


def _models(spec: str, number: int, seed: int, on_call: Callable[[], None] | None = None) -> list[Watching]:
    """The models of one run, generator and optimizer."""
    world, _ = _in_world(spec, number, seed)
    return [Watching(SimModel(world), role, on_call) for role in ROLES]


async def _run(
    bench: Bench,
    spec: str,
    number: int,
    budget: str = f"{CALLS}calls",
    on_call: Callable[[], None] | None = None,
    ledger: Path | None = None,
) -> Seen:
    """One run in a world, with right labels in both channels."""
    _, task = _in_world(spec, number, bench.seed)
    models = _models(spec, number, bench.seed, on_call)
    marks = [one.input for one in task.test]
    return await _watched(
        bench, task, "correct/correct", models, marks=marks, budget=budget, trial=number, ledger=ledger
    )


async def _gains(bench: Bench, spec: str) -> tuple[Gains, Seen]:
    """Gains of several runs in a world, by the library's own scores and on examples that no run has seen; the first run."""
    runs: list[Seen] = []
    claims: list[float] = []
    gained = lost = 0
    for number in range(RUNS):
        world, task = _in_world(spec, number, bench.seed)
        runs.append(await _run(bench, spec, number))
        result = runs[-1].result
        if result.candidate is None:
            continue
        draws = DrawPath(bench.seed, number)
        claims.append(claimed_gain(world, task, result, draws))
        fresh = [draws.forward("test", one.id) for one in task.test]
        prompts = (task.view.seed_prompt, result.candidate.prompt)
        before, after = (rights(world, task, prompt, task.test, fresh) for prompt in prompts)
        gained += sum(one > two for one, two in zip(after, before, strict=True))
        lost += sum(one < two for one, two in zip(after, before, strict=True))
    if not claims:
        return Gains(RUNS, RUNS, 0.0, 0.0, 0.0, 0.0), runs[0]
    n = FRESH * len(claims)
    interval = paired_proportions(gained, lost, n, LEVEL)
    lacking = RUNS - len(claims)
    gains = Gains(RUNS, lacking, fmean(claims), (gained - lost) / n, interval.low, interval.high)
    return gains, runs[0]


async def _failing(bench: Bench, share: float) -> Seen | None:
    """A run of which a share of the requests can never be answered; None where it was suspended."""
    try:
        return await _run(bench, f"{NULL}&fail_for_good={share:g}", 0)
    except EndpointError:
        return None


async def _half(bench: Bench, spec: str, whole: Seen) -> Seen:
    """The same run with half of its tokens, of which the adapter is not told: libraries that plan by calls cannot."""
    tokens = sum(use.prompt_tokens + use.completion_tokens for use in whole.result.use.values())
    return await _run(bench, spec, 0, f"{CALLS}calls,{tokens // 2}tokens")


async def _killed(bench: Bench, spec: str, whole: Seen) -> Resumed:
    """The same run, its process killed half-way, and run again on its ledger."""
    ledger = bench.folder / "killed.db"
    left = sum(whole.served.values()) // 2
    reached = asyncio.Event()

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            reached.set()

    killed = asyncio.create_task(_run(bench, spec, 0, on_call=count, ledger=ledger))
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait({killed, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (killed, waiting):
        task.cancel()
    await asyncio.gather(killed, waiting, return_exceptions=True)
    with open_ledger(ledger, read_only=True) as book:
        kept = {row.identity for row in book.replies()}
    _, task_ = _in_world(spec, 0, bench.seed)
    models = _models(spec, 0, bench.seed)
    marks = [one.input for one in task_.test]
    again = await _watched(bench, task_, "correct/correct", models, marks=marks, ledger=ledger)
    asked = [request.identity() for model in models for request in model.asked]
    return Resumed(
        len(kept),
        sum(one in kept for one in asked),
        sum(again.served.values()),
        judge.same_result(whole.result, again.result),
    )
