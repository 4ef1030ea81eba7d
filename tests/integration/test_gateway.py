"""`nullgrad gateway` as a process, with the real `openai` client and programs that behave badly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nullgrad.api import verify_ledger
from tests.support.endpoint import Body, Endpoint, Faults, Refusal
from tests.support.peers import python_with
from tests.support.workload import environment


def command(url: str, folder: Path, *more: str) -> list[str]:
    """The gateway in front of an endpoint."""
    return [
        sys.executable, "-m", "nullgrad", "gateway", "--model", "openai/test", "--base-url", url,
        "--endpoint-name", "test", "--ledger", str(folder / "ledger.db"), *more,
    ]  # fmt: skip


class Served:
    """A gateway that serves."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.ready = json.loads(process.stdout.readline())
        self.report: dict[str, Any] = {}

    def ask(self, text: str, role: str = "generator", **more: Any) -> tuple[int, Any]:
        """Status and body of a call without any client library."""
        body = json.dumps({"model": "test", "messages": [{"role": "user", "content": text}], **more})
        request = urllib.request.Request(
            f"{self.ready['base_url']}/chat/completions",
            body.encode(),
            {"Authorization": f"Bearer {self.ready['keys'][role]}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        self.report = json.loads(out.splitlines()[-1])
        return self.process.returncode


@contextmanager
def serving(url: str, folder: Path, *more: str) -> Iterator[Served]:
    """A gateway as a process; killed where the test has not stopped it."""
    process = subprocess.Popen(
        command(url, folder, "--json", *more), stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


def program(
    url: str, folder: Path, code: str, *more: str, python: str = sys.executable
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and standard error of a program that is run with a gateway."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(code))
    done = subprocess.run(
        command(url, folder, "--json", *more, "--", python, str(path)),
        capture_output=True, text=True, env=environment(), timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


COUNTS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from openai import OpenAI
client = OpenAI()
def one(number):
    messages = [{"role": "user", "content": f"item {number // 2}"}]
    if number % 2:
        return client.chat.completions.create(model="test", messages=messages).usage
    with client.chat.completions.create(model="test", messages=messages, stream=True, stream_options={"include_usage": True}) as stream:
        return [chunk.usage for chunk in stream][-1]
with ThreadPoolExecutor(8) as pool:
    usages = list(pool.map(one, range(200)))
print("SEEN", len(usages), sum(one.prompt_tokens for one in usages), sum(one.completion_tokens for one in usages), file=sys.stderr)
"""


def test_the_counts_are_those_of_the_real_client_streaming_and_not(tmp_path: Path) -> None:
    python = python_with("openai")
    with Endpoint(answers=("up", "down")) as endpoint:
        code, report, said = program(endpoint.url, tmp_path, COUNTS, python=python)
        assert code == 0, said
        seen = [int(one) for one in said.partition("SEEN ")[2].split()[:3]]
        total = report["total"]
        assert seen == [total["calls"], total["prompt_tokens"], total["completion_tokens"]]
        assert total["paid"] == total["calls"] == 200 == sum(endpoint.served().values())
        assert max(endpoint.served().values()) == 1, "an item is asked twice, and each is a draw of its own"
        _, again, said = program(endpoint.url, tmp_path, COUNTS, python=python)
        assert [int(one) for one in said.partition("SEEN ")[2].split()[:3]] == seen
        assert (again["total"]["paid"], again["total"]["replayed"]) == (0, 200)
        assert sum(endpoint.served().values()) == 200
    assert not verify_ledger(tmp_path / "ledger.db").problems


def test_the_real_client_does_not_try_again_what_cannot_succeed(tmp_path: Path) -> None:
    code, report, said = program(
        "http://127.0.0.1:1/v1",
        tmp_path,
        """
        import sys
        from openai import OpenAI, APIStatusError
        client = OpenAI(max_retries=5)
        for more in ({"model": "another"}, {"model": "test", "tools": [{"type": "function", "function": {"name": "f"}}]}):
            try:
                client.chat.completions.create(messages=[{"role": "user", "content": "x"}], **more)
            except APIStatusError as error:
                print("STATUS", error.status_code, error.code, file=sys.stderr)
        """,
        python=python_with("openai"),
    )
    assert code == 0, said
    assert "STATUS 404 model_not_found" in said
    assert "STATUS 400 unsupported_parameter" in said
    assert report["total"]["refused"] == 2, "each was sent once"


SWALLOW = """
import json, os, sys
from openai import OpenAI
client = OpenAI(max_retries=5)
scores = []
for number in range(20):
    try:
        client.chat.completions.create(model="test", messages=[{"role": "user", "content": f"{number}"}])
        scores.append(1)
    except Exception as error:
        scores.append(0)
        print("ERROR", type(error).__name__, getattr(error, "status_code", None), file=sys.stderr)
print("my result is", sum(scores) / len(scores), file=sys.stderr)
"""


def test_a_program_cannot_swallow_the_end_of_a_budget(tmp_path: Path) -> None:
    with Endpoint(answers=("up",)) as endpoint:
        code, report, said = program(
            endpoint.url, tmp_path, SWALLOW, "--budget", "12calls", python=python_with("openai")
        )
        assert sum(endpoint.served().values()) == 12
    assert "my result is 0.6" in said, "it went on to its end"
    assert said.count("ERROR APIStatusError 402") == 8, "the client tries none of them again"
    assert code == 4
    assert "12 calls" in report["closed"]
    assert report["program"] == 0
    assert report["total"]["calls"] == 12


def test_failures_that_a_program_swallows_are_counted(tmp_path: Path) -> None:
    with Endpoint(answers=("up",), faults=Faults(rejected=0.3)) as endpoint:
        code, report, said = program(endpoint.url, tmp_path, SWALLOW, python=python_with("openai"))
        rejected = sum(one.fault == "rejected" for one in endpoint.log)
    assert code == 0, said
    assert rejected > 0
    assert report["total"]["failed"] == rejected == said.count("ERROR")
    assert report["total"]["calls"] == 20


def test_a_killed_gateway_pays_nothing_twice(tmp_path: Path) -> None:
    with Endpoint(answers=("up", "down")) as endpoint:
        texts: list[str] = []
        with serving(endpoint.url, tmp_path) as gate:
            for number in range(40):
                status, value = gate.ask(f"{number % 8}")
                assert status == 200
                texts.append(value["choices"][0]["message"]["content"])
            gate.process.send_signal(signal.SIGKILL)
            gate.process.wait()
        with serving(endpoint.url, tmp_path) as gate:
            again = [gate.ask(f"{number % 8}")[1]["choices"][0]["message"]["content"] for number in range(50)]
            assert gate.stop() == 0
        assert again[:40] == texts
        assert gate.report["total"]["replayed"] == 40
        assert gate.report["total"]["paid"] == 10
        assert max(endpoint.served().values()) == 1
    assert not verify_ledger(tmp_path / "ledger.db").problems


def test_another_trial_draws_anew(tmp_path: Path) -> None:
    with Endpoint(answers=tuple(map(str, range(10_000)))) as endpoint:
        texts = []
        for trial in ("0", "1", "0"):
            with serving(endpoint.url, tmp_path, "--trial", trial) as gate:
                texts.append(gate.ask("same")[1]["choices"][0]["message"]["content"])
                gate.stop()
    assert texts[0] == texts[2] != texts[1]


def test_roles_are_counted_apart_and_answered_by_their_own_models(tmp_path: Path) -> None:
    models: Counter[str] = Counter()

    def respond(body: Body, number: int) -> str:
        models[body["model"]] += 1
        return "x"

    with (
        Endpoint(responder=respond) as endpoint,
        serving(endpoint.url, tmp_path, "--optimizer-model", "openai/larger") as gate,
    ):
        assert [gate.ask("a")[0], gate.ask("b")[0]] == [200, 200]
        assert gate.ask("a", "optimizer")[0] == 404, "a role's key does not ask another role's model"
        assert gate.ask("a", "optimizer", model="larger")[0] == 200
        assert gate.stop() == 0
    assert models == {"test": 2, "larger": 1}
    roles = gate.report["roles"]
    assert (roles["generator"]["calls"], roles["optimizer"]["calls"]) == (2, 1)
    assert roles["optimizer"]["refused"] == 1


def test_an_interrupt_lets_calls_in_flight_arrive_and_prints_the_table(tmp_path: Path) -> None:
    with Endpoint(answers=("up",), latency=0.5) as endpoint:
        process = subprocess.Popen(
            command(endpoint.url, tmp_path, "--key-file", str(tmp_path / "keys.json")),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        keys = tmp_path / "keys.json"
        while not keys.exists():
            time.sleep(0.01)
        known = json.loads(keys.read_text())
        code = (
            "import json, sys, urllib.request as u;"
            f'r = u.Request({known["base_url"]!r} + \'/chat/completions\', b\'{{"model": "test", "messages": [{{"role": "user", "content": "x"}}]}}\','
            f"{{'Authorization': 'Bearer {known['keys']['generator']}'}}); print(u.urlopen(r).read().decode())"
        )
        client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        while not endpoint.in_flight:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        answered, _ = client.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(answered)["choices"][0]["message"]["content"] == "up", "who waited for it got it"
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert lines["generator"][:3] == ["1", "1", "0"]
    assert "Traceback" not in err


def test_a_parameter_that_the_endpoint_refuses_is_that_calls_failure(tmp_path: Path) -> None:
    def refuse(body: Body) -> Refusal | None:
        if body.get("temperature") in (None, 1.0):
            return None
        error = {"message": "Unsupported value: 'temperature' does not support 0.5.", "param": "temperature"}
        return 400, {"error": error}, {}

    with Endpoint(answers=("up",), refuse=refuse) as endpoint, serving(endpoint.url, tmp_path) as gate:
        assert gate.ask("a")[0] == 200
        status, value = gate.ask("b", temperature=0.5)
        assert (status, value["error"]["code"]) == (400, "call_failed")
        assert "temperature" in value["error"]["message"]
        assert gate.ask("c", temperature=1.0)[0] == 200
        assert gate.stop() == 0
    assert (gate.report["total"]["calls"], gate.report["total"]["failed"]) == (3, 1)


def test_a_wrong_key_of_the_users_ends_the_command(tmp_path: Path) -> None:
    with Endpoint(key="right") as endpoint, serving(endpoint.url, tmp_path) as gate:
        assert gate.ask("a")[0] == 503
        gate.process.communicate(timeout=30)
    assert gate.process.returncode == 2


def test_a_key_file_keeps_the_keys_over_starts(tmp_path: Path) -> None:
    with Endpoint(answers=("up",)) as endpoint:
        found = []
        for _ in range(2):
            with serving(endpoint.url, tmp_path, "--key-file", str(tmp_path / "k.json")) as gate:
                found.append(gate.ready["keys"])
                assert gate.ask("x")[0] == 200
                gate.stop()
    assert found[0] == found[1]


def test_an_endpoint_that_is_down_ends_the_command_with_3(tmp_path: Path) -> None:
    with Endpoint(faults=Faults(every=501)) as endpoint, serving(endpoint.url, tmp_path) as gate:
        status, value = gate.ask("x")
        assert (status, value["error"]["code"]) == (503, "endpoint_down")
        out, _ = gate.process.communicate(timeout=30)
    assert gate.process.returncode == 3
    assert "does not answer" in json.loads(out.splitlines()[-1])["stopped"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--host", "0.0.0.0"), "--expose"),
        (("--budget", "many"), "2000calls"),
        (("--budget", "5usd"), "price"),
        (("--arm", "a#b"), "--arm"),
        (("--trial", "-1"), "--trial"),
        (("--concurrency", "0"), "--concurrency"),
        (("--max-usd", "-1"), "--max-usd"),
        (("--", "/no/such/program"), "cannot be started"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    done = subprocess.run(
        command("http://127.0.0.1:1/v1", tmp_path, *more),
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
