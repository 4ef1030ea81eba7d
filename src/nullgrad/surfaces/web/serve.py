"""Serving an application on loopback until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
import webbrowser
from collections.abc import Callable
from typing import Any

import click

from nullgrad.errors import UserError
from nullgrad.surfaces.web.guard import App, Guard, new_secret
from nullgrad.surfaces.web.render import missing

HOST = "127.0.0.1"
"""No other address: whoever sits elsewhere comes through a tunnel that they must be let into (`ssh -L`)."""


def serve(
    app: App,
    *,
    port: int,
    opens: bool,
    what: str,
    place: str = "/",
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        app: the application, which is put behind a `Guard`.
        port: to listen on, 0 for a free one.
        opens: whether to open the user's browser.
        what: what is served, for the line that is printed.
        place: path that the address leads to.
        ready: told of the address in place of printing it.

    Raises:
        UserError: the port cannot be used, or the extra `view` is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        raise missing("uvicorn") from None
    bound = bind(port)
    own, token = bound.getsockname()[1], new_secret()
    address = f"http://{HOST}:{own}{place}?token={token}"
    # No access log, for the token would be in it; no proxy headers, for they let a client name its own address.
    config = uvicorn.Config(
        Guard(app, token, own),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    if ready is not None:
        ready(address)
    else:
        click.echo(f"{what}: {address}")
        click.echo("The address is a key: whoever has it sees everything. Ctrl-C ends it.", err=True)
    if opens:
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[bound])


def bind(port: int) -> socket.socket:
    """A socket on loopback.

    Raises:
        UserError: the port cannot be used.
    """
    # With the protocol named: else asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        # From now on, so that a browser that is faster than the server waits and is not refused.
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        why = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
        raise UserError(
            f"Port {port} cannot be used: {why}.",
            "Nothing was served.",
            "Give another --port, or 0 for a free one.",
        ) from None
    return made


def imported() -> Any:
    """Starlette's parts that the applications are made of.

    Raises:
        UserError: the extra `view` is not installed.
    """
    try:
        import starlette.applications
        import starlette.responses
        import starlette.routing
    except ImportError:
        raise missing("Starlette") from None
    return starlette
