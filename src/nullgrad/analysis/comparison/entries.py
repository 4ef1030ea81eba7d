"""What each entry of a comparison came to: gains sealed and claimed, cost, length, and how its trials ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nullgrad.analysis.comparison.rows import DIFFERENCE, SHARE, CompareRows, Mean, claimed_gain, mean_of
from nullgrad.analysis.stats.estimate import Estimate, NotEstimable
from nullgrad.core.compare import ComparedTrial, Entry
from nullgrad.core.foreign import Use


@dataclass(frozen=True, slots=True)
class Cost:
    """What the trials of an entry asked under one role, as if nothing were shared; readings of the test are not in it.

    Attributes:
        role: under which; "all" for the sum.
        trials: of which it is the sum.
        use: total over these trials.
    """

    role: str
    trials: int
    use: Use


@dataclass(frozen=True, slots=True)
class Length:
    """Mean length of the prompts that the trials ended with; the seed prompt's beside it.

    Attributes:
        characters, words: over trials with a result.
        seed_characters, seed_words: of the seed prompt.
    """

    characters: Mean
    words: Mean
    seed_characters: int
    seed_words: int

    @property
    def growth(self) -> Estimate:
        """How many times as long as the seed prompt, in words."""
        mean = self.words.mean
        if isinstance(mean, NotEstimable):
            return mean
        return mean / self.seed_words if self.seed_words else NotEstimable("the seed prompt is empty")


@dataclass(frozen=True, slots=True)
class EntryResult:
    """One entry; scores and gains as shares, over complete blocks unless said otherwise.

    Attributes:
        entry: which.
        blocks: complete blocks.
        ended: trials that ended, those of incomplete blocks included; so of the counts below.
        with_result: trials that left a prompt.
        by_budget: trials that the budget ended; their best prompt so far is their result.
        failed: trials without a result.
        unchanged: trials that ended with the seed prompt.
        score: mean test score, that of the seed prompt for failed trials.
        sealed: mean gain on the sealed test, 0 for failed trials. The headline.
        sealed_with_result: the same over trials with a result alone, which are a selection where some failed.
        claimed: gain that the optimizer itself states, over trials of which it does.
        phantom: claimed − sealed within a trial, over the same trials: what of the claim is not there on fresh examples.
        cost: by role, and their sum last; of all trials that ended.
        seconds: wall time of a trial, over all trials of which it was measured.
        length: of the prompts.
        steps: steps of an own arm within the budget, None of a third-party optimizer.
        failures: calls that got an error.
        swallowed: trials that returned as if nothing had failed, although calls had.
        versions: of the package.
        counters: means over trials of what the library itself counts, by its names.
    """

    entry: Entry
    blocks: int
    ended: int
    with_result: int
    by_budget: int
    failed: int
    unchanged: int
    score: Mean
    sealed: Mean
    sealed_with_result: Mean
    claimed: Mean
    phantom: Mean
    cost: tuple[Cost, ...]
    seconds: Mean
    length: Length
    steps: int | None
    failures: int
    swallowed: int
    versions: tuple[str, ...]
    counters: tuple[tuple[str, Mean], ...]

    @property
    def total(self) -> Cost:
        """Over all roles."""
        return self.cost[-1]


def entry_results(data: CompareRows, seed_prompt: str, steps: Mapping[str, int]) -> tuple[EntryResult, ...]:
    """Every entry, in the order declared.

    Args:
        data: the trials.
        seed_prompt: the task's.
        steps: of own arms, by the name of the entry.
    """
    return tuple(_entry(data, one, seed_prompt, steps.get(one.name)) for one in data.comparison.entries)


def _entry(data: CompareRows, entry: Entry, seed_prompt: str, steps: int | None) -> EntryResult:
    every, own = data.of_entry(entry), data.in_blocks(entry)
    results = [one for one in own if one.test]
    no_block = "no block is complete"
    return EntryResult(
        entry,
        len(data.blocks),
        len(every),
        sum(bool(one.test) for one in every),
        sum(one.ended == "budget" for one in every),
        sum(not one.test for one in every),
        sum(_prompt(one) == seed_prompt for one in every),
        mean_of(_known(own, data.score), no_block, SHARE),
        mean_of(_known(own, data.gain), no_block, DIFFERENCE),
        mean_of(_known(results, data.gain), "no trial has a result", DIFFERENCE),
        mean_of(_known(results, claimed_gain), _unclaimed(results), DIFFERENCE),
        _phantom(data, entry, results),
        _costs(every),
        mean_of([one.seconds for one in every if one.seconds is not None], "it was not measured"),
        _length(every, seed_prompt),
        steps,
        sum(one.failures for one in every),
        sum(one.swallowed for one in every),
        tuple(sorted({one.version for one in every if one.version})),
        _counters(every),
    )


def _known(trials: Sequence[ComparedTrial], value: Callable[[ComparedTrial], float | None]) -> list[float]:
    return [one for one in map(value, trials) if one is not None]


def _prompt(trial: ComparedTrial) -> str | None:
    return None if trial.candidate is None else trial.candidate.prompt


def _unclaimed(results: Sequence[ComparedTrial]) -> str:
    if not results:
        return "no trial has a result"
    if all(one.claimed is None for one in results):
        return "it states no score of its own"
    return "it never scored the seed prompt, so that its score is no gain"


def _phantom(data: CompareRows, entry: Entry, results: Sequence[ComparedTrial]) -> Mean:
    if entry.selection != "correct":
        # A claim on wrong labels is of another quantity than a gain on the right ones.
        return mean_of([], "its claims are on labels that are not the right ones")
    parts = [
        claimed - sealed
        for one in results
        if (claimed := claimed_gain(one)) is not None and (sealed := data.gain(one)) is not None
    ]
    return mean_of(parts, _unclaimed(results))


def _costs(trials: Sequence[ComparedTrial]) -> tuple[Cost, ...]:
    roles = sorted({role for one in trials for role in one.use})
    by_role = [
        Cost(role, len(trials), sum((one.use[role] for one in trials if role in one.use), Use()))
        for role in roles
    ]
    return (*by_role, Cost("all", len(trials), sum((one.use for one in by_role), Use())))


def _length(trials: Sequence[ComparedTrial], seed_prompt: str) -> Length:
    prompts = [prompt for one in trials if one.test and (prompt := _prompt(one)) is not None]
    none = "no trial has a result"
    return Length(
        mean_of([float(len(one)) for one in prompts], none),
        mean_of([float(len(one.split())) for one in prompts], none),
        len(seed_prompt),
        len(seed_prompt.split()),
    )


def _counters(trials: Sequence[ComparedTrial]) -> tuple[tuple[str, Mean], ...]:
    names = dict.fromkeys(name for one in trials for name in one.counters)
    return tuple(
        (name, mean_of([one.counters[name] for one in trials if name in one.counters])) for name in names
    )
