"""Speed: nullgrad and the installed peers side by side, in one run against one endpoint, as ratios.

Evaluates one prompt on 512 examples at concurrency 32 against an endpoint with 50 ms latency; then answers from
a filled ledger. Peers are taken from this environment and from those below .venv-peers (`make bench-peers`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_clients import CLIENTS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "bench.md"
PAGE_TEXT = """# Speed beside other optimizers

    make bench-peers    # installs the peers beside nullgrad, once
    make bench

One prompt evaluated against an endpoint on loopback that answers after a fixed latency, each client in a process of its own, the
runs interleaved; medians. `x bare` is the ratio to a plain aiohttp loop of the same round, which is what to look at: absolute
times belong to the machine. Imports are outside the measure for
every client; nullgrad's figures include making the job, its ledger, its progress and its result. Made by `make bench-docs`.

```text
{clients}
```

The ledger alone, with 20,000 replies:

```text
{ledger}
```
"""


def pythons() -> list[str]:
    """Interpreters that may hold peers, this one first."""
    others = sorted((HERE.parent / ".venv-peers").glob("*/bin/python"))
    return [sys.executable, *map(str, others)]


def holds(python: str, package: str) -> bool:
    """Whether an interpreter can import a package."""
    if python == sys.executable:
        return importlib.util.find_spec(package) is not None
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def once(python: str, client: str, url: str, n: int, concurrency: int) -> dict[str, float] | None:
    """One run in a process of its own, None if the client failed."""
    done = subprocess.run(
        [python, str(HERE / "bench_clients.py"), client, url, str(n), str(concurrency)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            value: dict[str, float] = json.loads(line[7:])
            return value
    print(f"{client} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}", file=sys.stderr)
    return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each client, interleaved")
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="put what is printed into docs/bench.md")
    options = parser.parse_args()
    floor = -(-options.n // options.concurrency) * options.latency_ms / 1000
    found = {
        name: python
        for name, (package, _) in CLIENTS.items()
        if (python := next((one for one in pythons() if holds(one, package)), None))
    }
    server = subprocess.Popen(
        [sys.executable, str(HERE / "mock_endpoint.py"), "--latency-ms", str(options.latency_ms)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in found}
        for number in range(options.rounds):
            for name, python in found.items():
                if name in ("bare aiohttp", "nullgrad") or number < options.peer_rounds:
                    result = once(python, name, url, options.n, options.concurrency)
                    if result:
                        runs[name].append(result)
    finally:
        server.terminate()
        server.wait()
    bare = [one["wall"] for one in runs["bare aiohttp"]]
    rows = []
    for name, results in runs.items():
        if not results:
            continue
        wall = statistics.median(one["wall"] for one in results)
        ratio = statistics.median(one["wall"] / other for one, other in zip(results, bare, strict=False))
        rows.append(
            {
                "client": name,
                "runs": len(results),
                "wall_s": round(wall, 3),
                "x_floor": round(wall / floor, 2),
                "x_bare": round(ratio, 2),
                "cpu_ms_per_call": round(
                    1000 * statistics.median(one["cpu"] for one in results) / options.n, 3
                ),
                "peak_mb": round(statistics.median(one["peak_mb"] for one in results)),
            }
        )
    missing = [name for name in CLIENTS if name not in found]
    if options.json:
        print(json.dumps({"floor_s": floor, "clients": rows, "not_installed": missing}, indent=2))
        return
    lines = [
        f"{options.n} examples, concurrency {options.concurrency}, {options.latency_ms:.0f} ms latency, floor {floor:.2f} s",
        f"{'client':<22}{'runs':>5}{'wall s':>9}{'x floor':>9}{'x bare':>8}{'CPU ms/call':>13}{'peak MB':>9}",
    ]
    lines += [
        f"{row['client']:<22}{row['runs']:>5}{row['wall_s']:>9.3f}{row['x_floor']:>9.2f}{row['x_bare']:>8.2f}"
        f"{row['cpu_ms_per_call']:>13.3f}{row['peak_mb']:>9}"
        for row in rows
    ]
    if missing:
        lines.append(f"not installed: {', '.join(missing)} (make bench-peers)")
    print("\n".join(lines), end="\n\n", flush=True)
    ledger = subprocess.run(
        [sys.executable, str(HERE / "bench_ledger.py")], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    print(ledger, end="")
    if options.write:
        PAGE.write_text(PAGE_TEXT.format(clients="\n".join(lines), ledger=ledger.strip()), "utf-8")
        print(f"Wrote {PAGE.name}.")


if __name__ == "__main__":
    main()
