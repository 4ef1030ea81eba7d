"""The gateway's HTTP side: an OpenAI-compatible server on loopback in front of whatever answers orders.

A key says for whom a call is made; without one of the gateway's own keys nothing but `/health` is answered. No error
of it is worth trying again (what is worth it was tried before), and each says so: `x-should-retry: false`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from nullgrad.core.chat import Reply
from nullgrad.core.foreign import Caller, Order, Refused
from nullgrad.edges.gateway import reply
from nullgrad.edges.gateway.request import bad, read_order
from nullgrad.errors import NullgradError, UserError

if TYPE_CHECKING:
    from aiohttp import web

MOST_BYTES = 64 * 1024 * 1024
"""The longest body that is read."""

SHUTDOWN = 2.0
"""Seconds that answers on their way get to be sent when it stops."""

NO_RETRY = {"x-should-retry": "false"}

_log = logging.getLogger(__name__)

Score = Callable[[Caller, Any], Awaitable[dict[str, Any]]]
"""From a caller and the JSON that an adapter's process sent to the score that it is sent; raises `Refused`."""


class Answering(Protocol):
    """What answers orders; `run.foreign.Desk`."""

    def models(self, caller: Caller) -> tuple[str, ...]:
        """Names by which the caller may ask for its model."""
        ...

    def max_logprobs(self, caller: Caller) -> int:
        """Alternatives per token that its model returns."""
        ...

    def refused(self, caller: Caller) -> None:
        """A call of it got an error before any model was asked."""
        ...

    async def answer(self, caller: Caller, order: Order) -> list[Reply]:
        """The replies to an order; raises `Refused`."""
        ...


