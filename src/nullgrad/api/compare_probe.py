"""A look at every third-party package of a comparison before anything is asked."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nullgrad.api.foreign import ForeignSetup, foreign_trial
from nullgrad.core.foreign_job import ForeignArm
from nullgrad.run.foreign_probe import probe_foreign

NOBODY = "http://127.0.0.1:9/v1"
"""Where a probed process would ask, if it did."""


async def probe_packages(setups: Mapping[ForeignArm, ForeignSetup], parallel: int) -> dict[str, str]:
    """The version of each optimizer's package, whose process was started and would have asked next.

    Args:
        setups: how trials of each optimizer are run, by one arm of it.
        parallel: processes side by side.

    Raises:
        UserError: a package is missing, has another interface, or refuses its settings or the budget.
    """
    gate = asyncio.Semaphore(parallel)

    async def look(arm: ForeignArm, setup: ForeignSetup) -> str:
        async with gate:
            with tempfile.TemporaryDirectory(prefix="nullgrad-") as folder:
                keys = {"generator": "none", "optimizer": "none"}
                return await probe_foreign(foreign_trial(setup, arm, 0, NOBODY, keys, Path(folder)))

    tasks = [asyncio.create_task(look(arm, setup)) for arm, setup in setups.items()]
    try:
        found = await asyncio.gather(*tasks)
        return {arm.optimizer: version for arm, version in zip(setups, found, strict=True)}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
