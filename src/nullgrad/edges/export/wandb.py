"""Runs of Weights & Biases; without a key they are written for a later `wandb sync`."""

from __future__ import annotations

import netrc
import os
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nullgrad.edges.export.values import NOTHING, TrackedRun, missing_extra, plain
from nullgrad.errors import UserError

OFFLINE = "offline"
_HOST = "api.wandb.ai"


def write_wandb(run: TrackedRun, folder: Path | None) -> tuple[list[str], str]:
    """Write a run, and its children as runs of one group.

    The project is WANDB_PROJECT, else `nullgrad`; WANDB_MODE is honoured, and without it and without a key the mode is `offline`.

    Args:
        run: with its children.
        folder: below which `wandb/` is made, None for WANDB_DIR or the working directory.

    Returns:
        Where each run is, parents first: a directory, online an address; and the mode.

    Raises:
        UserError: the extra is not installed, or it cannot be written.
    """
    mode = os.environ.get("WANDB_MODE") or ("online" if has_key() else OFFLINE)
    if mode != "online":
        # Nothing leaves the machine then, the package's own error reports included.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise missing_extra("wandb", "wandb") from None
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        written = [_write(wandb, one, run, mode, folder) for one in (run, *run.children)]
    except (wandb.Error, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"Weights & Biases cannot be written: {reason}",
            NOTHING,
            "Set WANDB_MODE=offline, or check the key, the network and --out.",
        ) from None
    return written, mode


def has_key() -> bool:
    """Whether a key is at hand, in the environment or as `wandb login` keeps it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "")).hostname or _HOST
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _write(wandb: Any, run: TrackedRun, parent: TrackedRun, mode: str, folder: Path | None) -> str:
    made = wandb.init(
        project=os.environ.get("WANDB_PROJECT") or "nullgrad",
        name=plain(run.name),
        group=run.tags["nullgrad.run"] if parent.children else None,
        job_type=run.kind,
        notes=plain(run.note) or None,
        tags=_tags(run),
        config={**run.params, **{name.replace(".", "_"): text for name, text in run.tags.items()}},
        dir=None if folder is None else str(folder),
        mode=mode,
        reinit="finish_previous",
        # The figures are of another time, and perhaps of another machine: nothing of this one belongs to them.
        settings=wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        ),
    )
    steps: dict[int, dict[str, float]] = defaultdict(dict)
    for figure in run.figures:
        if figure.step is None:
            made.summary[figure.name] = figure.value
        else:
            steps[figure.step][figure.name] = figure.value
    for step, values in sorted(steps.items()):
        made.log(values, step=step)
    for name, text in run.files.items():
        path = Path(made.dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plain(text), "utf-8")
        made.save(str(path), base_path=made.dir, policy="now")
    place = made.url if mode == "online" else str(Path(made.dir).parent)
    made.finish()
    return str(place)


def _tags(run: TrackedRun) -> list[str]:
    """Short words to filter by; a simulation is one."""
    found = ["nullgrad"]
    if run.tags["nullgrad.simulated"] != "no":
        found.append("simulated")
    if "nullgrad.recommendation" in run.tags:
        found.append(run.tags["nullgrad.recommendation"])
    return found
