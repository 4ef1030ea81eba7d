"""`gateway`: an OpenAI-compatible server in front of nullgrad's meter, budget and ledger, for any program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from nullgrad.api.cashier import Cashier, run_identity
from nullgrad.api.optimization import DEFAULT_LEDGER, Quiet, Spending, check_spending
from nullgrad.core.chat import Role
from nullgrad.core.foreign import Caller, Use
from nullgrad.core.foreign_budget import Allowance, parse_allowance
from nullgrad.edges.gateway.keys import read_keys, write_keys
from nullgrad.edges.gateway.server import Gateway, check_host
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.errors import NullgradError, UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.foreign import Desk
from nullgrad.run.foreign_process import environment, run_program
from nullgrad.run.foreign_tally import total
from nullgrad.version import __version__


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that serves.

    Attributes:
        base_url: what a client takes as its base URL.
        keys: a key by role.
        models: the model behind each role, as the user wrote it.
        run: identity of the run.
    """

    base_url: str
    keys: Mapping[str, str]
    models: Mapping[str, str]
    run: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What went through a gateway.

    Attributes:
        run: identity of the run.
        models: the model behind each role, as the user wrote it.
        simulated: names of those that are simulations.
        roles: what was asked, by role.
        closed: why the trial is closed, "" while its budget lasts.
        stopped: the error that ended it, None where it was told to stop.
        program: exit code of the program that was run with it, negative where a signal ended it; None without one.
    """

    run: str
    models: Mapping[str, str]
    simulated: tuple[str, ...]
    roles: Mapping[str, Use]
    closed: str
    stopped: NullgradError | None
    program: int | None = None

    @property
    def total(self) -> Use:
        """All roles together."""
        return total(self.roles.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; dollars are numbers, null where a price is unknown."""
        return {
            "nullgrad": __version__,
            "run": self.run,
            "models": dict(self.models),
            "simulated": list(self.simulated),
            "roles": {role: use_dict(use) for role, use in self.roles.items()},
            "total": use_dict(self.total),
            "closed": self.closed or None,
            "stopped": None if self.stopped is None else str(self.stopped),
            "program": self.program,
        }


def use_dict(use: Use) -> dict[str, Any]:
    """Counts as JSON values."""
    return {
        name: float(value) if isinstance(value, Decimal) else value for name, value in asdict(use).items()
    }


