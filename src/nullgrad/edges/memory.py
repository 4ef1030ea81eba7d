"""A ledger that is gone with its process: for runs that cost nothing and that nobody resumes."""

from __future__ import annotations

from collections.abc import Sequence

from nullgrad.core.chat import Failed, Reply
from nullgrad.core.events import Event
from nullgrad.ports import Record


class MemoryLedger:
    """Replies by identity; events are dropped."""

    def __init__(self) -> None:
        self._answers: dict[str, Reply | Failed] = {}

    def find(self, identities: Sequence[str]) -> dict[str, Reply | Failed]:
        """What is known of these requests."""
        return {one: self._answers[one] for one in identities if one in self._answers}

    def append(
        self, records: Sequence[Record], events: Sequence[tuple[str, Event]], *, wait: bool = True
    ) -> int:
        """Keep replies; what is already there is left as it is."""
        before = len(self._answers)
        for record in records:
            self._answers.setdefault(record.identity, record.answer)
        return len(self._answers) - before

    def begin_run(self, run: str, spec: str) -> None:
        """Nothing."""

    def test_openings(self, task: str, run: str) -> int:
        """None."""
        return 0

    def close(self) -> None:
        """Nothing."""
