"""Adapters by checks: what `conformance` prints, in one frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nullgrad.analysis.written import Written
from nullgrad.core.conformance import CHECKS, Finding, Word


@dataclass(frozen=True, slots=True)
class ConformanceRow:
    """One adapter.

    Attributes:
        optimizer: its name.
        package: on the package index.
        version: that was run, "" where it is missing.
        channels: label channels that reach it.
        findings: in the order of `CHECKS`; () where nothing could be run.
        problem: why nothing could be run, "" otherwise.
        install: the command that installs the package, "" where it is there.
    """

    optimizer: str
    package: str
    version: str
    channels: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    install: str = ""

    @property
    def failed(self) -> bool:
        """Whether a check failed, or the package is there and cannot be run; a missing package is no failure."""
        return any(one.word == "fail" for one in self.findings) or bool(self.problem and self.version)

    def word(self, check: str) -> Word | None:
        """The judgement of a check, None where it was not made."""
        return next((one.word for one in self.findings if one.check == check), None)


@dataclass(frozen=True, slots=True)
class ConformanceReport(Written):
    """Adapters by checks.

    Attributes:
        rows: by adapter.
        checks: that were made.
        simulated: the worlds that answered.
        version: of nullgrad.
        seed: of the runs.
    """

    rows: tuple[ConformanceRow, ...]
    checks: tuple[str, ...]
    simulated: tuple[str, ...]
    version: str
    seed: int = 0

    @property
    def failed(self) -> bool:
        """Whether any adapter failed a check."""
        return any(row.failed for row in self.rows)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables: an adapter a row, and a finding a row."""
        adapters = [
            {
                "optimizer": row.optimizer,
                "package": row.package,
                "version": row.version or None,
                "channels": ", ".join(row.channels),
                **{check: row.word(check) for check in self.checks},
                "problem": row.problem or None,
                "install": row.install or None,
            }
            for row in self.rows
        ]
        findings = [
            {"optimizer": row.optimizer, "version": row.version, **asdict(one)}
            for row in self.rows
            for one in row.findings
        ]
        return {"conformance": adapters, "findings": findings}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "nullgrad": self.version,
            "simulated": list(self.simulated),
            "seed": self.seed,
            "failed": self.failed,
            "checks": {check: CHECKS[check] for check in self.checks},
            "tables": self.tables(),
        }
