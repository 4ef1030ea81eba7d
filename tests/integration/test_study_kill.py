"""A study killed at 25 random moments ends with the table of an undisturbed run; nothing recorded is paid twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from nullgrad.api import verify_ledger
from tests.integration.test_kill import recorded
from tests.support.endpoint import Endpoint
from tests.support.workload import environment, lasting, run_json, write_task

KILLS = 25
CONCURRENCY = 8
IN_FLIGHT = 2 * CONCURRENCY
"""Calls sent and not yet delivered: on their way, or answered and waiting for their commit."""

STUDY = """\
name: kills
tasks: [task.yaml]
arms:
  gradient/correct/naive: 3
  gradient/wrong/naive: 3
  one-step/correct/validated@2: 3
  improve: 3
steps: 3
curve: [2]
margin: 5 points
contrasts:
  - {family: labels, better: gradient/correct/naive, than: gradient/wrong/naive}
  - {family: feedback, better: gradient/correct/naive, than: improve}
  - {family: course, plateau: gradient/correct/naive}
"""


def command(url: str, ledger: Path, *more: str) -> list[str]:
    """`nullgrad run` of the study against an endpoint."""
    return [
        sys.executable, "-m", "nullgrad", "run", str(ledger.parent / "study.yaml"), "--model", "openai/test",
        "--base-url", url, "--endpoint-name", "test", "--ledger", str(ledger), "--concurrency", str(CONCURRENCY),
        "--json", "--quiet", *more,
    ]  # fmt: skip


def test_a_killed_study_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    stream = random.Random(25)
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    with Endpoint(answers=("up", "down")) as endpoint:
        reference = run_json(command(endpoint.url, tmp_path / "reference.db"))
    total = reference["calls"]["paid"]
    assert total > 500
    assert recorded(tmp_path / "reference.db") == total
    ledger = tmp_path / "l.db"
    with Endpoint(answers=("up", "down"), latency=0.002) as endpoint:
        arguments = command(endpoint.url, ledger)
        for moment in sorted(stream.sample(range(1, total), KILLS)):
            before, sent = recorded(ledger), len(endpoint.log)
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
            kept = recorded(ledger)
            assert kept >= before, "what was recorded is never lost"
            assert len(endpoint.log) - sent - (kept - before) <= IN_FLIGHT, (
                "at most the calls in flight are lost"
            )
        kept = recorded(ledger)
        result = run_json(arguments)
        paid = endpoint.served()
    assert json.dumps(lasting(result)) == json.dumps(lasting(reference)), "the same to the last digit"
    assert recorded(ledger) == total
    assert result["calls"]["paid"] <= total - kept, "nothing recorded is paid again"
    assert sum(count - 1 for count in paid.values()) <= KILLS * IN_FLIGHT, (
        "only what was in flight at a kill is paid twice"
    )
    assert not verify_ledger(ledger).problems
