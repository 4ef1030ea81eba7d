"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from nullgrad.errors import CallError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    Attributes:
        attempts: how often a call is sent at most, 1 or more.
        base: first pause in seconds.
        cap: longest pause in seconds; an endpoint's Retry-After may ask for more, up to `patience`.
        patience: longest Retry-After that is honoured, in seconds.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 20.0
    patience: float = 120.0

    def pause(self, error: CallError, attempt: int) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None to give up."""
        if not error.retryable or attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return None if error.retry_after > self.patience else error.retry_after + random.uniform(0, 0.05)
        ceiling = min(self.cap, self.base * 2.0 ** (attempt - 1))
        return ceiling * random.uniform(0.5, 1.0)
