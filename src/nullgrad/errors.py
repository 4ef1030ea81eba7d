"""Every error that nullgrad raises on purpose.

A message has three parts: what happened, what follows from it, and the ways out. Exit codes are the
command line's contract: 2 the user's mistake, 3 the endpoint's failure, 4 a budget reached.
"""

from __future__ import annotations


class NullgradError(Exception):
    """Root of the tree.

    Attributes:
        what: what happened, one sentence.
        consequence: what follows from it ("" where it is plain).
        ways_out: what the user can do ("" where there is nothing).
    """

    exit_code: int = 2

    def __init__(self, what: str, consequence: str = "", ways_out: str = "") -> None:
        self.what = what
        self.consequence = consequence
        self.ways_out = ways_out
        super().__init__(what)

    def __str__(self) -> str:
        """All three parts on one line, so that a log keeps them together."""
        parts = (self.what, self.consequence, self.ways_out)
        return " ".join(" ".join(part.split()) for part in parts if part)


class UserError(NullgradError):
    """The user's input cannot be used: a file, an option, a key, an arm without meaning."""


class LedgerError(UserError):
    """The ledger cannot be opened, written or trusted."""


class EndpointError(NullgradError):
    """The endpoint does not answer; the run is suspended and the same command resumes it."""

    exit_code = 3


class BudgetReached(NullgradError):
    """A budget given by the user is spent; what is recorded stays, the same command resumes."""

    exit_code = 4


class CallError(NullgradError):
    """One call to a model failed.

    Attributes:
        kind: a stable word: `rate-limit`, `overloaded`, `server`, `timeout`, `connection`, `malformed`, `rejected`.
        status: the HTTP status, None where there was none.
        retryable: whether the same request may succeed later.
        retry_after: seconds that the endpoint asks to wait, None if it did not say.
        overloaded: whether fewer calls in flight would help (429, 503, 529).
    """

    exit_code = 3

    def __init__(
        self,
        kind: str,
        what: str,
        *,
        status: int | None = None,
        retryable: bool,
        retry_after: float | None = None,
        overloaded: bool = False,
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.overloaded = overloaded
