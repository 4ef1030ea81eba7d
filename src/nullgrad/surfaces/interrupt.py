"""Ctrl-C and SIGTERM as a clean stop of whatever a command awaits."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import click

EXIT_INTERRUPTED = 130


def run_interruptibly(start: Callable[[], Coroutine[Any, Any, Any]], progress: Any) -> Any:
    """Run to the end; the first signal lets calls in flight arrive and be recorded, the second stops at once.

    Raises:
        KeyboardInterrupt: it was stopped.
    """

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(start())

        def stop() -> None:
            progress.on_notice(
                "Stopping: waiting for the calls in flight, so that what is paid for is kept (again to stop at once)."
            )
            task.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop_at_once)

        def stop_at_once() -> None:
            # As a kill is: the ledger has whole commits only. The terminal must still get its cursor back.
            progress.__exit__(None, None, None)
            click.echo("interrupted: every reply recorded so far is in the ledger.", err=True)
            os._exit(EXIT_INTERRUPTED)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    return asyncio.run(main())
