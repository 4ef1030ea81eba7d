"""`nullgrad view` in a real browser: while a run goes on, with hostile model outputs, and by who may not."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nullgrad.core.chat import Message, Reply, Request, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import Proposed, StepDone, TrialStarted
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.ports import Record
from nullgrad.surfaces.cli import run as run_command
from tests.integration.test_study_command import STUDY
from tests.support.browser import browser
from tests.support.endpoint import Endpoint, Faults
from tests.support.pages import served, visiting
from tests.support.workload import environment, write_task

HOSTILE = (
    "<script>document.title = 'taken'; alert(1)</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "<a href=\"javascript:document.title='taken'\">javascript:alert(1)</a>",
    "</pre></main><iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "{{ 7 * 7 }} {% raw %} ${7*7} &lt;b&gt;",
    "half a character: \ud83d and a NUL: \0.",
)
LONG = "x" * 1_000_000 + "END"


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    """The browser."""
    with browser() as found:
        yield found


def test_it_updates_while_a_run_goes_on(started: Any, tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    with Endpoint(answers=("up", "down"), latency=0.05, faults=Faults(rejected=0.02)) as endpoint:
        line = [
            sys.executable, "-m", "nullgrad", "run", "study.yaml", "--model", "openai/test", "--base-url", endpoint.url,
            "--endpoint-name", "test", "--ledger", "l.db", "--quiet", "--concurrency", "4", "--json",
        ]  # fmt: skip
        run = subprocess.Popen(
            line, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            while len(endpoint.log) < 60 and run.poll() is None:
                time.sleep(0.02)
            with (
                served(tmp_path, "view", "--ledger", "l.db", "--task", "task.yaml") as address,
                visiting(started, address) as seen,
            ):
                page = seen.page
                page.click("tbody a")
                page.wait_for_selector("#arms")
                assert "Running" in page.inner_text("#run-state")
                first = number(page.inner_text("#calls"))
                page.wait_for_function(
                    "first => Number(document.querySelector('#calls').textContent.split('(')[0].replace(/\\D/g, '')) > first + 20",
                    arg=first,
                )
                assert number(page.inner_text("#done")) < 100
                page.click("#pause")
                paused = page.inner_text("#calls")
                time.sleep(2.5)
                assert page.inner_text("#calls") == paused
                page.click("#pause")
                endpoint.latency = 0.0
                assert run.wait(timeout=120) == 0, run.stderr and run.stderr.read()
                page.wait_for_function(
                    "() => document.querySelector('#run-state').textContent.includes('Complete')"
                )
                assert "100" in page.inner_text("#done")
                assert page.query_selector("#failures li"), "failures are listed as they happen"
                assert seen.serious() == []
                visit_every_page(seen)
                assert seen.errors == []
                assert seen.elsewhere == []
        finally:
            run.kill()
            run.communicate()


def visit_every_page(seen: Any) -> None:
    """Each page can be seen, its charts are drawn, and axe-core finds nothing serious."""
    page = seen.page
    page.click("nav >> text=Trajectories")
    page.wait_for_selector("html[data-drawn=yes]", state="attached")
    assert page.locator("[data-chart] svg").count() >= 2
    assert seen.serious() == []
    page.click("nav >> text=Prompts")
    page.wait_for_selector("input[name=chosen]")
    page.check("input[name=chosen]")
    page.fill("input[name=q]", "rule number")
    page.click("main button")
    page.wait_for_url("**chosen=1**")
    assert seen.serious() == []
    page.click("tbody a")
    page.wait_for_selector("text=Where it arose")
    assert seen.serious() == []
    page.click("main button")
    page.wait_for_selector("#differ")
    assert page.locator("#differ tbody tr").first.inner_text().count("diary") == 1, (
        "the example stands beside the answers"
    )
    assert seen.serious() == []
    page.locator("#differ a").first.click()
    page.wait_for_selector("text=Identity")
    assert seen.serious() == []
    page.click("nav >> text=Examples")
    page.wait_for_selector("tbody a")
    assert seen.serious() == []
    page.click("nav >> text=Transcripts")
    page.fill("input[name=q]", "clearer in point")
    page.select_option("select[name=role]", "optimizer")
    page.click("main button")
    page.wait_for_url("**clearer**")
    assert page.locator("tbody tr").count() > 5
    assert seen.serious() == []


def number(text: str) -> float:
    return float("".join(one for one in text.split("(")[0] if one.isdigit() or one == "."))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose model answers and proposes what would take a careless page over, and repeats a key."""
    folder = tmp_path_factory.mktemp("hostile")
    scope, about = (
        "improve/none/naive#0",
        About("generator", "forward", "improve/none/naive", 0, "test", "<b>7</b>", 1),
    )
    with open_ledger(folder / "l.db") as book:
        book.begin_run(
            "bad",
            '{"verb":"optimize","arm":"<i>improve</i>","task":{"name":"<u>t</u>","digest":"d"},"cast":{}}',
        )
        book.append((), [("bad", TrialStarted(scope, "seed", (("generator", "Say it."),)))])
        for place, text in enumerate((*HOSTILE, LONG, "the key is sk-abcdefghijklmnopqrstuvwxyz123456")):
            request = Request(
                "m", (Message("system", f"{text[:80]} say it"), Message("user", text)), draw=place
            )
            events = [
                Proposed(scope, place + 1, 0, f"c{place}", (("generator", text),)),
                StepDone(scope, place + 1, 0, f"c{place}"),
            ]
            record = Record(request.identity(), request, Reply(text, "stop", Usage(1, 1)), about, 1, 0.1)
            book.append([record], [("bad", event) for event in events])
    return folder


