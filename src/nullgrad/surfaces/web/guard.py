"""Who may see a page: only this machine's user, only from the page itself.

A page on loopback can be reached by every other user of the machine and, through the user's own browser, by every website. So:

- the socket is bound to loopback, and a client from elsewhere is refused;
- the address with a random token opens the page once and leaves a cookie (`HttpOnly`, `SameSite=Strict`) with another secret;
- `Host` must be the server's own, or a site could rebind its name to this address;
- whatever comes from another origin is refused, from another port of this machine as well (those are "same site");
- what is written needs the page's own `Origin`;
- the Content-Security-Policy runs and loads only what this server sends as files: no inline script or style, no `eval`.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = (
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
)
"""Of every answer; `cache-control` only where a page sets none of its own."""

MOST_BODY = 100_000
"""Bytes of what is written at once."""


def new_secret() -> str:
    """A token that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


class Guard:
    """ASGI middleware that lets through what the module says.

    Args:
        app: what is guarded.
        token: the token of the address.
        port: the server's port, part of its own name.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = (
            f"nullgrad_{port}"  # cookies know no ports: two servers must not overwrite each other's
        )
        self._secret = new_secret()
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers: dict[str, str] = {}
        twice = False
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            twice = twice or (key in headers and key in ("host", "origin", "content-length"))
            headers[key] = value.decode("latin-1")
        reason = "a header is repeated" if twice else self._refusal(scope, headers)
        if reason:
            await _refuse(send, reason)
            return
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), None)
        if given is not None:
            if not _same(given, self._token):
                await _refuse(send, "the token is not the one that the command printed")
                return
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            await self._land(send, quote(scope["path"]) + (f"?{rest}" if rest else ""))
            return
        if not any(_same(value, self._secret) for value in _cookies(headers.get("cookie", ""), self._cookie)):
            await _refuse(send, "the token is missing: open the address that the command printed")
            return
        if scope["method"] == "POST":
            receive = await _bounded(receive)
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> str:
        """Why a request is refused whatever token it bears, "" where it is not."""
        client = scope.get("client")
        if client is None or not _is_loopback(str(client[0])):
            return "only this machine may see it"
        host = headers.get("host", "")
        if host not in self._hosts:
            return "it was asked for under another name"
        origin = headers.get("origin")
        came_from = headers.get("sec-fetch-site", "none")
        # Under `no-referrer` a browser names no origin with a form, and says by a header that no page can set whose it is.
        hidden = origin == "null" and scope["method"] == "POST" and came_from == "same-origin"
        if origin is not None and origin != f"http://{host}" and not hidden:
            return "another page asked for it"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return "there is no such method here"
        if scope["method"] == "POST":
            if origin is None:
                return "what is written must come from the page itself"
            size = headers.get("content-length", "")
            if not size.isdigit() or int(size) > MOST_BODY:
                return "it is too long"
        opens = "token=" in scope.get("query_string", b"").decode("latin-1")
        opens = opens and headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
        # A link with the token may stand on any page, such as a terminal in the browser; nothing else comes from elsewhere.
        if came_from not in ("none", "same-origin") and not opens:
            return "another page asked for it"
        return ""

    async def _land(self, send: Send, place: str) -> None:
        """Leave the cookie, and go on by the page itself: a Strict cookie is not sent along a redirect from elsewhere."""
        if not place.startswith("/") or place.startswith("//"):
            place = "/"
        target = escape(place, quote=True)
        body = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>nullgrad</title>'
            f'<meta http-equiv="refresh" content="0; url={target}"></head>'
            f'<body><p><a href="{target}">Go on</a></p></body></html>'
        )
        cookie = f"{self._cookie}={self._secret}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 200, body, ("set-cookie", cookie))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _cookies(header: str, name: str) -> list[str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return [value for key, _, value in pairs if key == name]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


async def _refuse(send: Send, reason: str) -> None:
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>Refused</title></head>'
        f"<body><h1>Refused</h1><p>{escape(reason[:1].upper() + reason[1:])}.</p></body></html>"
    )
    await _answer(send, 403, body)


async def _answer(send: Send, status: int, body: str, *more: tuple[str, str]) -> None:
    data = body.encode()
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", str(len(data))),
        *HEADERS,
        *more,
    ]
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": data})


def _with_headers(send: Send) -> Send:
    async def own(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name.encode(), value.encode()) for name, value in HEADERS if name.encode() not in present),
            ]
        await send(message)

    return own


async def _bounded(receive: Receive) -> Receive:
    """At most `MOST_BODY` bytes, whatever the header said."""
    left = MOST_BODY

    async def own() -> MutableMapping[str, Any]:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if left < 0 else message

    return own
