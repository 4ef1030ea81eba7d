"""A look at an optimizer's package before anything is asked: its process runs until it would ask for the first time."""

from __future__ import annotations

import json
from typing import Any

from nullgrad.errors import UserError
from nullgrad.run.foreign_process import ForeignProcess
from nullgrad.run.foreign_trial import ForeignTrial, Heard, check_package


async def probe_foreign(trial: ForeignTrial) -> str:
    """The version of a trial's package, which imports and takes what the adapter gives it.

    Raises:
        UserError: it is missing, has another interface, or refuses its settings or the budget.
    """
    heard = Heard()

    def hear(event: dict[str, Any]) -> None:
        match event.get("event"):
            case "started":
                heard.version = str(event.get("version") or "")
            case "error":
                heard.error = (str(event.get("kind") or "failed"), str(event.get("message") or ""))

    job = json.dumps({**json.loads(trial.job), "probe": True}, ensure_ascii=True, separators=(",", ":"))
    process = ForeignProcess(trial.command, trial.environment, trial.folder)
    code = await process.run(job, hear)
    check_package(trial, heard, process)
    if heard.error is not None or code != 0:
        tail = process.errors[-1] if process.errors else f"its process ended with {code}"
        raise UserError(
            f"The optimizer {trial.optimizer} fails before it asks anything: {heard.error[1] if heard.error else tail}.",
            "Nothing was asked.",
            f"Leave it out, or mend its environment; it is at version {heard.version}.",
        )
    return heard.version
