"""A chat-completions endpoint on loopback whose reply is a function of the request alone, with faults by dials.

In a test: `with Endpoint(latency=0.01, faults=Faults(rate_limit=0.1)) as endpoint: endpoint.url`.
As a process: `python -m tests.support.endpoint --latency-ms 5 --faults mixed` prints `{"port": N}` and serves
until it is killed; `GET /stats` and `GET /log` say what it did.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

Body = dict[str, Any]
Responder = Callable[[Body, int], str]
"""From a request's body and its hash to the reply's text."""

Refusal = tuple[int, Body, dict[str, str]]
"""Status, body and further headers of an answer that is no reply."""


@dataclass(frozen=True)
class Faults:
    """Shares of attempts, 0 to 1, drawn by the body's hash and the attempt's number; `rejected` by the body alone.

    Attributes:
        every: this status for every request, 0 for none.
        retry_after: seconds in the header of `rate_limit_after`, and of `every` where it is 429 or 503.
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


PER_ATTEMPT = tuple(
    one.name for one in fields(Faults) if one.name not in ("rejected", "every", "retry_after")
)
STATUS = {"rate_limit": 429, "rate_limit_after": 429, "error_500": 500, "error_503": 503}

MIXED = Faults(
    rate_limit=0.03, rate_limit_after=0.03, error_500=0.03, error_503=0.02, hang=0.005, reset=0.02, truncated=0.02,
    malformed=0.02, empty_choices=0.02, wrong_type=0.02, rejected=0.01,
)  # fmt: skip
"""Everything at once."""


def faults_of(text: str) -> Faults:
    """Dials as a command line gives them: `none`, `mixed`, or `rate_limit=0.1,rejected=0.01`."""
    if text in ("", "none"):
        return Faults()
    if text == "mixed":
        return MIXED
    dials: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        dials[name] = int(value) if name == "every" else float(value)
    return Faults(**dials)


def uniform(*parts: object) -> float:
    """A number from 0 to 1 by its parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def obliging(answers: Sequence[str]) -> Responder:
    """Proposals that parse in both packs, changes in words, and one of `answers` by the hash."""

    def respond(body: Body, number: int) -> str:
        text = str(body["messages"][-1]["content"])
        if "between <prompt> and </prompt>" in text:
            return f"<prompt>Think first, then answer; rule number {number % 99_991}.</prompt>"
        if body["messages"][-1]["role"] == "assistant" and text.endswith("nstruction:"):
            return f" Think first, then answer; rule number {number % 99_991}."
        if "How should the" in text or text.endswith(("Change:", "Add:")):
            return f"It should be clearer in point {number % 997}."
        return answers[number % len(answers)]

    return respond


def web_of_lies(values: Sequence[str] = ("yes", "no", "unknown"), slots: int = 3) -> tuple[str, ...]:
    """Every answer of a task with three slots, such as BBEH's web of lies, for `Endpoint(answers=…)`."""
    tuples: list[tuple[str, ...]] = [()]
    for _ in range(slots):
        tuples = [(*one, value) for one in tuples for value in values]
    return tuple(f"The answer is: {', '.join(one)}" for one in tuples)


@dataclass(frozen=True)
class Served:
    """One request as it was answered; times in seconds of `time.monotonic`."""

    body: str
    status: int
    fault: str
    arrived: float
    answered: float


