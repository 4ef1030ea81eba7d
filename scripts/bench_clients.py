"""One client of the bench, run in a process of its own: evaluates one prompt on N examples and reports on itself.

Usage: bench_clients.py CLIENT URL N CONCURRENCY. Prints one JSON line: wall seconds and CPU seconds of the
evaluation alone (imports outside), peak resident memory of the process in MB, examples answered.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LABELS = ["alpha", "beta", "gamma", "delta"]
PROMPT = "Label the text with exactly one of alpha, beta, gamma, delta."
WORDS = (
    "river stone copper lantern quiet harbor window meadow signal paper marble winter orchard canyon".split()
)


def rows(n: int) -> list[tuple[str, str]]:
    """Texts of 30 words with their labels."""
    made = []
    for number in range(n):
        stream = random.Random(number)
        made.append((f"item-{number:04d}: " + " ".join(stream.choices(WORDS, k=30)), LABELS[number % 4]))
    return made


class Meter:
    """Wall and CPU time of a block, children included.

    What was imported is frozen first, for every client: whether the collector walks it inside the block is chance.
    """

    def __enter__(self) -> Meter:
        gc.collect()
        gc.freeze()
        self._cpu, self._wall = _cpu(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, _cpu() - self._cpu


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def messages(text: str) -> list[dict[str, str]]:
    """The chat that the plain clients send."""
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]


async def _pool(
    call: Callable[[str], Awaitable[str]], data: list[tuple[str, str]], concurrency: int
) -> list[str]:
    gate = asyncio.Semaphore(concurrency)

    async def one(text: str) -> str:
        async with gate:
            return await call(text)

    return await asyncio.gather(*(one(text) for text, _ in data))


def bare_aiohttp(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """No library: the floor of what a client can do."""
    import aiohttp

    async def main() -> list[str]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

            async def call(text: str) -> str:
                body = {"model": "mock", "messages": messages(text)}
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    return str((await response.json())["choices"][0]["message"]["content"])

            return await _pool(call, data, concurrency)

    with Meter() as meter:
        answers = asyncio.run(main())
    return meter, len(answers)


def nullgrad_eval(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """`nullgrad optimize --steps 0`: ledger on disk, progress, sealed test, result."""
    import contextlib

    import aiohttp  # noqa: F401  # imports stay outside the measure, as for every client
    import genai_prices.data  # noqa: F401

    from nullgrad.api import Optimization
    from nullgrad.core.scoring import make_scorer
    from nullgrad.core.task import LAYOUTS, Example, Task, TaskView
    from nullgrad.surfaces.progress import PlainProgress

    test = tuple(Example(str(number), text, label) for number, (text, label) in enumerate(data))
    view = TaskView(
        "bench", test[:1], test[:1], PROMPT, "", tuple(LABELS), 1, make_scorer("exact", labels=tuple(LABELS)),
        LAYOUTS["system-user"], "wrong", "label",
    )  # fmt: skip
    task = Task(view, test, "bench")
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as null,
        contextlib.redirect_stderr(null),
    ):
        with Meter() as meter:
            job = Optimization(task, model="openai/mock", base_url=url, steps=0, concurrency=concurrency)
            progress = PlainProgress(len(data))
            result = asyncio.run(job.run(ledger=Path(folder) / "ledger.db", observer=progress))
        return meter, result.spend.paid


def openai_async(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """The official SDK, asynchronous."""
    from openai import AsyncOpenAI

    async def main() -> list[str]:
        client = AsyncOpenAI(base_url=url, api_key="unused")

        async def call(text: str) -> str:
            reply = await client.chat.completions.create(model="mock", messages=messages(text))  # type: ignore[arg-type]
            return str(reply.choices[0].message.content)

        return await _pool(call, data, concurrency)

    with Meter() as meter:
        answers = asyncio.run(main())
    return meter, len(answers)


def litellm_async(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """litellm's asynchronous completion."""
    import litellm

    async def call(text: str) -> str:
        reply: Any = await litellm.acompletion(
            model="openai/mock", api_base=url, api_key="unused", messages=messages(text)
        )
        return str(reply.choices[0].message.content)

    with Meter() as meter:
        answers = asyncio.run(_pool(call, data, concurrency))
    return meter, len(answers)


def dspy_evaluate(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """DSPy's `Evaluate` of a `Predict`, its cache off."""
    import dspy

    dspy.configure(lm=dspy.LM("openai/mock", api_base=url, api_key="unused", cache=False))
    program = dspy.Predict(dspy.Signature("text -> label", PROMPT))
    devset = [dspy.Example(text=text, label=label).with_inputs("text") for text, label in data]
    evaluate = dspy.Evaluate(
        devset=devset,
        metric=lambda example, prediction, trace=None: prediction.label == example.label,
        num_threads=concurrency,
        display_progress=False,
        max_errors=10**6,
    )
    with Meter() as meter:
        result = evaluate(program)
    return meter, len(result.results)


def gepa_adapter(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """GEPA's default adapter."""
    os.environ["OPENAI_API_BASE"] = os.environ["OPENAI_BASE_URL"] = url
    os.environ["OPENAI_API_KEY"] = "unused"
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter

    adapter = DefaultAdapter(model="openai/mock", max_litellm_workers=concurrency)
    batch = [{"input": text, "additional_context": {}, "answer": label} for text, label in data]
    with Meter() as meter:
        result = adapter.evaluate(batch, {"system_prompt": PROMPT}, capture_traces=False)
    return meter, len(result.scores)


def openai_threads(url: str, data: list[tuple[str, str]], concurrency: int) -> tuple[Meter, int]:
    """The official SDK in threads, as several optimizers use it."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="unused")

    def call(row: tuple[str, str]) -> str:
        reply = client.chat.completions.create(model="mock", messages=messages(row[0]))  # type: ignore[arg-type]
        return str(reply.choices[0].message.content)

    with Meter() as meter, ThreadPoolExecutor(concurrency) as pool:
        answers = list(pool.map(call, data))
    return meter, len(answers)


CLIENTS: dict[str, tuple[str, Callable[[str, list[tuple[str, str]], int], tuple[Meter, int]]]] = {
    "bare aiohttp": ("aiohttp", bare_aiohttp),
    "nullgrad": ("nullgrad", nullgrad_eval),
    "openai SDK, async": ("openai", openai_async),
    "openai SDK, threads": ("openai", openai_threads),
    "litellm": ("litellm", litellm_async),
    "DSPy Evaluate": ("dspy", dspy_evaluate),
    "GEPA DefaultAdapter": ("gepa", gepa_adapter),
}
"""Name, the package that it needs, and the client."""


def main() -> None:
    """Run one client."""
    name, url, n, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    meter, answered = CLIENTS[name][1](url, rows(n), concurrency)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        "RESULT " + json.dumps({"wall": meter.wall, "cpu": meter.cpu, "peak_mb": peak, "answered": answered})
    )


if __name__ == "__main__":
    main()