def test_what_a_model_writes_is_text(started: Any, hostile: Path) -> None:
    with served(hostile, "view", "--ledger", "l.db") as address, visiting(started, address) as seen:
        page = seen.page
        for place, text in enumerate(HOSTILE):
            seen.see(f"/reply/{place + 1}")
            shown = page.locator("pre").last.inner_text()
            assert shown.split("half")[0] == text.split("half")[0]
            assert page.locator("main script, main img, main iframe, main a[href^=javascript]").count() == 0
            assert "nullgrad" in page.title()
        assert "\ufffd" in page.locator("pre").last.inner_text(), (
            "what no page can hold is marked, and the rest is shown"
        )
        seen.see(f"/reply/{len(HOSTILE) + 1}")
        assert page.locator("pre").last.text_content() == LONG
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), (
            "a long line does not widen the page"
        )
        seen.see(f"/reply/{len(HOSTILE) + 2}")
        assert "sk-abc" not in page.content()
        assert "[key hidden]" in page.locator("pre").last.inner_text()
        for path in ("/", "/replies?run=bad", "/run/bad", "/run/bad/prompts", "/run/bad/examples", "/run/bad/course",
                     "/replies?q=%3Cscript%3Ealert(1)%3C/script%3E&arm=%22%3E%3Cscript%3E"):  # fmt: skip
            seen.see(path)
            assert (
                page.locator("main script:not([type='application/json']), main img, main iframe").count() == 0
            )
            assert "nullgrad" in page.title()
        seen.see("/run/bad/prompts")
        for link in page.locator("tbody a").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))"
        ):
            seen.see(link)
            assert page.locator("main script, main img, main iframe").count() == 0
        assert seen.errors == []
        assert seen.elsewhere == []


def test_who_may_not_see_it(hostile: Path, started: Any) -> None:
    with served(hostile, "view", "--ledger", "l.db") as address:
        parts = urlsplit(address)
        port = parts.port or 0

        def status(path: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
            assert b"replies" not in body or answer.status == 200
            connection.close()
            return answer.status

        good = f"/?{parts.query}"
        assert status(good) == 200
        assert status("/") == 403
        assert status("/reply/1") == 403
        assert status("/?token=guess") == 403
        assert status(good, {"Host": f"evil.example:{port}"}) == 403
        assert status(good, {"Origin": "https://evil.example"}) == 403
        assert status(good, {"X-Forwarded-For": "127.0.0.1", "Host": "evil.example"}) == 403
        assert status("/reply/1", {"X-Forwarded-For": "127.0.0.1"}) == 403
        for own in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {
            "127.0.0.1"
        }:
            if not own.startswith("127."):
                with pytest.raises(OSError):
                    socket.create_connection((own, port), timeout=5).close()
        # Another site in the user's own browser, once the user has come in: neither read, framed nor sent to.
        context = started.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("main")
        with Endpoint() as other:
            page.goto(f"http://127.0.0.1:{other.port}/stats")
            failed = page.evaluate(
                "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), error => 'refused')",
                f"http://127.0.0.1:{port}/reply/1",
            )
            assert failed == "refused"
            page.evaluate("url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame); }",
                          f"http://127.0.0.1:{port}/reply/1")  # fmt: skip
            page.wait_for_timeout(300)
            assert all(
                "Sent:" not in (frame.content() if frame.url.startswith("http") else "")
                for frame in page.frames[1:]
            )
        context.close()


def test_mistakes_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["view", "--ledger", str(tmp_path / "none.db"), "--no-browser"]) == 2
    assert "There is no ledger" in capsys.readouterr().err
    with open_ledger(tmp_path / "l.db"), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run_command(["view", "--ledger", str(tmp_path / "l.db"), "--no-browser", "--port", port]) == 2
    assert f"Port {port} cannot be used" in capsys.readouterr().err
    assert (
        run_command(["view", "--ledger", str(tmp_path / "l.db"), "--no-browser", "--task", "nowhere.yaml"])
        == 2
    )