class Endpoint:
    """Serves in a thread of its own.

    Args:
        latency: seconds before an answer.
        faults: what goes wrong; may be replaced while it serves.
        answers: what the default responder answers.
        responder: another one.
        key: the only key accepted, "" for any.
        model: the only model known, "" for any.
        port: where it listens, 0 for a free one.
        refuse: says of a request's body how it is refused, None where it is answered.
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
        port: int = 0,
        refuse: Callable[[Body], Refusal | None] | None = None,
    ) -> None:
        self.latency = latency
        self.faults = faults or Faults()
        self.responder = responder or obliging(answers)
        self.key, self.model, self.port = key, model, port
        self.refuse = refuse
        self.refusals: dict[str, Refusal] = {}
        self.log: list[Served] = []
        self.bodies: dict[str, Body] = {}
        self.headers: dict[str, str] = {}
        """Of the last request, by their names in lower case."""
        self.attempts: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Base URL for OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def served(self) -> Counter[str]:
        """How often each body was answered with 200 and an intact reply."""
        return Counter(one.body for one in self.log if one.status == 200 and not one.fault)

    def stats(self) -> dict[str, Any]:
        """What `GET /stats` says; status 0 stands for a request left hanging."""
        return {
            "requests": len(self.log),
            "by_status": Counter(str(one.status) for one in self.log),
            "by_fault": Counter(one.fault for one in self.log if one.fault),
            "most_in_flight": self.most_in_flight,
            "served": sum(self.served().values()),
            "bodies": len(self.bodies),
        }

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(
                self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
            )
            self.port = server.sockets[0].getsockname()[1]
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        self._loop.run_forever()
        server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        # Aborted transports close their sockets in the loop's next turn.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def decide(self, headers: dict[str, str], raw: bytes) -> tuple[str, int, str]:
        """Hash of the body, status and fault of this attempt."""
        digest = hashlib.sha256(raw).hexdigest()
        self.headers = headers
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return digest, 401, "key"
        try:
            body: Body = json.loads(raw)
        except ValueError:
            return digest, 400, "no JSON"
        self.bodies[digest] = body
        if self.model and body.get("model") != self.model:
            return digest, 404, "model"
        refusal = self.refuse(body) if self.refuse else None
        if refusal is not None:
            self.refusals[digest] = refusal
            return digest, refusal[0], "refused"
        if self.faults.every:
            return digest, self.faults.every, "every"
        if uniform("rejected", digest) < self.faults.rejected:
            return digest, 400, "rejected"
        self.attempts[digest] += 1
        drawn = uniform("fault", digest, self.attempts[digest])
        for name in PER_ATTEMPT:
            share: float = getattr(self.faults, name)
            if drawn < share:
                return digest, STATUS.get(name, 200), name
            drawn -= share
        return digest, 200, ""


class _Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.buffer = b""
        self.hanging = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.endpoint._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.endpoint._connections.discard(self)
        self.endpoint.in_flight -= self.hanging

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines[1:])
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            raw, self.buffer = rest[:length], rest[length:]
            method, path = lines[0].split()[:2]
            if method == "GET":
                self._get(path)
            elif not path.endswith("/chat/completions"):
                self._write(404, json.dumps({"error": {"message": f"no {path}"}}).encode())
            else:
                self._post(headers, raw)

    def _get(self, path: str) -> None:
        if path == "/stats":
            self._write(200, json.dumps(self.endpoint.stats()).encode())
        elif path == "/log":
            self._write(
                200, json.dumps([[one.body, one.status, one.fault] for one in self.endpoint.log]).encode()
            )
        else:
            self._write(404, b"{}")

    def _post(self, headers: dict[str, str], raw: bytes) -> None:
        endpoint, arrived = self.endpoint, time.monotonic()
        digest, status, fault = endpoint.decide(headers, raw)
        endpoint.in_flight += 1
        endpoint.most_in_flight = max(endpoint.most_in_flight, endpoint.in_flight)
        if fault == "hang":
            self.hanging += 1
            endpoint.log.append(Served(digest, 0, fault, arrived, arrived))
            return
        endpoint._loop.call_later(endpoint.latency, self._answer, digest, status, fault, arrived)

    def _answer(self, digest: str, status: int, fault: str, arrived: float) -> None:
        endpoint = self.endpoint
        endpoint.log.append(Served(digest, status, fault, arrived, time.monotonic()))
        endpoint.in_flight -= 1
        if fault == "reset":
            self.transport.abort()
            return
        if status != 200:
            self._refuse(digest, status, fault)
            return
        number = int(digest[:12], 16)
        body = endpoint.bodies[digest]
        text = endpoint.responder(body, number)
        prompt = sum(len(str(one["content"])) for one in body["messages"]) // 4 + 4
        completion = len(text) // 4 + 1
        value = {
            "id": "x", "object": "chat.completion", "created": 0, "model": "served-model", "system_fingerprint": "fp",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
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

    def _refuse(self, digest: str, status: int, fault: str) -> None:
        if fault == "refused":
            _, payload, headers = self.endpoint.refusals[digest]
            extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            self._write(status, json.dumps(payload).encode(), extra=extra)
            return
        error: dict[str, Any] = {"message": f"injected {fault}", "code": None}
        if fault == "key":
            error = {"message": "Incorrect API key provided: sk-wr****ng.", "code": "invalid_api_key"}
        elif fault == "rejected":
            error = {"message": "The content was filtered.", "code": "content_filter"}
        waits = fault == "rate_limit_after" or (fault == "every" and status in (429, 503))
        extra = f"Retry-After: {self.endpoint.faults.retry_after}\r\n" if waits else ""
        self._write(status, json.dumps({"error": error}).encode(), extra=extra)

    def _write(
        self,
        status: int,
        payload: bytes,
        *,
        kind: str = "application/json",
        extra: str = "",
        length: int | None = None,
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
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency-ms", type=float, default=5)
    parser.add_argument("--faults", type=faults_of, default=Faults(), help="none, mixed, or NAME=SHARE,…")
    parser.add_argument("--answers", default="yes,no", help="separated by commas, or web-of-lies")
    options = parser.parse_args()
    answers = web_of_lies() if options.answers == "web-of-lies" else options.answers.split(",")
    served = Endpoint(
        latency=options.latency_ms / 1000, faults=options.faults, answers=answers, port=options.port
    )
    with served as endpoint:
        print(json.dumps({"port": endpoint.port}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
