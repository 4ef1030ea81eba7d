"""Who may see a local page: without a token, from another origin, name or address it is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nullgrad.surfaces.web.guard import MOST_BODY, Guard

PORT = 4711
TOKEN = "right-token"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    if scope["method"] == "POST":
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"secret " + body[:20]})


class Client:
    """Speaks ASGI to a guard, as from a browser on this machine."""

    def __init__(self) -> None:
        self.guard = Guard(_app, TOKEN, PORT)
        self.cookie = ""

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        client: str = "127.0.0.1",
        cookie: str | None = None,
        headers: dict[str, str] | None = None,
        twice: tuple[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        given = {"host": f"127.0.0.1:{PORT}", **(headers or {})}
        sent = self.cookie if cookie is None else cookie
        if sent:
            given["cookie"] = sent
        if method == "POST":
            given.setdefault("content-length", str(len(body)))
        pairs = [(name.encode(), value.encode()) for name, value in given.items() if value]
        if twice:
            pairs.append((twice[0].encode(), twice[1].encode()))
        place, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": place, "query_string": query.encode(), "headers": pairs,
            "client": (client, 5), "scheme": "http",
        }  # fmt: skip
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        asyncio.run(self.guard(scope, receive, send))
        if not messages:
            return 0, {}, b""
        found = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        return messages[0]["status"], found, b"".join(one.get("body", b"") for one in messages[1:])

    def enter(self) -> None:
        status, headers, _ = self.ask(f"/run/x?token={TOKEN}&a=1")
        assert status == 200
        self.cookie = headers["set-cookie"].split(";")[0]


@pytest.fixture
def inside() -> Client:
    """A client that has come in by the address with the token."""
    client = Client()
    client.enter()
    return client


def test_the_token_opens_once_and_leaves_a_cookie_with_another_secret() -> None:
    client = Client()
    status, headers, body = client.ask(f"/run/x?token={TOKEN}&a=1")
    assert status == 200
    assert b"secret" not in body
    assert b"url=/run/x?a=1" in body
    assert TOKEN.encode() not in body
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    client.cookie = cookie.split(";")[0]
    assert client.ask()[2].startswith(b"secret")


def test_every_answer_says_what_may_run(inside: Client) -> None:
    for status, headers, _ in (inside.ask(), inside.ask(cookie="none=1"), Client().ask(f"/?token={TOKEN}")):
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy, status
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/static/view.js", "/replies?token=right-toke"]
)
def test_without_the_token_nothing_is_shown(path: str) -> None:
    status, _, body = Client().ask(path)
    assert status == 403
    assert b"secret" not in body


def test_a_wrong_cookie_is_none(inside: Client) -> None:
    assert inside.ask(cookie=inside.cookie[:-1])[0] == 403
    assert inside.ask(cookie=f"nullgrad_{PORT + 1}={inside.cookie.partition('=')[2]}")[0] == 403
    assert inside.ask(cookie=f"a=b; {inside.cookie}; c=d")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        "",
        f"127.0.0.1.evil.example:{PORT}",
    ],
)
def test_under_another_name_it_is_refused(inside: Client, host: str) -> None:
    """A site that rebinds its name to this address still sends its own name."""
    assert inside.ask(headers={"host": host})[0] == 403
    assert Client().ask(f"/?token={TOKEN}", headers={"host": host})[0] == 403


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7", "", "127.0.0.1.example"]
)
def test_from_another_address_it_is_refused(inside: Client, address: str) -> None:
    assert inside.ask(client=address)[0] == 403
    assert Client().ask(f"/?token={TOKEN}", client=address)[0] == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"http://localhost:{PORT}",
        f"http://127.0.0.1:{PORT + 1}",
        f"https://127.0.0.1:{PORT}",
    ],
)
def test_from_another_origin_it_is_refused(inside: Client, method: str, origin: str) -> None:
    assert inside.ask(method=method, headers={"origin": origin})[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_asks_for_is_refused(inside: Client, site: str) -> None:
    assert inside.ask(headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})[0] == 403
    assert inside.ask(headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"})[0] == 403
    linked = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert Client().ask(f"/?token={TOKEN}", headers=linked)[0] == 200, (
        "a link with the token may stand anywhere"
    )
    assert Client().ask(f"/?token={TOKEN}", headers={**linked, "sec-fetch-mode": "no-cors"})[0] == 403


def test_what_is_written_comes_from_the_page_itself(inside: Client) -> None:
    own = {"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}
    assert inside.ask(method="POST", headers=own, body=b"a=1")[2] == b"secret a=1"
    form = {"origin": "null", "sec-fetch-site": "same-origin"}
    assert inside.ask(method="POST", headers=form, body=b"a=1")[0] == 200, (
        "a form of a page that sends no referrer"
    )
    assert inside.ask(headers=form)[0] == 403
    for site in ("cross-site", "same-site", "none"):
        assert inside.ask(method="POST", headers={**form, "sec-fetch-site": site}, body=b"a=1")[0] == 403
    assert inside.ask(method="POST", body=b"a=1")[0] == 403, "no Origin"
    assert inside.ask(method="POST", headers=own, body=b"x" * (MOST_BODY + 1))[0] == 403
    lied = {**own, "content-length": "5"}
    assert inside.ask(method="POST", headers=lied, body=b"x" * (MOST_BODY + 1))[0] == 0, (
        "cut off, whatever the header said"
    )
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert inside.ask(method=method, headers=own)[0] == 403


def test_a_repeated_header_is_refused(inside: Client) -> None:
    assert inside.ask(twice=("host", "evil.example"))[0] == 403
    assert (
        inside.ask(twice=("origin", "https://evil.example"), headers={"origin": f"http://127.0.0.1:{PORT}"})[
            0
        ]
        == 403
    )


def test_the_landing_page_leads_nowhere_else() -> None:
    _, _, body = Client().ask(f"//evil.example/x?token={TOKEN}")
    assert b"evil.example" not in body
    _, _, body = Client().ask(f'/"><script>alert(1)</script>?token={TOKEN}')
    assert b"<script" not in body
