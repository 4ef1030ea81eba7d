"""A million simulated calls through ask, ledger and analysis: `python scripts/bench_sim.py [--calls N]`.

A study over a `sim:` task and model with the SQL ledger, as `nullgrad run` carries it out: every call is a request that is
hashed, looked up, answered by the simulated world, and committed before its trial sees it; then the whole result is made.
Prints CPU seconds (user and system, all threads) and the peak of the resident memory. The requirement is a million calls in
under 10 minutes of CPU and under 400 MB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from nullgrad.api import Study

STUDY = """\
name: bench-sim
tasks:
  - name: sim/gradient
    task: sim/gradient
    split: {{train: 30, validation: 50, test: 120}}
models: sim:gradient
trials: {trials}
steps: 5
batch_size: 3
margin: 5 points
arms:
  - gradient/correct/validated@3
  - gradient/wrong/validated@3
  - gradient/correct/naive
  - one-step/correct/naive
  - improve
contrasts:
  - {{family: labels, better: gradient/correct/validated@3, than: gradient/wrong/validated@3}}
  - {{family: chain, better: gradient/correct/naive, than: one-step/correct/naive}}
  - {{family: examples, better: gradient/correct/naive, than: improve}}
"""

LIMIT_SECONDS, LIMIT_MB = 600.0, 400.0
"""Of a million calls."""

MILLION = 1_000_000

ANSWERED = 0.7
"""Share of the calls asked that reach the model; the rest is joined or found in the ledger."""


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Highest resident memory so far, in MB (Linux counts KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def study_of(folder: Path, calls: int) -> Study:
    """The study whose number of trials comes nearest to so many calls that the world answers.

    Arms of a block share some draws, and trials that keep their prompt ask the same again: about 0.7 of what is asked.
    """
    path = folder / "study.yaml"
    path.write_text(STUDY.format(trials=2), "utf-8")
    each = ANSWERED * Study.from_file(path).study.asked.total / 2
    path.write_text(STUDY.format(trials=max(2, round(calls / each))), "utf-8")
    return Study.from_file(path)


def main() -> None:
    """Run and print; exit code 1 where the requirement is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--calls",
        type=int,
        default=MILLION,
        help="calls that the world is to answer, about (default a million)",
    )
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile there")
    options = parser.parse_args()
    import nullgrad.analysis.study.result  # noqa: F401  # Imports are no part of the measure.

    with tempfile.TemporaryDirectory() as folder:
        job = study_of(Path(folder), options.calls)
        before, began = cpu(), time.perf_counter()
        if options.profile:
            import cProfile

            profiler = cProfile.Profile()
            result = profiler.runcall(job.run, ledger=Path(folder) / "ledger.db")
            profiler.dump_stats(options.profile)
        else:
            result = job.run(ledger=Path(folder) / "ledger.db")
        seconds, wall = cpu() - before, time.perf_counter() - began
        size = sum(one.stat().st_size for one in Path(folder).iterdir()) / 1e6
    spend = result.spend
    asked = sum(count for _, count in spend.by_role)
    print(
        f"{result.blocks} blocks, {asked:,} calls asked, {spend.paid:,} paid, {spend.joined:,} joined, {spend.replayed:,} replayed"
    )
    print(
        f"CPU {seconds:.1f} s ({1e3 * seconds / spend.paid:.3f} ms a call answered), wall {wall:.1f} s, ledger {size:.0f} MB"
    )
    print(f"peak memory {peak_mb():.0f} MB")
    print("simulated:", ", ".join(result.simulated))
    expected = seconds * MILLION / spend.paid
    print(
        f"a million answered calls: {expected:.0f} s of CPU at this rate (limit {LIMIT_SECONDS:.0f} s, {LIMIT_MB:.0f} MB)"
    )
    sys.exit(expected > LIMIT_SECONDS or peak_mb() > LIMIT_MB)


if __name__ == "__main__":
    main()
