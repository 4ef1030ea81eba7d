"""A comparison of optimizers: what is declared before anything runs, and what one trial of one of them came to.

An entry is an optimizer under one setting of its label channels: a third-party package, or an arm of nullgrad's own.
Under label controls it is another entry of the same optimizer, which never competes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nullgrad.core.arms import Labels
from nullgrad.core.candidate import Candidate
from nullgrad.core.foreign import Ending, Use
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.foreign_job import Feedback


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a comparison.

    Attributes:
        name: canonical: `gepa/correct/correct`, or an arm of nullgrad's own in its canonical form.
        optimizer: `gepa`; of an own arm its canonical name with correct labels, so that its controls group with it.
        feedback: labels that reach the text that it reflects on; `correct` also where an own arm has no such channel.
        selection: labels by which its candidates are scored; `correct` likewise.
        own: whether it is an arm of nullgrad's own.
    """

    name: str
    optimizer: str
    feedback: Feedback = "correct"
    selection: Labels = "correct"
    own: bool = False

    @property
    def control(self) -> bool:
        """Whether its labels are tampered with, so that it explains and does not compete."""
        return (self.feedback, self.selection) != ("correct", "correct")

    def scope(self, trial: int) -> str:
        """Scope of a trial's events."""
        return f"{self.name}#{trial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTrial:
    """What one trial of one entry came to.

    Attributes:
        entry: of which.
        trial: number, from 0; the trials of one number are a block under shared draws.
        ended: how it ended.
        candidate: its result, None where there is none.
        claimed: share, the optimizer's own score of its result on its selection set, None where it claims none.
        claimed_seed: share, its own score of the seed prompt there, None where it never scored it.
        test: sealed test by example in the split's order, None where a call failed; () without a result.
        answers: answers as read on test, None where nothing could be read; () without a result.
        validation: scores of the result on validation by the right targets where they are at hand, else ().
        use: what it asked, by role, as if nothing were shared; readings of the test are not in it.
        seconds: wall time of the trial, None where it was folded from the ledger without a time.
        version: of the optimizer's package, "" for an own arm.
        counters: the library's own counts, by their names.
        failures: calls that got an error.
        reason: why there is no result, or why it ended early; "" for a plain return.
    """

    entry: Entry
    trial: int
    ended: Ending
    candidate: Candidate | None
    claimed: float | None = None
    claimed_seed: float | None = None
    test: tuple[float | None, ...] = ()
    answers: tuple[str | None, ...] = ()
    validation: tuple[float | None, ...] = ()
    use: Mapping[str, Use]
    seconds: float | None = None
    version: str = ""
    counters: Mapping[str, float]
    failures: int = 0
    reason: str = ""

    @property
    def swallowed(self) -> bool:
        """Whether a library returned although calls had failed: its scores may hold failures as zeros.

        To nullgrad's own arms a failed call is missing.
        """
        return not self.entry.own and self.ended == "returned" and self.failures > 0


@dataclass(frozen=True, slots=True)
class SeedScores:
    """The seed prompt on test with the draws of one block.

    Attributes:
        trial: number of the block.
        test: scores by example in the split's order, None where a call failed.
        answers: as read, None where nothing could be read.
        validation: scores on validation where they are at hand, else ().
    """

    trial: int
    test: tuple[float | None, ...]
    answers: tuple[str | None, ...]
    validation: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is declared before anything runs.

    Attributes:
        task: its name.
        entries: in the order in which they are shown.
        trials: complete optimizations of each entry, 1 or more.
        budget: what each trial may ask for.
        seed: the study's seed.
        alpha: one-sided level of a family of contrasts, as in studies.
        margin: half-width of equality in share (0.02 is two points), None where nothing may be called equal.
    """

    task: str
    entries: tuple[Entry, ...]
    trials: int
    budget: Allowance
    seed: int = 0
    alpha: float = 0.05
    margin: float | None = None

    @property
    def competing(self) -> tuple[Entry, ...]:
        """Entries with correct labels."""
        return tuple(one for one in self.entries if not one.control)

    def of(self, optimizer: str) -> tuple[Entry, ...]:
        """All entries of one optimizer."""
        return tuple(one for one in self.entries if one.optimizer == optimizer)
