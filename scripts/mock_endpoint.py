"""A chat-completions endpoint with a fixed latency, as cheap as Python can make it: the bench's yardstick.

Its reply is a function of the request's body alone. Prints its port, then serves until it is killed.
`GET /stats` says how many requests it answered and the most that were in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import zlib

LABELS = ("alpha", "beta", "gamma", "delta")


class Endpoint(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; requests with a Content-Length."""

    served = in_flight = most = 0
    latency = 0.05

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            if head.startswith(b"GET"):
                self.send(json.dumps({"served": Endpoint.served, "most": Endpoint.most}).encode())
                continue
            Endpoint.in_flight += 1
            Endpoint.most = max(Endpoint.most, Endpoint.in_flight)
            asyncio.get_running_loop().call_later(Endpoint.latency, self.answer, body)

    def answer(self, body: bytes) -> None:
        Endpoint.in_flight -= 1
        Endpoint.served += 1
        text = LABELS[zlib.crc32(body) % 4]
        reply = {
            "id": "x", "object": "chat.completion", "created": 0, "model": "mock",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 60, "completion_tokens": 1, "total_tokens": 61},
        }  # fmt: skip
        self.send(json.dumps(reply).encode())

    def send(self, payload: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(payload), payload)
            )


async def main() -> None:
    """Serve on a free loopback port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=50)
    options = parser.parse_args()
    Endpoint.latency = options.latency_ms / 1000
    server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
