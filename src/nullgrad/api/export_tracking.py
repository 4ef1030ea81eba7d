"""A run as experiment trackers keep it: settings, figures by step, prompts, and a child for each trial."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nullgrad.api.export_comparison import tracked_comparison
from nullgrad.api.export_figures import course, gain_figures, spent, study_figures, usage
from nullgrad.api.export_prompts import generator_of, recorded_run
from nullgrad.api.run_usage import paid_replies, sharing_runs
from nullgrad.core.arms import SEED, parse_arm
from nullgrad.core.rows import mean_known
from nullgrad.core.study_facts import Key, TrialFacts, fold_trials
from nullgrad.edges.export.calls import last_stated
from nullgrad.edges.export.values import Figure, TrackedRun
from nullgrad.errors import LedgerError, UserError

Notice = Callable[[str], None]

OPTIMIZE_PARAMS = (
    "task",
    "arm",
    "steps",
    "batch_size",
    "trials",
    "objective",
    "controls",
    "seed",
    "pack",
    "constrained",
)
STUDY_PARAMS = ("study", "preset", "design", "alpha", "steps", "batch_size", "seed", "blocks")


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the ledger adds to a result."""

    begun: str
    ended: str
    trials: Mapping[Key, TrialFacts]
    figures: tuple[Figure, ...]
    shared_with: tuple[str, ...]


def tracked_run(report: Mapping[str, Any], ledger: Path, on_notice: Notice) -> TrackedRun:
    """A run with its trials as children: those of a study, a comparison, and of an optimization that made several.

    Args:
        report: its result; without its ledger it has no figures by step.
        ledger: where it is kept.
        on_notice: told what is missing.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if "comparison" in report:
        return tracked_comparison(
            report, _tags(report), _note(report, ""), *_times(report, ledger, on_notice)
        )
    recorded = _recorded(report, ledger, on_notice)
    run = _of_study(report, recorded) if "tables" in report else _of_optimization(report, recorded)
    if recorded is None:
        return replace(run, figures=(*run.figures, *spent(report)))
    if recorded.shared_with:
        on_notice(
            f"The ledger holds other runs of the same models under the same arms ({', '.join(recorded.shared_with)}): calls and "
            "tokens count theirs, too."
        )
    return replace(
        run,
        figures=(*run.figures, *recorded.figures),
        tags={
            **run.tags,
            **(
                {"nullgrad.usage_shared_with": " ".join(recorded.shared_with)} if recorded.shared_with else {}
            ),
        },
        begun=recorded.begun,
        ended=recorded.ended,
        children=tuple(replace(one, begun=recorded.begun, ended=recorded.ended) for one in run.children),
    )


def _times(report: Mapping[str, Any], ledger: Path, on_notice: Notice) -> tuple[str, str]:
    """When a run was begun, and when it last stated a fact."""
    try:
        with recorded_run(report, ledger) as (book, row):
            return row.created_at, last_stated(book, row.run)
    except LedgerError:
        raise
    except UserError as error:
        on_notice(f"{error.what} When it ran is left out.")
        return "", ""


def _recorded(report: Mapping[str, Any], ledger: Path, on_notice: Notice) -> _Recorded | None:
    try:
        with recorded_run(report, ledger) as (book, row):
            spec: dict[str, Any] = json.loads(row.spec)
            trials = fold_trials(book.events(row.run))
            replies = paid_replies(book, report, spec, {arm for _, arm, _ in trials})
            specs = {one.run: json.loads(one.spec) for one in book.runs()}
            return _Recorded(
                row.created_at,
                last_stated(book, row.run),
                trials,
                tuple(usage(replies)),
                tuple(sharing_runs(spec, row.run, specs)),
            )
    except LedgerError:
        raise
    except UserError as error:
        on_notice(f"{error.what} Figures by step, trials and tokens by role are left out.")
        return None


def _of_optimization(report: Mapping[str, Any], recorded: _Recorded | None) -> TrackedRun:
    task, arm = str(report["task"]), str(report["arm"])
    own = None if recorded is None else recorded.trials.get(("", arm, int(report["trial"])))
    trials = {} if recorded is None else {key: one for key, one in recorded.trials.items() if one.steps}
    return TrackedRun(
        name=f"{task} {arm}",
        kind="optimization",
        group=task,
        params=_params(report, OPTIMIZE_PARAMS),
        tags={**_tags(report), "nullgrad.recommendation": str(report["recommendation"])},
        figures=(*gain_figures(report), *(() if own is None else course(own))),
        files={
            "prompts/seed.md": str(report["seed_prompt"]) + "\n",
            "prompts/best.md": str(report["best_prompt"]) + "\n",
            "result.json": _json(report),
        },
        note=_note(report, f"{report['recommendation']}. {report['reason']}"),
        children=tuple(
            _trial(
                report,
                one,
                {"task": task, "model": generator_of(report, "")},
                task,
                _final_score(one),
            )
            for _, one in sorted(trials.items())
        )
        if len(trials) > 1
        else (),
    )


def _final_score(facts: TrialFacts) -> float | None:
    """Of the final prompt on test, where controls had it read; the seed prompt's reading is kept at the same place."""
    test = facts.test
    return mean_known(test.scores) if test is not None and test.purpose == "final" else None


