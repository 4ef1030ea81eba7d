"""Tasks, models and ledgers: what is there, and how to get more of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nullgrad.core.events import Reported
from nullgrad.core.task import Task
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.errors import UserError

Notice = Callable[[str], None]


def load_task(ref: str, **overrides: Any) -> Task:
    """A task from a task file, a data file with its columns named, or the name of a shipped or fetched task.

    Raises:
        UserError: it cannot be found, read or used.
    """
    from nullgrad.edges.tasks.shipped import resolve_task

    return resolve_task(ref, **overrides)


def list_tasks() -> list[Any]:
    """Every task by name: shipped, procedural and fetchable, with a description and whether it is here."""
    from nullgrad.edges.tasks.shipped import list_tasks as listing

    return list(listing())


def fetch_task(name: str, on_notice: Notice) -> Path:
    """Fetch a task from its publisher into the cache; returns the file.

    Raises:
        UserError: no such task, no network, or the file is not the one that is known.
    """
    from nullgrad.edges.tasks.publishers import fetch_task as fetch

    return fetch(name, on_notice=on_notice)


def scaffold_task(
    data: Path,
    out: Path | None = None,
    *,
    input: str | None = None,
    target: str | None = None,
    force: bool = False,
) -> Path:
    """Write a commented task file for a data file, guessed from its columns.

    Raises:
        UserError: the data cannot be read, or the file exists and `force` is not set.
    """
    from nullgrad.edges.tasks.shipped import scaffold_task as scaffold

    return scaffold(data, out, input=input, target=target, force=force)


def list_models() -> list[Any]:
    """Kinds of models and known weights, with prices where they are known."""
    from nullgrad.edges.models.named import list_models as listing

    return list(listing())


def fetch_weights(name: str, on_notice: Notice) -> Path:
    """Fetch the weights of a known local model into the cache; returns the file.

    Raises:
        UserError: unknown name, no network, or the wrong hash.
    """
    from nullgrad.edges.models.weights import fetch_weights as fetch

    return fetch(name, on_notice)


def verify_ledger(ledger: Path, on_progress: Callable[[str, int, int], None] | None = None) -> Any:
    """Re-derive every hash and every folded state of a ledger; returns a report with its problems.

    Raises:
        UserError: there is no such ledger, or it cannot be opened.
    """
    from nullgrad.edges.ledger.verify import verify

    if not ledger.exists():
        raise UserError(
            f"There is no ledger at {ledger}.", "There is nothing to verify.", "Give --ledger FILE."
        )
    return verify(ledger, on_progress)


REPORT_KEYS = (
    "nullgrad", "run", "task", "arm", "models", "simulated", "recommendation", "reason", "format",
    "seed_prompt", "best_prompt",
)  # fmt: skip
"""What an export of a result names, besides its layout and test."""


def read_report(path: Path) -> Mapping[str, Any]:
    """What a run reported, from the file that `--out` wrote.

    Raises:
        UserError: there is no such file, or it is no result.
    """
    nothing, wanted = "There is nothing to export.", "Give the file that nullgrad optimize --out wrote."
    try:
        report: Mapping[str, Any] = json.loads(path.read_text("utf-8-sig"))
        test = report["test"]
        # Looked at now, for an export must not find half of it missing.
        _ = [report[key] for key in REPORT_KEYS], [(part["role"], part["text"]) for part in report["layout"]]
        _ = test["gain"]["points"], test["gain"]["ci95"], test["seed"]["score"], test["best"]["score"]
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.", nothing, wanted) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.", nothing, wanted) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is no result of nullgrad optimize.", nothing, wanted) from None
    return report


def last_report(
    ledger: Path,
    run: str | None = None,
    *,
    verb: str | tuple[str, ...] = "optimize",
    nothing: str = "There is nothing to export.",
) -> Mapping[str, Any]:
    """What a run reported, by its identity (or a beginning of it), or the last run's.

    Args:
        ledger: where runs are kept.
        run: identity or its beginning, None for the last that has reported.
        verb: `optimize`, `study` or `compare`: which kind of run, or which of several.
        nothing: what follows for the command where none is found.

    Raises:
        UserError: there is no such ledger or run, it is of another kind, or it has not reported yet.
    """
    if not ledger.exists():
        raise UserError(f"There is no ledger at {ledger}.", nothing, "Give --ledger FILE, or a result file.")
    verbs = (verb,) if isinstance(verb, str) else verb
    command = " or ".join(_COMMANDS[one] for one in verbs)
    book = open_ledger(ledger, read_only=True)
    try:
        for row in reversed(book.runs()):
            if run is not None and not row.run.startswith(run):
                continue
            own = str(json.loads(row.spec).get("verb", ""))
            if own not in verbs:
                if run is not None:
                    raise UserError(
                        f"The run {row.run} was made by {_COMMANDS.get(own, 'another command')}.",
                        nothing,
                        f"Give a run of {command}{_INSTEAD.get(own, '')}.",
                    )
                continue
            found = None
            for event in book.events(row.run):
                if isinstance(event, Reported):
                    found = event.result
            if found is not None:
                value: Mapping[str, Any] = json.loads(found)
                return value
    finally:
        book.close()
    which = f"no run {run!r} that has reported" if run else f"no run of {command} that has reported"
    raise UserError(f"The ledger {ledger} holds {which}.", nothing, f"Run {command} to its end first.")


_COMMANDS = {
    "optimize": "nullgrad optimize",
    "study": "nullgrad run",
    "compare": "nullgrad compare",
    "audit": "nullgrad audit",
    "gateway": "nullgrad gateway",
    "foreign": "run_optimizer",
}
_INSTEAD = {
    "optimize": ", or take nullgrad export, or nullgrad report --format html",
    "study": ", or take nullgrad report",
    "compare": ", or take nullgrad report",
}


def study_report(which: str, ledger: Path) -> Mapping[str, Any]:
    """What a study or a comparison reported: of a result file, of a run by its identity (or a beginning of it), or of the `last` one.

    Raises:
        UserError: there is none.
    """
    nothing = "There is nothing to report."
    path = Path(which)
    if which.endswith(".json") or path.is_file():
        try:
            value: Mapping[str, Any] = json.loads(path.read_text("utf-8-sig"))
            _ = value["nullgrad"], dict(value["tables"])
            if "study" not in value:
                _ = value["comparison"]
        except OSError as error:
            raise UserError(
                f"{path} cannot be read: {error.strerror or error}.",
                nothing,
                "Give what nullgrad run --out or nullgrad compare --out wrote.",
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(
                f"{path} is no result of nullgrad run or nullgrad compare.",
                nothing,
                "Give the file that nullgrad run --out or nullgrad compare --out wrote.",
            ) from None
        return value
    return last_report(ledger, None if which == "last" else which, verb=("study", "compare"), nothing=nothing)
