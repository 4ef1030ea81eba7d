"""Models by role with their prices, and sessions over them, for what foreign programs ask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nullgrad.api.cast import Opener
from nullgrad.api.optimization import Spending
from nullgrad.core.chat import Role, Usage
from nullgrad.edges.gateway.model import Behind
from nullgrad.edges.models.prices import price_table
from nullgrad.errors import UserError
from nullgrad.ports import Ledger, Model, Observer
from nullgrad.run.budget import Limits
from nullgrad.run.foreign_tally import Tally
from nullgrad.run.session import Session


class Cashier:
    """Models by role with their prices, for whatever asks on behalf of a foreign program.

    Args:
        specs: the model of each role.
        base_url, endpoint_name, send_seed: as `Optimization` takes them.

    Attributes:
        named: by role.
        opened: every model by its identity.
    """

    def __init__(
        self,
        specs: Mapping[Role, str | Model],
        base_url: str | None,
        endpoint_name: str | None,
        send_seed: bool,
    ) -> None:
        opener = Opener()
        self.named = {
            role: opener.open(spec, base_url, endpoint_name, send_seed) for role, spec in specs.items()
        }
        self.opened = opener.opened
        self._prices = price_table()

    def price(self, identity: str, usage: Usage) -> Decimal | None:
        """Dollars of a usage, None where the price is unknown."""
        model = self.opened.get(identity)
        if model is None:
            return None
        return self._prices.price(model.name, getattr(model, "base_url", ""), usage)

    @property
    def names(self) -> dict[str, str]:
        """The model of each role as the user wrote it."""
        return {role: model.name for role, model in self.named.items()}

    @property
    def simulated(self) -> tuple[str, ...]:
        """Names of the models that are simulations."""
        return tuple(sorted({model.name for model in self.named.values() if model.simulated}))

    def check_priced(self, option: str) -> None:
        """Refuse a limit in dollars where a price is unknown.

        Raises:
            UserError: one is.
        """
        for model in self.opened.values():
            if self.price(model.identity, Usage(1000, 1000)) is None:
                raise UserError(
                    f"The price of {model.name} is unknown.",
                    f"{option} cannot be held, so nothing was run.",
                    "Give the budget in calls or tokens.",
                )

    def tally(self, observer: Observer) -> Tally:
        """What counts by caller."""
        return Tally(observer, {role: model.identity for role, model in self.named.items()}, self.price)

    def session(
        self, ledger: Ledger, observer: Observer, run: str, spending: Spending, concurrency: int
    ) -> Session:
        """A session over these models."""
        usd = None if spending.usd is None else Decimal(str(spending.usd))
        return Session(
            {identity: Behind(model) for identity, model in self.opened.items()},
            ledger,
            observer,
            run,
            limits=Limits(spending.calls, spending.tokens, usd),
            concurrency=concurrency,
            price=self.price,
        )


def run_identity(spec: Mapping[str, Any]) -> tuple[str, str]:
    """(identity, canonical JSON) of a run's specification."""
    text = json.dumps(spec, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16], text
