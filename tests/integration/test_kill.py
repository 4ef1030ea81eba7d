"""SIGKILL at 25 random moments of real runs: nothing recorded is lost or paid twice, the result is bit-identical."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from nullgrad.api import verify_ledger
from tests.support.endpoint import Endpoint, Faults
from tests.support.workload import command, environment, lasting, run_json, write_task

RUNS, KILLS = 5, 5
CONCURRENCY = 8
IN_FLIGHT = 2 * CONCURRENCY
"""Calls sent and not yet delivered: on their way, or answered and waiting for their commit."""

PAID = "WHERE kind <> 'failed'"

MORE = ("--steps", "3", "--concurrency", str(CONCURRENCY), "--arm", "gradient/correct/validated@3")

FAULTS = Faults(rate_limit=0.03, error_500=0.03, reset=0.02, malformed=0.02, rejected=0.01)


def recorded(ledger: Path, which: str = "") -> int:
    """Answers in a ledger, failures among them; `which` is a condition."""
    if not ledger.exists():
        return 0
    book = sqlite3.connect(ledger)
    try:
        tables = {name for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        count = f"SELECT count(*) FROM replies {which}"
        return int(book.execute(count).fetchone()[0]) if "replies" in tables else 0
    finally:
        book.close()


@pytest.mark.parametrize("faults", [Faults(), FAULTS], ids=["calm", "faulty"])
def test_killed_runs_end_like_undisturbed_ones(faults: Faults, tmp_path: Path) -> None:
    stream = random.Random(20_26 if faults.rejected else 11)
    task = write_task(tmp_path)
    with Endpoint(answers=("up", "down"), faults=faults) as endpoint:
        reference = run_json(command(task, endpoint.url, tmp_path / "reference.db", *MORE))
    total = reference["calls"]["paid"] + reference["calls"]["failed"]
    assert total > 250
    kills = 0
    for run in range(RUNS if not faults.rejected else 2):
        ledger = tmp_path / f"{run}.db"
        with Endpoint(answers=("up", "down"), faults=faults, latency=0.004) as endpoint:
            arguments = command(task, endpoint.url, ledger, *MORE)
            for moment in sorted(stream.sample(range(1, total), KILLS)):
                before, paid_before, sent = recorded(ledger), recorded(ledger, PAID), len(endpoint.log)
                process = subprocess.Popen(
                    arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
                )
                while process.poll() is None and sum(endpoint.served().values()) < moment:
                    time.sleep(0.001)
                time.sleep(stream.uniform(0, 0.01))
                process.send_signal(signal.SIGKILL)
                process.wait()
                while endpoint.in_flight:
                    time.sleep(0.001)  # what it answers late belongs to this kill and not to the next
                kills += 1
                after = recorded(ledger)
                assert after >= before, "what was recorded is never lost"
                answered = sum(one.status == 200 and not one.fault for one in endpoint.log[sent:])
                kept = recorded(ledger, PAID) - paid_before
                assert answered - kept <= IN_FLIGHT, "at most the calls in flight are lost"
            kept = recorded(ledger)
            result = run_json(arguments)
            paid = endpoint.served()
        assert json.dumps(lasting(result)) == json.dumps(lasting(reference)), "bit-identical"
        assert result["calls"]["paid"] + result["calls"]["replayed"] + result["calls"]["failed"] >= total
        assert recorded(ledger) == total
        assert result["calls"]["paid"] <= total - kept, "nothing recorded is paid again"
        twice = sum(count - 1 for count in paid.values())
        assert twice <= KILLS * IN_FLIGHT, "only what was in flight at a kill is paid twice"
        assert not verify_ledger(ledger).problems
    assert kills == (RUNS if not faults.rejected else 2) * KILLS


def test_an_interrupt_keeps_the_calls_in_flight_and_exits_130(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    ledger = tmp_path / "l.db"
    with Endpoint(answers=("up", "down"), latency=0.05) as endpoint:
        process = subprocess.Popen(
            command(task, endpoint.url, ledger, *MORE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        while len(endpoint.log) < 60:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert out == b""
        assert b"same command" in err
        assert b"Traceback" not in err
        assert recorded(ledger) == sum(endpoint.served().values()), (
            "every call in flight arrived and was recorded"
        )
        result = run_json(command(task, endpoint.url, ledger, *MORE))
        assert max(endpoint.served().values()) == 1, "nothing was paid twice"
        assert result["calls"]["replayed"] > 0
