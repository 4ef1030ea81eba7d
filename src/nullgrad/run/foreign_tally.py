"""Counts of what foreign programs ask, by arm, trial and role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from nullgrad.core.chat import Failed, Reply, Role, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import Event
from nullgrad.core.foreign import Use
from nullgrad.ports import Observer
from nullgrad.run.ask import Price


class Tally:
    """An observer that counts by caller and passes everything on.

    Attributes:
        use: by (arm, trial, role).
        testing: what readings of the sealed test asked, of all arms; they count for no trial.
    """

    def __init__(self, observer: Observer, prices: Mapping[Role, str], price: Price | None) -> None:
        self._observer = observer
        self._models = prices
        self._price = price
        self.use: dict[tuple[str, int, Role], Use] = {}
        self.testing = Use()

    def of(self, arm: str, trial: int, role: Role) -> Use:
        """The counts of one caller, made on first use."""
        return self.use.setdefault((arm, trial, role), Use())

    def on_event(self, event: Event) -> None:
        """Pass it on."""
        self._observer.on_event(event)

    def on_answer(self, about: About, answer: Reply | Failed, source: str) -> None:
        """Count it."""
        use = self.testing if about.split == "test" else self.of(about.arm, about.trial, about.role)
        use.calls += 1
        if isinstance(answer, Failed):
            use.failed += 1
        else:
            setattr(use, source, getattr(use, source) + 1)
            self._book(use, about.role, answer.usage, paid=source == "paid")
        self._observer.on_answer(about, answer, source)

    def _book(self, use: Use, role: Role, usage: Usage, *, paid: bool) -> None:
        use.prompt_tokens += usage.prompt or 0
        use.completion_tokens += usage.completion or 0
        use.uncounted += usage.prompt is None or usage.completion is None
        usd = self.dollars(role, usage)
        use.usd = None if use.usd is None or usd is None else use.usd + usd
        if paid:
            use.paid_usd = None if use.paid_usd is None or usd is None else use.paid_usd + usd

    def dollars(self, role: Role, usage: Usage) -> Decimal | None:
        """What a reply cost, None where the price is unknown."""
        model = self._models.get(role)
        return None if self._price is None or model is None else self._price(model, usage)

    def on_notice(self, text: str) -> None:
        """Pass it on."""
        self._observer.on_notice(text)


def total(uses: Iterable[Use]) -> Use:
    """All of them together."""
    result = Use()
    for one in uses:
        result = result + one
    return result
