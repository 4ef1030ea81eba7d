"""Runs in a tracking store of MLflow."""

from __future__ import annotations

import logging
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from nullgrad.edges.export.values import NOTHING, TrackedRun, missing_extra, plain
from nullgrad.errors import UserError

STORE = "mlflow.db"
"""The SQLite file of a store in a folder of its own."""

_BATCH = 1000
"""Metrics that MLflow takes at once."""


def write_mlflow(run: TrackedRun, folder: Path | None) -> tuple[str, str]:
    """Write a run, and its children as nested runs.

    The store is `folder` (SQLite and artifacts), else what MLflow itself takes: MLFLOW_TRACKING_URI, or its default in the working
    directory. The experiment is MLFLOW_EXPERIMENT_NAME, else `nullgrad` with the name of the task or study.

    Returns:
        The store's address, and what has to be said ("" for nothing).

    Raises:
        UserError: the extra is not installed, or the store cannot be written.
    """
    # What is exported is the user's own: MLflow is not to report it as usage of its own.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.exceptions import MlflowException  # type: ignore[import-not-found, unused-ignore]
        from mlflow.tracking import MlflowClient  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise missing_extra("MLflow", "mlflow") from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    address = None
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--out {folder} cannot be made: {error.strerror or error}.", NOTHING, "Name another folder."
            ) from None
        address = f"sqlite:///{(folder / STORE).resolve()}"
    try:
        client = MlflowClient(tracking_uri=address)
        experiment = _experiment(client, run, folder)
        earlier = client.search_runs(
            [experiment], f"tags.`nullgrad.run` = '{run.tags['nullgrad.run']}'", max_results=1
        )
        _write(client, experiment, run, None)
        said = "The experiment held this run already, and now holds it once more." if len(earlier) else ""
        return str(client.tracking_uri), said
    except (MlflowException, OSError, ImportError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"MLflow's store {address or os.environ.get('MLFLOW_TRACKING_URI', '')} cannot be written: {reason}",
            "The export is not complete.",
            "Give --out FOLDER or another MLFLOW_TRACKING_URI; a store in SQLite needs pip install 'nullgrad[mlflow]'.",
        ) from None


def _experiment(client: Any, run: TrackedRun, folder: Path | None) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"nullgrad {plain(run.group)}"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None if folder is None else (folder / "artifacts").resolve().as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _write(client: Any, experiment: str, run: TrackedRun, parent: str | None) -> None:
    from mlflow.entities import Metric, Param, RunTag  # type: ignore[import-not-found, unused-ignore]

    begun, ended = _milliseconds(run.begun), _milliseconds(run.ended)
    tags = {**run.tags, "nullgrad.kind": run.kind, "mlflow.source.name": "nullgrad"}
    if parent is not None:
        tags["mlflow.parentRunId"] = parent
    if run.note:
        tags["mlflow.note.content"] = run.note
    made = client.create_run(experiment, start_time=begun, run_name=plain(run.name))
    own = made.info.run_id
    stamp = ended or begun or made.info.start_time
    metrics = [Metric(_name(one.name), float(one.value), stamp, one.step or 0) for one in run.figures]
    params = [Param(_name(name), plain(str(value))) for name, value in run.params.items()]
    client.log_batch(own, params=params, tags=[RunTag(name, plain(text)) for name, text in tags.items()])
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(own, metrics=metrics[start : start + _BATCH])
    for name, text in run.files.items():
        client.log_text(own, plain(text), name)
    for child in run.children:
        _write(client, experiment, child, own)
    client.set_terminated(own, end_time=ended)


def _name(text: str) -> str:
    """A name as MLflow takes it: word characters, blanks, `-` and `.`, in parts between slashes."""
    parts = re.sub(r"[^\w\-. /]", "_", plain(text)).split("/")
    return "/".join(part for part in parts if part.strip(". "))[:250]


def _milliseconds(at: str) -> int | None:
    return round(datetime.fromisoformat(at).timestamp() * 1000) if at else None
