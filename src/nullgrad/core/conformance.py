"""Whether an adapter does what its row says: pure judgements on what was observed of its runs.

Every check takes observations, which whoever ran the optimizer made on the models' side and not from what the library
says of itself, and gives one finding: passed, failed, a named deviation, or that it does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nullgrad.core.foreign import ForeignResult, best_claim
from nullgrad.core.foreign_job import ForeignArm

Word = Literal["pass", "fail", "deviation", "does not apply"]

CHECKS: Mapping[str, str] = {
    "labels": "labels reach the text as the arm says, and no others",
    "null": "no gain on fresh data where no prompt has any effect",
    "planted": "a planted effect is found",
    "test": "no test row is in any request",
    "counts": "calls counted at the models are those counted at the gateway",
    "failures": "calls that fail make the run fail, or are counted",
    "seed": "the same seed gives the same result",
    "budget": "a spent budget ends it, with the best so far or nothing",
    "resume": "started over after a kill, it pays nothing twice",
}
"""The checks by name, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Attributes:
        check: one of `CHECKS`.
        word: the judgement.
        why: what it rests on, one sentence.
    """

    check: str
    word: Word
    why: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Targets that tell where a label came from.

    Attributes:
        train: the right target of every training row.
        validation: of every validation row.
        other: of none; in wrong arms any target but the row's own stands.
    """

    train: str
    validation: str
    other: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One run from the models' side.

    Attributes:
        result: what the run came to.
        served: calls that arrived at the models, by role.
        failed: of these, calls that the models failed.
        tested: requests that hold an input of the test split.
    """

    result: ForeignResult
    served: Mapping[str, int]
    failed: int
    tested: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Where labels went in one arm.

    Attributes:
        arm: the arm.
        asked: requests by role.
        holding: requests that hold any label by role.
        told: labels that stand in requests, of any role.
        targets: labels by which outputs were scored.
    """

    arm: ForeignArm
    asked: Mapping[str, int]
    holding: Mapping[str, int]
    told: frozenset[str]
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gains:
    """Gains over the seed prompt of several runs; shares.

    Attributes:
        runs: how many.
        lost: runs without a result.
        claimed: mean by the library's own scores.
        fresh: mean on fresh examples.
        low, high: of the interval of `fresh`.
    """

    runs: int
    lost: int
    claimed: float
    fresh: float
    low: float
    high: float

    @property
    def said(self) -> str:
        """In points."""
        return (
            f"claims {100 * self.claimed:+.1f} points, fresh data {100 * self.fresh:+.1f} "
            f"[{100 * self.low:+.1f}, {100 * self.high:+.1f}] over {self.runs} runs"
        )


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run that was killed and run again.

    Attributes:
        kept: replies that the ledger held when it began again.
        twice: of these, how many were asked of a model again.
        paid: calls that the second run paid.
        same: whether its result is that of an undisturbed run.
    """

    kept: int
    twice: int
    paid: int
    same: bool


def judge_labels(channels: Sequence[str], own: Labels, flows: Sequence[Flow]) -> Finding:
    """Feedback labels in the text as each arm says, selection labels never, and either alone behind its scores."""
    reads = "feedback" in channels
    wrong: list[str] = []
    for flow in flows:
        wrong += [f"{flow.arm.canonical}: {one}" for one in _strayed(flow, own, reads)]
    if wrong:
        return Finding("labels", "fail", "; ".join(wrong))
    if not reads:
        asked = sum(sum(flow.asked.values()) for flow in flows)
        return Finding("labels", "does not apply", f"it shows no label: none in {asked:,} requests")
    said = ", ".join(f"{flow.arm.feedback} {_share(flow)}" for flow in flows)
    return Finding("labels", "pass", f"requests with a label, by arm: {said}")


def _share(flow: Flow) -> str:
    """In how many requests of each role there is a label."""
    shares = [f"{count:,} of {flow.asked[role]:,} ({role})" for role, count in flow.holding.items() if count]
    return " and ".join(shares) or f"0 of {sum(flow.asked.values()):,}"


def _strayed(flow: Flow, own: Labels, reads: bool) -> list[str]:
    """What is not as the arm says."""
    arm, told, found = flow.arm, flow.told, []
    if not flow.asked.get("optimizer"):
        found.append("its optimizer model was asked nothing")
    allowed: set[str] = set()
    if reads:
        allowed = {
            "correct": {own.train},
            "wrong": {own.validation, own.other},
        }.get(arm.feedback, set())
    if told - allowed:
        found.append(f"requests hold {', '.join(sorted(_name(one, own) for one in told - allowed))}")
    if allowed and not told:
        found.append("no label reached its model")
    if arm.feedback == "wrong" and own.train in flow.targets:
        found.append("training outputs were scored by right labels")
    if arm.selection == "wrong" and own.validation in flow.targets:
        found.append("candidates were scored by right labels")
    if arm.selection == "correct" and own.validation not in flow.targets:
        found.append("no candidate was scored by the selection labels")
    return found


def _name(label: str, own: Labels) -> str:
    return {own.train: "right training labels", own.validation: "labels of validation"}.get(
        label, "wrong labels"
    )


def judge_null(gains: Gains) -> Finding:
    """Nothing is gained where nothing can be."""
    if gains.lost:
        return Finding("null", "fail", f"{gains.lost} of {gains.runs} runs had no result")
    word: Word = "pass" if gains.low <= 0.0 <= gains.high else "fail"
    return Finding("null", word, gains.said)


def judge_planted(gains: Gains, world: str) -> Finding:
    """Something is gained where there is something to gain."""
    if gains.lost:
        return Finding("planted", "fail", f"{gains.lost} of {gains.runs} runs had no result")
    return Finding("planted", "pass" if gains.low > 0.0 else "fail", f"{world}: {gains.said}")


def judge_test(runs: Sequence[Seen]) -> Finding:
    """No test row is in any request of any run."""
    asked = sum(sum(one.served.values()) for one in runs)
    held = sum(one.tested for one in runs)
    if held:
        return Finding("test", "fail", f"{held} of {asked:,} requests hold a test row")
    return Finding("test", "pass", f"none in {asked:,} requests")


def judge_counts(runs: Sequence[Seen]) -> Finding:
    """What the models served is what the desk counted, role by role; the library's own counters stand beside."""
    for one in runs:
        desk = {role: use.paid + use.failed for role, use in one.result.use.items() if use.paid + use.failed}
        models = {role: count for role, count in one.served.items() if count}
        if desk != models:
            return Finding(
                "counts",
                "fail",
                f"{one.result.arm}: {_list(models)} at the models, {_list(desk)} at the gateway",
            )
    total = sum(sum(one.served.values()) for one in runs)
    told = next((one.result for one in runs if one.result.counters), None)
    beside = "it reported no counts of its own"
    if told is not None:
        calls = {role: use.calls for role, use in told.use.items() if use.calls}
        beside = f"of one run, {_list(calls)}, it says {_list(told.counters)}"
    return Finding("counts", "pass", f"{total:,} on either side; {beside}")


