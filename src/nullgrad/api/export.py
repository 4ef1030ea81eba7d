"""`export` of a whole run: transcripts, a comparison to run again, figures; in the forms of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nullgrad.api.export_prompts import cast_of, evaluated_prompts, recorded_run, run_tasks
from nullgrad.api.export_tracking import tracked_run
from nullgrad.api.run_usage import address_of
from nullgrad.api.runs import read_run
from nullgrad.edges.export.inspect import write_inspect
from nullgrad.edges.export.mlflow import write_mlflow
from nullgrad.edges.export.promptfoo import CONFIG, MADE_BY, bare_config, config_files
from nullgrad.edges.export.values import NOTHING
from nullgrad.edges.export.wandb import OFFLINE, write_wandb
from nullgrad.edges.outfile import write_out
from nullgrad.errors import UserError

Notice = Callable[[str], None]

OF_COMPARISONS = ("mlflow", "wandb")
"""Forms that a comparison of optimizers has, too."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        run: identity of the run.
        format: the form.
        written: files, directories or addresses, in order.
        say: what to do with them, one line.
    """

    run: str
    format: str
    written: tuple[str, ...]
    say: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"run": self.run, "format": self.format, "written": list(self.written), "say": self.say}


def export_run(
    form: str,
    run: str,
    ledger: Path,
    *,
    out: Path | None = None,
    tasks: Sequence[str] = (),
    on_notice: Notice = lambda text: None,
) -> Exported:
    """Write a run for another tool; nothing is asked of any model.

    Args:
        form: `inspect`, `promptfoo`, `mlflow` or `wandb`.
        run: identity or its beginning, `last`, or a result file.
        ledger: where runs are kept.
        out: the folder; None takes a new name, or what the tool itself takes.
        tasks: task files or names, where the run's is not one that comes with nullgrad.
        on_notice: told what is left out.

    Raises:
        UserError: there is no such run, its task is not at hand, the extra is not installed, or nothing can be written.
    """
    report = read_run(run, ledger)
    if "comparison" in report and form not in OF_COMPARISONS:
        raise UserError(
            f"The run {report['run']} is a comparison, which --format {form} does not take.",
            NOTHING,
            f"Take --format {' or '.join(OF_COMPARISONS)}; nullgrad report prints it, and writes its tables.",
        )
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file.", NOTHING, f"Name a folder for --format {form}.")
    with _whole(run):
        return _export(form, report, ledger, out, tasks, on_notice)


def _export(
    form: str,
    report: Mapping[str, Any],
    ledger: Path,
    out: Path | None,
    tasks: Sequence[str],
    on_notice: Notice,
) -> Exported:
    own = str(report["run"])
    match form:
        case "inspect":
            folder = out or Path(f"inspect-{own}")
            logs = write_inspect(evaluated_prompts(report, ledger, tasks), folder)
            return Exported(own, form, tuple(map(str, logs)), f"inspect view --log-dir {folder}")
        case "promptfoo":
            folder = out or Path(f"promptfoo-{own}")
            files = _promptfoo(report, ledger, tasks, folder)
            return Exported(own, form, files, f"promptfoo eval -c {folder / CONFIG}")
        case "mlflow":
            store, said = write_mlflow(tracked_run(report, ledger, on_notice), out)
            if said:
                on_notice(said)
            return Exported(own, form, (store,), f"mlflow ui --backend-store-uri {store}")
        case "wandb":
            places, mode = write_wandb(tracked_run(report, ledger, on_notice), out)
            say = (
                f"wandb sync {Path(places[0]).parent}/offline-run-*"
                if mode == OFFLINE
                else f"WANDB_MODE is {mode}."
            )
            return Exported(own, form, tuple(places), say)
    raise UserError(
        f"There is no form {form!r} of a run.", NOTHING, "Known: inspect, promptfoo, mlflow, wandb."
    )


@contextmanager
def _whole(run: str) -> Iterator[None]:
    """Say of a file that lacks what an export takes that it does, instead of failing somewhere in it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if not Path(run).is_file():
            raise
        raise UserError(
            f"{run} is no whole result of nullgrad ({type(error).__name__}: {error}).",
            NOTHING,
            "Give the file as --out wrote it, of the same version.",
        ) from None


def promptfoo_config(report: Mapping[str, Any], prompt: str) -> str:
    """A configuration of promptfoo in one file, with one prompt and an empty test."""
    return bare_config(report, prompt)


def _promptfoo(
    report: Mapping[str, Any], ledger: Path, tasks: Sequence[str], folder: Path
) -> tuple[str, ...]:
    if "tables" in report:
        raise UserError(
            f"The run {report['run']} is a study, whose prompts are many.",
            NOTHING,
            "Give a run of nullgrad optimize, or take --format inspect, mlflow or wandb.",
        )
    with recorded_run(report, ledger) as (_, row):
        spec: dict[str, Any] = json.loads(row.spec)
    player = cast_of(spec, "").generator
    files = config_files(report, run_tasks(spec, tasks)[""], player.sampling, address_of(player.model))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out {folder} cannot be made: {error.strerror or error}.", NOTHING, "Name another folder."
        ) from None
    _check_folder(folder, list(files))
    for name, text in files.items():
        write_out(folder / name, text)
    return tuple(str(folder / name) for name in files)


def _check_folder(folder: Path, names: Sequence[str]) -> None:
    """Refuse to replace what is no earlier export: a slip such as `--out .` must not cost a configuration."""
    config = folder / CONFIG
    try:
        ours = config.is_file() and config.read_text("utf-8", "replace").startswith(MADE_BY)
    except OSError:
        ours = False
    there = [name for name in names if (folder / name).exists()]
    if there and not ours:
        raise UserError(
            f"{folder / there[0]} exists and is of no earlier export.",
            f"It was left as it is. {NOTHING}",
            "Name another folder with --out.",
        )