def _of_study(report: Mapping[str, Any], recorded: _Recorded | None) -> TrackedRun:
    name = str(report["study"])
    cells = {str(one["cell"]): one for one in report["cells"]}
    facts = {} if recorded is None else recorded.trials
    children = []
    for row in report["tables"]["trials"]:
        key = str(row["cell"]), str(row["arm"]), int(row["trial"])
        own = facts.get(key) or TrialFacts(*key)
        told = {"task": cells[key[0]]["task"], "model": generator_of(report, key[0])}
        child = _trial(report, own, told, name, row["score"])
        extra = [Figure(one, row[one]) for one in ("unparsed", "failed", "changed")]
        files = {"prompt.md": str(row["prompt"]) + "\n"} if row["prompt"] else child.files
        children.append(replace(child, figures=(*child.figures, *extra), files=files))
    return TrackedRun(
        name=name,
        kind="study",
        group=name,
        params=_params(report, STUDY_PARAMS),
        tags=_tags(report),
        figures=tuple(study_figures(report["tables"])),
        files={"result.json": _json(report)},
        note=_note(report, " ".join(report["notes"])),
        children=tuple(children),
    )


def _trial(
    report: Mapping[str, Any], facts: TrialFacts, told: Mapping[str, Any], group: str, score: float | None
) -> TrackedRun:
    arm = parse_arm(facts.arm)
    params: dict[str, str | int | float | bool] = {
        **told,
        "arm": facts.arm,
        "trial": facts.trial,
        "seed": report["seed"],
    }
    if facts.cell:
        params["cell"] = facts.cell
    if arm != SEED:
        params |= {
            "update": arm.update,
            "evaluation": arm.evaluation,
            "selection": arm.selection,
            "variants": arm.n,
        }
    final = facts.final.prompt if facts.final is not None else None
    return TrackedRun(
        name=f"{facts.cell + ' ' if facts.cell else ''}{facts.arm} #{facts.trial}",
        kind="trial",
        group=group,
        params=params,
        tags=_tags(report),
        figures=(*course(facts), *([] if score is None else [Figure("test", score)])),
        files={} if final is None else {"prompt.md": final + "\n"},
        note=_note(report, ""),
    )


def _params(report: Mapping[str, Any], names: Sequence[str]) -> dict[str, str | int | float | bool]:
    found = {name: report[name] for name in names if report.get(name) not in (None, "")}
    return {**found, **{f"model_{role.replace(' ', '_')}": name for role, name in report["models"].items()}}


def _tags(report: Mapping[str, Any]) -> dict[str, str]:
    return {
        "nullgrad.run": str(report["run"]),
        "nullgrad.version": str(report["nullgrad"]),
        "nullgrad.simulated": ", ".join(report["simulated"]) or "no",
        "nullgrad.complete": "yes" if report["complete"] else "no",
    }


def _note(report: Mapping[str, Any], text: str) -> str:
    simulated = ", ".join(report["simulated"])
    return f"{f'Simulation: {simulated} is no real model. ' if simulated else ''}{text}".strip()


def _json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"