def _list(values: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {value:,.4g}" if value < 1e4 else f"{name} {value:,.0f}" for name, value in values.items()
    )


def judge_failures(some: Seen | None, every: Seen | None) -> Finding:
    """Failed calls are seen: by the end of the run, or in its count of failures.

    Args:
        some: a run of which a share of the calls failed for good.
        every: one in which no call succeeded.

    None is a run that was suspended, as it is to be where nothing answers.
    """
    for name, one in (("some calls fail", some), ("all calls fail", every)):
        if one is None:
            continue
        if not one.failed:
            return Finding("failures", "fail", f"{name}: no call was made to fail")
        if one.result.failures == 0:
            return Finding("failures", "fail", f"{name}: {one.failed} failures were counted nowhere")
    said = ["the run is suspended" if one is None else _ended(one.result) for one in (some, every)]
    return Finding("failures", "pass", f"some calls fail: {said[0]}; all fail: {said[1]}")


def _ended(result: ForeignResult) -> str:
    if result.ended == "failed":
        return "the run fails"
    marked = ", marked as swallowed" if result.swallowed else ""
    return f"it ended by {'its budget' if result.ended == 'budget' else 'returning'}, {result.failures} failures counted{marked}"


def judge_seed(first: ForeignResult, again: ForeignResult, deviation: str) -> Finding:
    """Two runs with the same seed, neither of which could be answered from the other's ledger.

    Args:
        first, again: the runs.
        deviation: what is known to differ, "" for nothing.
    """
    if same_result(first, again):
        return Finding("seed", "pass", f"the same prompt and score, {len(first.candidates)} candidates alike")
    if deviation:
        return Finding("seed", "deviation", deviation)
    return Finding("seed", "fail", "two runs with one seed had different results")


def same_result(first: ForeignResult, again: ForeignResult) -> bool:
    """Whether two results are equal but for what they paid."""
    return (first.ended, first.candidate, first.claimed, first.candidates) == (
        again.ended,
        again.candidate,
        again.claimed,
        again.candidates,
    )


def judge_budget(run: Seen, hook: bool) -> Finding:
    """A run whose budget was spent half-way.

    Args:
        run: the run.
        hook: whether the adapter reports candidates as they arise.
    """
    result = run.result
    if result.ended != "budget":
        return Finding(
            "budget",
            "fail",
            f"the budget was spent and the run {result.ended}: {result.reason or 'as if it were not'}",
        )
    best = best_claim(result.candidates)
    if not hook:
        word: Word = "fail" if result.candidate else "pass"
        return Finding("budget", word, "seen; without a hook a stopped run has no result")
    if best is None:
        return Finding(
            "budget", "fail" if result.candidate else "pass", "seen; nothing had been scored by then"
        )
    if result.candidate != best.candidate:
        return Finding("budget", "fail", "its result is not the best of the candidates that it had reported")
    return Finding("budget", "pass", f"seen; the best of {len(result.candidates)} candidates until then")


def judge_resume(found: Resumed, deviation: str) -> Finding:
    """Started over on the ledger of a killed run.

    Args:
        found: what happened.
        deviation: what is known to differ between runs of one seed, "" for nothing.
    """
    if not found.kept:
        return Finding("resume", "fail", "the killed run left nothing in the ledger")
    if found.twice:
        return Finding(
            "resume", "fail", f"{found.twice} of {found.kept} replies in the ledger were paid again"
        )
    paid = f"{found.kept} replies kept, {found.paid} paid after the kill, none twice"
    if found.same:
        return Finding("resume", "pass", f"{paid}; the result of an undisturbed run")
    if deviation:
        return Finding("resume", "deviation", f"{paid}; {deviation}")
    return Finding("resume", "fail", f"{paid}; but another result than that of an undisturbed run")