def check_host(host: str, *, exposed: bool) -> None:
    """Refuse to listen where others can reach it, unless that is asked for.

    Raises:
        UserError: the address is not loopback's.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not exposed:
        raise UserError(
            f"{host!r} is an address that other machines may reach.",
            "Whoever has a key could spend your money, and keys and prompts would travel unencrypted; nothing was started.",
            "Leave out --host, or add --expose.",
        )


class Gateway:
    """The server.

    Args:
        desk: what answers.
        any_model: whether a call gets its role's model whatever name it asks for; else only by its names.
        score: answers `POST /nullgrad/score`, None for no such path.

    Attributes:
        port: where it listens, 0 before `start`.
    """

    def __init__(self, desk: Answering, *, any_model: bool = False, score: Score | None = None) -> None:
        self._desk = desk
        self._any_model = any_model
        self._score = score
        self._keys: dict[bytes, Caller] = {}
        self._runner: web.ServerRunner | None = None
        self._host = "127.0.0.1"
        self.port = 0

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/v1"

    def issue(self, caller: Caller, run: str, key: str | None = None) -> str:
        """A key that speaks for a caller: a new one, or `key` from an earlier run of the gateway."""
        name = re.sub(r"[^A-Za-z0-9]+", ".", caller.arm).strip(".") or "arm"
        key = key or f"ng-{run[:8]}-{name}-{caller.trial}-{caller.role}-{secrets.token_urlsafe(18)}"
        self._keys[_hashed(key)] = caller
        return key

    def withdraw(self, key: str) -> None:
        """Answer a key no more."""
        self._keys.pop(_hashed(key), None)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one.

        Raises:
            UserError: the address or port cannot be had.
        """
        from aiohttp import web

        # Both of its addresses would get a port of their own.
        host = "127.0.0.1" if host == "localhost" else host
        # A client that hangs up cancels its handler, so that its next attempt gets the same reply.
        server = web.Server(
            self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=3600.0
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            raise UserError(
                f"The gateway cannot listen on {host}:{port}: {error.strerror or error}.",
                "Nothing was started.",
                "Give another --port, or 0 for a free one.",
            ) from None
        self._host = host
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close it; calls that are waiting lose their connection. Safe to call twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        caller: Caller | None = None
        try:
            if request.path == "/health":
                return _json(b'{"status": "ok"}')
            caller = self._caller(request)
            return await self._route(request, caller)
        except Refused as refused:
            if caller is not None and refused.code not in _COUNTED:
                self._desk.refused(caller)
            return _json(reply.error_body(refused), refused.status)
        except asyncio.CancelledError:
            raise
        except NullgradError as error:
            if caller is not None:
                self._desk.refused(caller)
            return _json(reply.error_body(Refused(500, "error", str(error))), 500)
        except Exception as error:
            if caller is not None:
                self._desk.refused(caller)
            _log.exception("the gateway failed")
            what = f"The gateway failed with {type(error).__name__}: {error}."
            return _json(reply.error_body(Refused(500, "gateway_error", what)), 500)

    async def _route(self, request: web.BaseRequest, caller: Caller) -> web.Response:
        match request.path.rstrip("/"):
            case "/v1/chat/completions":
                _method(request, "POST")
                return await self._complete(caller, await _read(request))
            case "/v1/models":
                _method(request, "GET")
                return _json(reply.model_list(self._desk.models(caller)))
            case "/nullgrad/score" if self._score is not None:
                _method(request, "POST")
                try:
                    asked = json.loads(await _read(request))
                except ValueError:
                    raise bad("The body is no JSON.", code="invalid_json") from None
                return _json(json.dumps(await self._score(caller, asked)).encode("ascii"))
        if request.path.startswith("/v1/models/"):
            _method(request, "GET")
            name = request.path.removeprefix("/v1/models/")
            self._check_model(caller, name)
            return _json(json.dumps(json.loads(reply.model_list([name]))["data"][0]).encode("ascii"))
        raise Refused(
            404,
            "not_found",
            f"The gateway has no {request.path}; it serves /v1/chat/completions, /v1/models and /health.",
        )

    def _caller(self, request: web.BaseRequest) -> Caller:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        caller = self._keys.get(_hashed(key.strip())) if kind.lower() == "bearer" else None
        if caller is None:
            raise Refused(
                401,
                "invalid_api_key",
                "The gateway takes only keys that it has issued, as `Authorization: Bearer KEY`.",
            )
        return caller

    async def _complete(self, caller: Caller, raw: bytes) -> web.Response:
        order, wanted = read_order(raw, self._desk.max_logprobs(caller))
        self._check_model(caller, order.model)
        replies = await self._desk.answer(caller, order)
        identity = secrets.token_hex(12)
        if wanted.stream:
            return _answer(reply.events(identity, order.model, replies, wanted), "text/event-stream")
        return _json(reply.completion(identity, order.model, replies, wanted))

    def _check_model(self, caller: Caller, name: str) -> None:
        names = self._desk.models(caller)
        if not self._any_model and name not in names:
            raise Refused(
                404,
                "model_not_found",
                f"The key's role {caller.role} is answered by {' or '.join(names)}, not by {name!r}. "
                "Ask for it by that name, or start the gateway with --any-model.",
                "model",
            )


_COUNTED = frozenset({"call_failed", "budget_spent", "limit_reached", "endpoint_down"})
"""Refusals that are counted where they arise, or are no fault of a request."""


def _hashed(key: str) -> bytes:
    """Keys are looked up by their hash: how long a look-up takes tells nothing of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _method(request: web.BaseRequest, method: str) -> None:
    if request.method != method:
        raise Refused(405, "method_not_allowed", f"{request.path} takes {method} and not {request.method}.")


async def _read(request: web.BaseRequest) -> bytes:
    """The body.

    Raises:
        Refused: it is longer than `MOST_BYTES`.
    """
    length = request.content_length
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if length is not None and length <= MOST_BYTES:
        return await request.content.read()
    parts: list[bytes] = []
    size = 0
    if length is None:
        async for part in request.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                break
    if length is not None or size > MOST_BYTES:
        raise Refused(413, "too_long", f"The body is longer than {MOST_BYTES} bytes.")
    return b"".join(parts)


def _json(payload: bytes, status: int = 200) -> web.Response:
    return _answer(payload, "application/json", status)


def _answer(payload: bytes, kind: str, status: int = 200) -> web.Response:
    from aiohttp import web

    headers = None if status == 200 else NO_RETRY
    return web.Response(body=payload, status=status, content_type=kind, headers=headers)
