"""Adaptive concurrency for one model: additive increase, halved on overload, pauses as the endpoint asks."""

from __future__ import annotations

REST, LONGEST_REST = 0.05, 0.5
"""Pauses between calls, in seconds, where even one in flight is too many and the endpoint does not say how long to wait."""


class Limiter:
    """How many calls may be in flight.

    Attributes:
        limit: the present limit, 1 to `ceiling`.
        resume_at: loop time before which no call starts, in seconds.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = max(1, ceiling)
        self.limit = float(self.ceiling)
        self.in_flight = 0
        self.resume_at = 0.0
        self._halved_at = -1e9
        self._rest = 0.0

    def free(self, now: float) -> bool:
        """Whether another call may start at loop time `now`."""
        return self.in_flight < int(self.limit) and now >= self.resume_at

    def succeeded(self) -> None:
        """One more in flight for every `limit` successes."""
        self._rest /= 2
        if self.limit < self.ceiling:
            self.limit = min(float(self.ceiling), self.limit + 1.0 / self.limit)

    def overloaded(self, now: float, started: float, retry_after: float | None) -> bool:
        """Halve, at most once for the calls of one window (those sent before the last halving are its echo).

        Returns:
            Whether the limit was halved.
        """
        if retry_after is not None:
            self.resume_at = max(self.resume_at, now + retry_after)
        if started <= self._halved_at:
            return False
        self._halved_at = now
        if self.limit < 2 and retry_after is None:
            self._rest = min(LONGEST_REST, max(REST, self._rest * 2))
            self.resume_at = max(self.resume_at, now + self._rest)
        self.limit = max(1.0, self.limit / 2)
        return True
