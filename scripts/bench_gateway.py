"""What the gateway costs, against the mock endpoint, and whether its counts are those of the real `openai` client.

    bench_gateway.py latency [--calls N] [--rate R] [--latency-ms L] [--core N]
    bench_gateway.py counts  [--calls N] [--python PYTHON]

`latency` sends calls at a fixed rate, whatever becomes of those before, in blocks that go directly to the endpoint,
through a bare proxy (aiohttp in and out, nothing between) and through the gateway in turn, so that all meet the same
machine; `--core N` gives proxy and gateway that core alone, and client and endpoint the others. `counts` needs a Python that has `openai` (PYTHON, else NULLGRAD_OPTIMIZERS_PYTHON, else `make bench-peers`)
and compares calls and tokens as the client saw them with the gateway's own, streaming and not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 250
"""Calls of one block of `latency`: short, so that what else the machine does meets both sides alike."""


@dataclass(frozen=True)
class Block:
    """One block of calls.

    Attributes:
        seconds: of each call, from the moment at which it was sent.
        rate: calls answered a second.
        cpu: CPU seconds of the gateway for each call, None where they are not known.
    """

    seconds: list[float]
    rate: float
    cpu: float | None = None


@contextlib.contextmanager
def endpoint(latency_ms: float) -> Iterator[str]:
    """The mock endpoint in a process of its own; its base URL."""
    command = [sys.executable, str(ROOT / "scripts" / "mock_endpoint.py"), "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


class Bare:
    """What HTTP in and out costs by itself: a proxy that knows nothing, in a process of its own."""

    key = "-"

    def __init__(self, base_url: str, core: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROXY, base_url], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})


PROXY = """
import asyncio, sys
import aiohttp
from aiohttp import web
async def main():
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async def handle(request):
        body = await request.content.read()
        async with session.post(sys.argv[1] + "/chat/completions", data=body, headers={"Content-Type": "application/json"}) as response:
            return web.Response(body=await response.read(), content_type="application/json")
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


class Served:
    """A gateway in a process of its own, held to a core where one is given."""

    def __init__(self, base_url: str, folder: Path, concurrency: int, core: int | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "nullgrad", "gateway", "--model", "openai/mock", "--base-url", base_url,
                "--ledger", str(folder / "ledger.db"), "--concurrency", str(concurrency), "--json",
            ],
            stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.url, self.key = ready["base_url"], ready["keys"]["generator"]
        if core is not None:
            for thread in os.listdir(f"/proc/{self.process.pid}/task"):
                os.sched_setaffinity(int(thread), {core})

    def cpu(self) -> float | None:
        """CPU seconds so far."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> dict[str, Any]:
        """End it; what it counted."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        counted: dict[str, Any] = json.loads(out.splitlines()[-1])
        return counted


async def _block(session: Any, url: str, key: str, numbers: range, rate: float) -> Block:
    loop = asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    seconds: list[float] = []
    begun = loop.time()

    async def one(place: int, number: int) -> None:
        due = begun + place / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        body = json.dumps(
            {
                "model": "mock",
                "messages": [
                    {
                        "role": "system",
                        "content": "Label the text with exactly one of alpha, beta, gamma, delta.",
                    },
                    {
                        "role": "user",
                        "content": f"item-{number}: " + "river stone copper lantern quiet harbor " * 5,
                    },
                ],
            }
        )
        start = loop.time()
        async with session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
            await response.read()
            assert response.status == 200, await response.text()
        seconds.append(loop.time() - start)

    await asyncio.gather(*(one(place, number) for place, number in enumerate(numbers)))
    return Block(seconds, len(seconds) / (loop.time() - begun))


async def _latency(
    direct: str, bare: Bare, gateway: Served, calls: int, rate: float
) -> tuple[list[Block], list[Block], list[Block]]:
    import aiohttp

    size, blocks = BLOCK, calls // BLOCK
    plain: list[Block] = []
    proxied: list[Block] = []
    through: list[Block] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for _ in range(2):
            await _block(session, direct, "-", range(200), rate)
            await _block(session, bare.url, bare.key, range(200), rate)
            await _block(session, gateway.url, gateway.key, range(-200, 0), rate)
        for block in range(blocks):
            numbers = range(block * size, (block + 1) * size)
            plain.append(await _block(session, direct, "-", numbers, rate))
            proxied.append(await _block(session, bare.url, bare.key, numbers, rate))
            before = gateway.cpu()
            one = await _block(session, gateway.url, gateway.key, numbers, rate)
            after = gateway.cpu()
            cpu = None if before is None or after is None else (after - before) / size
            through.append(Block(one.seconds, one.rate, cpu))
    return plain, proxied, through


