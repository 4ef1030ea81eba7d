"""How fast the ledger finds and appends, and how large it grows: `python scripts/bench_ledger.py [--rows N]`.

The rows look like a closed-label task: a system message shared by all, a user message of about 600 characters
of its own, a one-word reply with usage.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

from nullgrad.core.chat import Message, Reply, Request, Sampling, Usage
from nullgrad.core.effects import About
from nullgrad.edges.ledger.store import SqlLedger, open_ledger
from nullgrad.edges.ledger.verify import verify
from nullgrad.ports import Record

MODEL = "openai-compatible https://endpoint.example/v1 small-model-instruct"
PROMPT = Message("system", "Decide whether the review is positive or negative. " * 6)


def record(number: int) -> Record:
    """One answered classification."""
    words = random.Random(number)
    text = " ".join(
        f"{words.choice('bcdfglmnprst')}{words.choice('aeiou')}{words.randrange(1000)}" for _ in range(110)
    )
    request = Request(
        MODEL, (PROMPT, Message("user", text)), Sampling(0.0, None, 8), ("positive", "negative"), draw=number
    )
    about = About(
        "generator", "forward", "gradient/correct/validated@3", number % 20, "validation", str(number), 3
    )
    reply = Reply("positive", "stop", Usage(210, 1, 128, None), "small-model-instruct", "fp_1234")
    return Record(request.identity(), request, reply, about, 1, 0.41)


def bench_append(path: Path, records: list[Record], group: int) -> float:
    """Replies per second when committed in groups."""
    with open_ledger(path) as ledger:
        began = time.perf_counter()
        for start in range(0, len(records), group):
            ledger.append(records[start : start + group], ())
        return len(records) / (time.perf_counter() - began)


def bench_find(ledger: SqlLedger, identities: list[str], batch: int) -> tuple[float, float]:
    """Hits per second over all identities in random order, and the median time of one look-up in microseconds."""
    times = []
    for start in range(0, len(identities), batch):
        wanted = identities[start : start + batch]
        began = time.perf_counter()
        found = ledger.find(wanted)
        times.append(time.perf_counter() - began)
        if len(found) != len(wanted):
            raise SystemExit("a recorded reply was not found")
    return len(identities) / sum(times), statistics.median(times) * 1e6


def peak_mib() -> float:
    """The process's highest memory so far (Linux counts KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run all parts and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="replies in the ledger (default 20000)")
    rows = parser.parse_args().rows
    records = [record(number) for number in range(rows)]
    identities = [one.identity for one in records]
    random.Random(0).shuffle(identities)
    with tempfile.TemporaryDirectory() as folder:
        for group in (1, 32, 512):
            some = records[: max(1, min(rows, 2000 * group))]
            rate = bench_append(Path(folder) / f"group-{group}.ledger", some, group)
            print(f"append, groups of {group:3}: {rate:10,.0f} replies/s")
        path = Path(folder) / "all.ledger"
        bench_append(path, records, 512)
        print(
            f"file: {path.stat().st_size / rows:.0f} bytes per reply ({path.stat().st_size / 2**20:.1f} MiB)"
        )
        before = peak_mib()
        with open_ledger(path) as ledger:
            for batch in (1, 32, 512):
                rate, median = bench_find(ledger, identities, batch)
                print(f"find, batches of {batch:3}: {rate:10,.0f} hits/s, median {median:8.1f} µs a look-up")
            missing = [identity[::-1] for identity in identities[:2000]]
            began = time.perf_counter()
            for identity in missing:
                ledger.find([identity])
            print(
                f"find, nothing there: {(time.perf_counter() - began) / len(missing) * 1e6:.1f} µs a look-up"
            )
        began = time.perf_counter()
        report = verify(path)
        print(
            f"verify: {sum(report.checked.values()) / (time.perf_counter() - began):,.0f} rows/s, problems: {len(report.problems)}"
        )
        print(
            f"peak memory: {peak_mib():.0f} MiB, of which looking up and verifying added {peak_mib() - before:.0f}"
        )


if __name__ == "__main__":
    main()