class GatewayServer:
    """A gateway, ready to serve; building it opens and asks nothing.

    Args:
        model: answers the role generator; a text as after `--model`, or a `Model`.
        optimizer_model: answers the role optimizer, the generator's model if None.
        critic_model, judge_model: answer their roles; None is no such role.
        base_url, endpoint_name, send_seed: of the models' endpoints.
        arm: the name under which calls are recorded.
        trial: trial number; another one means other draws.
        seed: the study's seed; likewise.
        budget: what the program may ask for, such as `2000calls`; replayed calls count, so that a program that
            starts over gets as far as one that was not disturbed.
        spending: what this command may pay for.
        concurrency: calls in flight per model at most.
        any_model: answer whatever model name a call asks for.
        host, port: where it listens; port 0 takes a free one.
        exposed: whether another address than loopback's is allowed.
        key_file: keeps the keys; None makes new ones.

    Raises:
        UserError: anything that cannot be run as asked.
    """

    def __init__(
        self,
        *,
        model: str | Model,
        optimizer_model: str | Model | None = None,
        critic_model: str | Model | None = None,
        judge_model: str | Model | None = None,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        arm: str = "program",
        trial: int = 0,
        seed: int = 0,
        budget: str | Allowance | None = None,
        spending: Spending | None = None,
        concurrency: int = 32,
        any_model: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        exposed: bool = False,
        key_file: Path | None = None,
    ) -> None:
        if concurrency < 1:
            raise UserError(f"--concurrency is {concurrency}.", "Nothing was started.", "Give 1 or more.")
        if trial < 0 or not arm or any(sign in arm for sign in "#@\n"):
            raise UserError(
                f"The calls cannot be recorded under the arm {arm!r} and the trial {trial}.",
                "Nothing was started.",
                "Give --arm a name without # and @, and --trial 0 or more.",
            )
        check_spending(spending or Spending())
        check_host(host, exposed=exposed)
        specs: dict[Role, str | Model] = {"generator": model, "optimizer": optimizer_model or model}
        if critic_model:
            specs["critic"] = critic_model
        if judge_model:
            specs["judge"] = judge_model
        self._cashier = Cashier(specs, base_url, endpoint_name, send_seed)
        self._allowance = parse_allowance(budget) if isinstance(budget, str) else budget or Allowance()
        self._spending = spending or Spending()
        if self._allowance.usd is not None:
            self._cashier.check_priced("--budget")
        if self._spending.usd is not None:
            self._cashier.check_priced("--max-usd")
        self._arm, self._trial, self._seed = arm, trial, seed
        self._concurrency = concurrency
        self._any_model = any_model
        self._host, self._port = host, port
        self._key_file = key_file
        self.run, self.spec = run_identity(
            {
                "verb": "gateway",
                "cast": {role: one.identity for role, one in self._cashier.named.items()},
                "arm": arm,
                "seed": seed,
                "design": "paired",
            }
        )

    async def serve(
        self,
        ready: Callable[[Serving], None],
        stop: asyncio.Event,
        *,
        program: Sequence[str] = (),
        aside: bool = False,
        ledger: Ledger | str | Path | None = None,
        observer: Observer | None = None,
    ) -> GatewayReport:
        """Serve until `stop` is set, the program has ended, or no further call can succeed.

        Calls in flight then arrive and are recorded.

        Args:
            ready: told once where it serves.
            stop: ends it.
            program: run with its base URL and key in the environment, and without the user's own keys; () for none.
            aside: whether what it prints goes to standard error.
            ledger: where replies are kept; None takes `.nullgrad/ledger.db` in the working directory.
            observer: told of everything.

        Raises:
            UserError: a model cannot be used as configured, or the port is taken.
        """
        keys = read_keys(self._key_file) if self._key_file else {}
        own = not isinstance(ledger, Ledger)
        book = ledger if isinstance(ledger, Ledger) else open_ledger(Path(ledger or DEFAULT_LEDGER))
        try:
            return await self._serve(book, observer or Quiet(), keys, ready, stop, program, aside)
        finally:
            if own:
                book.close()

    async def _serve(
        self,
        ledger: Ledger,
        observer: Observer,
        keys: Mapping[str, str],
        ready: Callable[[Serving], None],
        stop: asyncio.Event,
        program: Sequence[str],
        aside: bool,
    ) -> GatewayReport:
        cashier = self._cashier
        tally = cashier.tally(observer)
        session = cashier.session(ledger, tally, self.run, self._spending, self._concurrency)
        ledger.begin_run(self.run, self.spec)
        stopped: NullgradError | None = None
        code: int | None = None
        async with session:
            desk = Desk(session, cashier.named, tally, seed=self._seed)
            meter = desk.admit(self._arm, self._trial, self._allowance)
            gateway = Gateway(desk, any_model=self._any_model)
            issued: dict[str, str] = {
                role: gateway.issue(Caller(self._arm, self._trial, role), self.run, keys.get(role))
                for role in cashier.named
            }
            await gateway.start(self._host, self._port)
            try:
                if self._key_file is not None:
                    write_keys(self._key_file, gateway.base_url, issued)
                ready(Serving(gateway.base_url, issued, cashier.names, self.run))
                ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(stop.wait()), desk.broken]
                if program:
                    around = environment(
                        gateway.base_url, issued["generator"], key_variables(issued), secrets=True
                    )
                    ends.append(asyncio.ensure_future(run_program(program, around, aside=aside)))
                code = await first_of(ends)
                stopped = desk.broken.result() if desk.broken.done() else None
            finally:
                # First what is in flight, so that who waits for it still gets it.
                await session.drain()
                await gateway.stop()
        for role in cashier.named:
            tally.of(self._arm, self._trial, role)
        use = desk.use(self._arm, self._trial)
        return GatewayReport(
            self.run,
            cashier.names,
            cashier.simulated,
            {role: use[role] for role in (*cashier.named, *use)},
            meter.closed,
            stopped,
            code,
        )


def key_variables(keys: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that give a program the key of each role, such as NULLGRAD_KEY_OPTIMIZER."""
    return {f"NULLGRAD_KEY_{role.upper()}": key for role, key in keys.items()}


async def first_of(ends: Sequence[asyncio.Future[Any]]) -> int | None:
    """Wait for the first of several ends, the third of which is a program's exit code; the others are cancelled.

    A cancelled program is waited for: it may still have to end.
    """
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop, _, *program = ends
        for one in (stop, *program):
            one.cancel()
        await asyncio.gather(stop, *program, return_exceptions=True)
    if not program or program[0].cancelled():
        return None
    code: int = program[0].result()
    return code