def latency(calls: int, rate: float, latency_ms: float, concurrency: int, core: int | None) -> dict[str, Any]:
    """Direct and through the gateway, at the same rate, in one run."""
    if core is not None:
        # The endpoint inherits it; the gateway is then held to its own.
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})
    with tempfile.TemporaryDirectory() as folder, endpoint(latency_ms) as direct:
        bare = Bare(direct, core)
        gateway = Served(direct, Path(folder), concurrency, core)
        try:
            plain, proxied, through = asyncio.run(_latency(direct, bare, gateway, calls, rate))
        finally:
            bare.process.kill()
            counted = gateway.stop()
    one, other = ([second for block in side for second in block.seconds] for side in (plain, through))
    known = [block.cpu for block in through if block.cpu is not None]
    cpu = statistics.median(known) if known else None
    added, bare_added = (
        [
            (statistics.median(b.seconds) - statistics.median(a.seconds)) * 1000
            for a, b in zip(plain, side, strict=True)
        ]
        for side in (through, proxied)
    )
    return {
        "calls": len(other),
        "asked_per_second": rate,
        "answered_per_second": {
            "median_block": round(statistics.median(block.rate for block in through), 1),
            "worst_block": round(min(block.rate for block in through), 1),
        },
        "direct_ms": {"median": _ms(one, 0.5), "p95": _ms(one, 0.95)},
        "gateway_ms": {"median": _ms(other, 0.5), "p95": _ms(other, 0.95)},
        "ratio_of_medians": round(statistics.median(other) / statistics.median(one), 3),
        "added_ms_at_the_median": round(statistics.median(added), 3),
        "bare_proxy_added_ms_at_the_median": round(statistics.median(bare_added), 3),
        "added_ms_quartiles_over_blocks": [round(value, 3) for value in statistics.quantiles(added, n=4)],
        "gateway_cpu_ms_per_call": None if cpu is None else round(cpu * 1000, 3),
        "calls_per_second_of_one_core": None if not cpu else round(1 / cpu),
        "counted": counted["total"]["calls"],
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def _ms(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 3)


CLIENT = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
from openai import OpenAI, __version__
client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
calls, lock = int(sys.argv[3]), threading.Lock()
seen = {"version": __version__, "plain": 0, "streamed": 0, "prompt_tokens": 0, "completion_tokens": 0, "empty": 0}
def one(number):
    # Every tenth call repeats another one: a draw of its own, and a call like any other.
    messages = [{"role": "user", "content": f"item {number - number % 10 if number % 10 == 1 else number}"}]
    streamed = number % 2 == 1
    if streamed:
        text, usage = "", None
        with client.chat.completions.create(model="mock", messages=messages, stream=True, stream_options={"include_usage": True}) as stream:
            for chunk in stream:
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
                usage = chunk.usage or usage
    else:
        reply = client.chat.completions.create(model="mock", messages=messages)
        text, usage = reply.choices[0].message.content, reply.usage
    with lock:
        seen["streamed" if streamed else "plain"] += 1
        seen["empty"] += not text
        seen["prompt_tokens"] += usage.prompt_tokens
        seen["completion_tokens"] += usage.completion_tokens
with ThreadPoolExecutor(16) as pool:
    list(pool.map(one, range(calls)))
print(json.dumps(seen))
"""


def counts(calls: int, python: str) -> dict[str, Any]:
    """What the real client saw and what the gateway counted."""
    with tempfile.TemporaryDirectory() as folder, endpoint(1.0) as direct:
        gateway = Served(direct, Path(folder), 32)
        begun = time.perf_counter()
        try:
            done = subprocess.run(
                [python, "-c", CLIENT, gateway.url, gateway.key, str(calls)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            seconds = time.perf_counter() - begun
        finally:
            counted = gateway.stop()["total"]
    seen = json.loads(done.stdout)
    same = (
        seen["plain"] + seen["streamed"] == counted["calls"] == calls
        and not seen["empty"]
        and counted["paid"] == calls
        and all(seen[name] == counted[name] for name in ("prompt_tokens", "completion_tokens"))
    )
    return {"equal": same, "seconds": round(seconds, 1), "client": seen, "gateway": counted}


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("latency")
    one.add_argument("--calls", type=int, default=12_000)
    one.add_argument("--rate", type=float, default=500.0)
    one.add_argument("--latency-ms", type=float, default=20.0)
    one.add_argument("--concurrency", type=int, default=64)
    one.add_argument(
        "--core", type=int, help="the gateway's own core, which client and endpoint leave to it (Linux)"
    )
    other = kinds.add_parser("counts")
    other.add_argument("--calls", type=int, default=10_000)
    other.add_argument("--python", default=os.environ.get("NULLGRAD_OPTIMIZERS_PYTHON", ""))
    options = parser.parse_args()
    if options.kind == "latency":
        result = latency(options.calls, options.rate, options.latency_ms, options.concurrency, options.core)
        print(json.dumps(result, indent=2))
        return
    result = counts(options.calls, options.python or str(ROOT / ".venv-peers" / "all" / "bin" / "python"))
    print(json.dumps(result, indent=2))
    sys.exit(not result["equal"])


if __name__ == "__main__":
    main()
