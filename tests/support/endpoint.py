"""A chat-completions endpoint on loopback whose reply is a function of the request alone, with faults by dials.

In a test: `with Endpoint(latency=0.01, faults=Faults(rate_limit=0.1)) as endpoint: endpoint.url`.
As a process: `python -m tests.support.endpoint --latency-ms 5 --faults mixed` prints `{"port": N}` and serves.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

Body = dict[str, Any]
Responder = Callable[[Body, int], str]
"""From a request's body and its hash to the reply's text."""


@dataclass(frozen=True)
class Faults:
    """Shares of attempts, 0 to 1, drawn by the body's hash and the attempt's number; `rejected` by the body alone.

    Attributes:
        every: this status for every request, 0 for none.
        retry_after: seconds in the header of `rate_limit_after`.
    """

    rate_limit: float = 0.0
    rate_limit_after: float = 0.0
    error_500: float = 0.0
    error_503: float = 0.0
    hang: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    malformed: float = 0.0
    empty_choices: float = 0.0
    wrong_type: float = 0.0
    rejected: float = 0.0
    every: int = 0
    retry_after: float = 0.05


PER_ATTEMPT = tuple(one.name for one in fields(Faults) if one.name not in ("rejected", "every", "retry_after"))

MIXED = Faults(
    rate_limit=0.03, rate_limit_after=0.03, error_500=0.03, error_503=0.02, hang=0.005, reset=0.02, truncated=0.02,
    malformed=0.02, empty_choices=0.02, wrong_type=0.02, rejected=0.01,
)  # fmt: skip
"""Everything at once."""


def uniform(*parts: object) -> float:
    """A number from 0 to 1 by its parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def obliging(answers: Sequence[str]) -> Responder:
    """Proposals that parse, changes in words, and one of `answers` by the hash."""

    def respond(body: Body, number: int) -> str:
        text = str(body["messages"][-1]["content"])
        if "between <prompt> and </prompt>" in text:
            return f"<prompt>Think first, then answer; rule number {number % 99_991}.</prompt>"
        if "How should the" in text:
            return f"It should be clearer in point {number % 997}."
        return answers[number % len(answers)]

    return respond


@dataclass(frozen=True)
class Served:
    """One request as it was answered."""

    body: str
    status: int
    fault: str


class Endpoint:
    """Serves in a thread of its own.

    Args:
        latency: seconds before an answer.
        faults: what goes wrong.
        answers: what the default responder answers.
        responder: another one.
        key: the only key accepted, "" for any.
        model: the only model known, "" for any.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        faults: Faults | None = None,
        answers: Sequence[str] = ("yes", "no"),
        responder: Responder | None = None,
        key: str = "",
        model: str = "",
    ) -> None:
        self.latency = latency
        self.faults = faults or Faults()
        self.responder = responder or obliging(answers)
        self.key, self.model = key, model
        self.log: list[Served] = []
        self.bodies: dict[str, Body] = {}
        self.attempts: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Base URL for OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        def stop() -> None:
            if self._server is not None:
                self._server.close()
            self._loop.stop()

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(10)

    def served(self) -> Counter[str]:
        """How often each body was answered with 200 and an intact reply."""
        return Counter(one.body for one in self.log if one.status == 200 and not one.fault)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def start() -> None:
            self._server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    def decide(self, headers: dict[str, str], raw: bytes) -> tuple[str, int, str]:
        """Hash of the body, status and fault of this attempt."""
        digest = hashlib.sha256(raw).hexdigest()
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return digest, 401, "key"
        body: Body = json.loads(raw)
        self.bodies[digest] = body
        if self.model and body.get("model") != self.model:
            return digest, 404, "model"
        if self.faults.every:
            return digest, self.faults.every, "every"
        if uniform("rejected", digest) < self.faults.rejected:
            return digest, 400, "rejected"
        self.attempts[digest] += 1
        drawn = uniform("fault", digest, self.attempts[digest])
        for name in PER_ATTEMPT:
            share: float = getattr(self.faults, name)
            if drawn < share:
                status = {"rate_limit": 429, "rate_limit_after": 429, "error_500": 500, "error_503": 503}.get(name, 200)
                return digest, status, name
            drawn -= share
        return digest, 200, ""


class _Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            raw, self.buffer = rest[:length], rest[length:]
            if lines[0].startswith("GET"):
                self._get(lines[0].split()[1])
                continue
            self._post(headers, raw)

    def _get(self, path: str) -> None:
        endpoint = self.endpoint
        if path == "/stats":
            statuses = Counter(str(one.status) for one in endpoint.log)
            value: Any = {
                "requests": len(endpoint.log), "by_status": statuses, "most_in_flight": endpoint.most_in_flight,
                "served": sum(endpoint.served().values()),
            }  # fmt: skip
        else:
            value = [[one.body, one.status, one.fault] for one in endpoint.log]
        self._write(200, json.dumps(value).encode())

    def _post(self, headers: dict[str, str], raw: bytes) -> None:
        endpoint = self.endpoint
        digest, status, fault = endpoint.decide(headers, raw)
        endpoint.in_flight += 1
        endpoint.most_in_flight = max(endpoint.most_in_flight, endpoint.in_flight)
        if fault == "hang":
            endpoint.in_flight -= 1
            endpoint.log.append(Served(digest, 0, fault))
            return
        endpoint._loop.call_later(endpoint.latency, self._answer, digest, status, fault)

    def _answer(self, digest: str, status: int, fault: str) -> None:
        endpoint = self.endpoint
        endpoint.in_flight -= 1
        endpoint.log.append(Served(digest, status, fault))
        if fault == "reset":
            self.transport.abort()
            return
        if status != 200:
            error: dict[str, Any] = {"message": f"injected {fault}", "code": None}
            if fault == "key":
                error = {"message": "Incorrect API key provided: sk-wr****ng.", "code": "invalid_api_key"}
            if fault == "rejected":
                error = {"message": "The content was filtered.", "code": "content_filter"}
            extra = f"Retry-After: {endpoint.faults.retry_after}\r\n" if fault == "rate_limit_after" else ""
            self._write(status, json.dumps({"error": error}).encode(), extra=extra)
            return
        number = int(digest[:12], 16)
        text = endpoint.responder(endpoint.bodies[digest], number)
        value = {
            "id": "x", "object": "chat.completion", "created": 0, "model": "served-model", "system_fingerprint": "fp",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43},
        }  # fmt: skip
        if fault == "empty_choices":
            value["choices"] = []
        payload = json.dumps(value).encode()
        if fault == "malformed":
            payload = payload[: len(payload) // 2]
        if fault == "truncated":
            self._write(200, payload[: len(payload) // 2], length=len(payload))
            self.transport.close()
            return
        self._write(200, payload, kind="text/html" if fault == "wrong_type" else "application/json")

    def _write(
        self, status: int, payload: bytes, *, kind: str = "application/json", extra: str = "", length: int | None = None
    ) -> None:
        if self.transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{extra}"
            f"Content-Length: {len(payload) if length is None else length}\r\n\r\n"
        )
        self.transport.write(head.encode() + payload)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=5)
    parser.add_argument("--faults", choices=["none", "mixed"], default="none")
    options = parser.parse_args()
    faults = MIXED if options.faults == "mixed" else Faults()
    with Endpoint(latency=options.latency_ms / 1000, faults=faults) as endpoint:
        print(json.dumps({"port": endpoint.port}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
