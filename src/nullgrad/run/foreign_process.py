"""A process that runs someone else's code: a job in, events out as JSON lines, killed when it is no longer wanted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nullgrad.errors import UserError

MOST_LINE = 64 * 1024 * 1024
"""The longest event, in bytes."""

TAIL = 40
"""Lines of standard error that are kept, for whoever wants to know why it failed."""

_MODEL_KEY = re.compile(r"API_?KEY$", re.IGNORECASE)
_SECRET = re.compile(r"(?:KEY|KEY_ID|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.IGNORECASE)


def environment(
    base_url: str, key: str, more: Mapping[str, str] | None = None, *, secrets: bool = False
) -> dict[str, str]:
    """The environment of a foreign program: ours without keys, pointed at the gateway.

    With the user's own keys a library could ask past the meter. A program of the user's (`secrets`) keeps whatever
    is no key of a model's.
    """
    taken = _MODEL_KEY if secrets else _SECRET
    kept = {name: value for name, value in os.environ.items() if not taken.search(name)}
    local = ",".join(
        filter(None, (kept.get("NO_PROXY", kept.get("no_proxy", "")), "127.0.0.1,localhost,::1"))
    )
    return {
        **kept,
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_BASE": base_url,
        "OPENAI_API_KEY": key,
        "NO_PROXY": local,
        "no_proxy": local,
        **(more or {}),
    }


class ForeignProcess:
    """A process with its events.

    Args:
        command: what to run.
        environment: all of it.
        folder: its working directory.

    Attributes:
        errors: the last lines that it wrote to standard error.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.errors: deque[str] = deque(maxlen=TAIL)

    async def run(self, job: str, on_event: Callable[[dict[str, Any]], None]) -> int:
        """Run to the end; cancelled, it leaves no process behind.

        Standard input stays open meanwhile: its end tells the process that nobody listens any more.

        Args:
            job: one line, written to standard input.
            on_event: told of every event.

        Returns:
            The exit code, negative where a signal ended it.

        Raises:
            UserError: it cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                cwd=self._folder,
                limit=MOST_LINE,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(
                f"{self._command[0]} cannot be started: {error.strerror or error}.",
                "The optimizer was not run.",
                "Set NULLGRAD_OPTIMIZERS_PYTHON to a Python interpreter that has its package.",
            ) from None
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        reading = asyncio.create_task(self._read_errors(process.stderr))
        try:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(job.encode() + b"\n")
                await process.stdin.drain()
            await self._read_events(process.stdout, on_event)
            code = await process.wait()
            # A grandchild may hold standard error open; what it says later nobody needs.
            await asyncio.wait({reading}, timeout=1.0)
            return code
        finally:
            self.kill()
            reading.cancel()
            await process.wait()

    def kill(self) -> None:
        """End it and what it started, at once."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _read_events(
        self, stream: asyncio.StreamReader, on_event: Callable[[dict[str, Any]], None]
    ) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                self.errors.append(f"(an event of more than {MOST_LINE} bytes)")
                return
            if not line:
                return
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict):
                on_event(event)
            else:
                self.errors.append(line.decode("utf-8", "replace").rstrip()[:400])

    async def _read_errors(self, stream: asyncio.StreamReader) -> None:
        """Keep the tail; in chunks, since progress bars write lines without an end."""
        rest = ""
        while chunk := await stream.read(65536):
            lines = re.split(r"[\r\n]+", rest + chunk.decode("utf-8", "replace"))
            rest = lines.pop()[-4000:]
            self.errors.extend(line[:400] for line in lines if line.strip())
        if rest.strip():
            self.errors.append(rest[:400])


async def run_program(command: Sequence[str], environment: Mapping[str, str], *, aside: bool = False) -> int:
    """Run a program of the user's in the foreground, with our own input and output; its exit code.

    Ctrl-C reaches it as it would without us; cancelled, it is asked to end, then ended. `aside` sends what it prints
    to standard error.

    Raises:
        UserError: it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdout=sys.stderr if aside else None
        )
    except OSError as error:
        raise UserError(
            f"{command[0]} cannot be started: {error.strerror or error}.",
            "Nothing was asked.",
            "Give a program after --.",
        ) from None
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()
        raise
