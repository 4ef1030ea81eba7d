"""The desk behind its server: draws, replay, budgets, failures, keys."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nullgrad.core.chat import Reply, Request, Usage
from nullgrad.core.foreign import Caller
from nullgrad.core.foreign_budget import Allowance
from nullgrad.core.scoring import make_scorer
from nullgrad.edges.gateway.keys import read_keys, write_keys
from nullgrad.edges.gateway.server import check_host
from nullgrad.edges.packs import load_pack
from nullgrad.errors import CallError, EndpointError, UserError
from nullgrad.run.budget import Limits
from tests.support.gateway import CALLER, Open, Scripted, opened
from tests.support.trials import make_view

OPTIMIZER = replace(CALLER, role="optimizer")


def test_a_repeated_request_is_another_draw_and_the_same_again_after_a_restart(tmp_path: Path) -> None:
    async def texts() -> tuple[list[str], int]:
        async with opened(tmp_path) as gate:
            return [await gate.text("same") for _ in range(3)], len(gate.model.asked)

    first, paid = asyncio.run(texts())
    again, paid_again = asyncio.run(texts())
    assert len(set(first)) == 3
    assert paid == 3
    assert again == first, "answered from the ledger, in order"
    assert paid_again == 0


def test_under_concurrency_a_resumed_program_gets_the_same_replies_to_each_request(tmp_path: Path) -> None:
    stream = random.Random(3)
    asked = [f"question {number % 7}" for number in range(60)]

    async def answers(order: list[str]) -> tuple[dict[str, list[str]], int]:
        async def slow(request: Request) -> Reply:
            await asyncio.sleep(stream.uniform(0, 0.01))
            return Reply(f"{request.draw}", "stop", Usage(1, 1))

        async with opened(tmp_path, model=Scripted(slow)) as gate:
            texts = await asyncio.gather(*(gate.text(one) for one in order))
            found: dict[str, list[str]] = {}
            for question, text in zip(order, texts, strict=True):
                found.setdefault(question, []).append(text)
            return {question: sorted(own) for question, own in found.items()}, len(gate.model.asked)

    first, paid = asyncio.run(answers(asked))
    assert paid == 60
    assert all(len(set(own)) == len(own) for own in first.values()), "every occurrence is a draw of its own"
    stream.shuffle(asked)
    again, paid_again = asyncio.run(answers(asked))
    assert again == first
    assert paid_again == 0


def test_a_seed_of_the_client_is_part_of_the_request(tmp_path: Path) -> None:
    async def texts() -> list[str]:
        async with opened(tmp_path) as gate:
            return [await gate.text("same", **more) for more in ({}, {"seed": 0}, {"seed": 1}, {"seed": 0})]

    assert len(set(asyncio.run(texts()))) == 4, "and its repetition is another draw, too"


def test_arms_of_a_trial_share_what_they_ask_alike_unless_they_are_independent(tmp_path: Path) -> None:
    other = Caller("lib/wrong/correct", 0, "generator")
    later = replace(CALLER, trial=1)

    async def texts(folder: Path, independent: bool) -> tuple[list[str], dict[str, Any]]:
        async with opened(folder, independent=independent) as gate:
            for one in (other, later):
                gate.desk.admit(one.arm, one.trial)
            found = [await gate.text("same", one) for one in (CALLER, other, later, OPTIMIZER)]
            return found, gate.desk.use(other.arm, 0)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (own, wrong, trial, role), use = asyncio.run(texts(tmp_path / "a", False))
    assert own == wrong
    assert len({own, trial, role}) == 3
    assert (use["generator"].calls, use["generator"].replayed, use["generator"].paid) == (1, 1, 0)
    (own, wrong, _, _), _ = asyncio.run(texts(tmp_path / "b", True))
    assert own != wrong


def test_identical_calls_of_two_arms_in_flight_are_paid_once(tmp_path: Path) -> None:
    other = Caller("lib/wrong/correct", 0, "generator")

    async def run() -> tuple[list[str], int, int]:
        async def slow(request: Request) -> Reply:
            await asyncio.sleep(0.05)
            return Reply("x", "stop", Usage(1, 1))

        async with opened(tmp_path, model=Scripted(slow)) as gate:
            gate.desk.admit(other.arm, 0)
            texts = await asyncio.gather(gate.text("same"), gate.text("same", other))
            joined = sum(use.joined for use in gate.tally.use.values())
            return texts, len(gate.model.asked), joined

    assert asyncio.run(run()) == (["x", "x"], 1, 1)


def test_several_replies_are_several_draws(tmp_path: Path) -> None:
    async def run() -> tuple[list[str], Any, list[str]]:
        async with opened(tmp_path) as gate:
            _, value = await gate.post("same", n=3)
            return (
                [one["message"]["content"] for one in value["choices"]],
                value["usage"],
                [await gate.text("same")],
            )

    three, usage, fourth = asyncio.run(run())
    assert len({*three, *fourth}) == 4
    assert usage["total_tokens"] == 24


def test_a_client_that_hangs_up_gets_the_reply_it_was_waiting_for(tmp_path: Path) -> None:
    """Its next attempt joins the call in flight: no second payment, and no second draw."""
    release = asyncio.Event

    async def run() -> tuple[list[str], int, int]:
        waiting = release()

        async def slow(request: Request) -> Reply:
            await waiting.wait()
            return Reply(f"draw {request.draw}", "stop", Usage(1, 1))

        async with opened(tmp_path, model=Scripted(slow), allowance=Allowance(calls=2)) as gate:
            impatient = asyncio.create_task(gate.text("same"))
            while not gate.model.asked:
                await asyncio.sleep(0.001)
            impatient.cancel()
            await asyncio.gather(impatient, return_exceptions=True)
            await asyncio.sleep(0.05)
            second = asyncio.create_task(gate.text("same"))
            await asyncio.sleep(0.05)
            waiting.set()
            texts = [await second, await gate.text("same")]
            return texts, len(gate.model.asked), gate.desk.meter(CALLER.arm, 0).calls

    texts, asked, calls = asyncio.run(run())
    assert len(set(texts)) == 2
    assert asked == 2
    assert calls == 2, "the attempt that took over is no further call of the budget"


def test_the_end_of_a_budget_closes_the_trial_whatever_the_client_does(tmp_path: Path) -> None:
    async def run() -> tuple[list[int], Any, int, bool, int]:
        async with opened(tmp_path, allowance=Allowance(calls=3)) as gate:
            statuses = [(await gate.post(str(number)))[0] for number in range(5)]
            _, error = await gate.post("again", OPTIMIZER)
            done = await asyncio.wait_for(gate.desk.closed(CALLER.arm, 0), 1.0) is None
            later = replace(CALLER, trial=1)
            gate.desk.admit(later.arm, 1)
            status, _ = await gate.post("0", later)
            return statuses, error, len(gate.model.asked), done, status

    statuses, error, asked, done, later = asyncio.run(run())
    assert statuses == [200, 200, 200, 402, 402]
    assert error["error"]["code"] == "budget_spent"
    assert "3 calls" in error["error"]["message"]
    assert done
    assert later == 200, "another trial goes on"
    assert asked == 4


def test_replayed_calls_count_so_that_a_resumed_trial_ends_where_an_undisturbed_one_does(
    tmp_path: Path,
) -> None:
    async def run() -> list[int]:
        async with opened(tmp_path, allowance=Allowance(calls=3)) as gate:
            return [(await gate.post(str(number)))[0] for number in range(5)]

    assert asyncio.run(run()) == asyncio.run(run()) == [200, 200, 200, 402, 402]


def test_what_the_command_may_pay_is_another_limit_and_replays_are_free(tmp_path: Path) -> None:
    async def run() -> tuple[list[int], list[str], bool]:
        async with opened(tmp_path, limits=Limits(calls=2)) as gate:
            found = [await gate.post(str(number)) for number in range(4)]
            codes = [value["error"]["code"] for status, value in found if status != 200]
            return [status for status, _ in found], codes[:1], gate.desk.broken.done()

    assert asyncio.run(run()) == ([200, 200, 402, 402], ["limit_reached"], True)
    assert asyncio.run(run())[0] == [200, 200, 200, 200]


def test_a_call_that_fails_for_good_is_an_error_and_counted(tmp_path: Path) -> None:
    async def run(folder: Path) -> tuple[list[int], list[str], Any]:
        async def answer(request: Request) -> Reply:
            if "filtered" in request.messages[0].content:
                raise CallError("rejected", "The content was filtered.", status=400, retryable=False)
            if "broken" in request.messages[0].content:
                raise CallError("server", "HTTP 500.", status=500, retryable=True)
            return Reply("fine", "stop", Usage(1, 1))

        async with opened(folder, model=Scripted(answer)) as gate:
            found = [await gate.post(text) for text in ("a", "filtered", "b", "broken", "c")]
            use = gate.desk.use(CALLER.arm, 0)["generator"]
            messages = [value["error"]["message"] for status, value in found if status != 200]
            return [status for status, _ in found], messages, use

    statuses, messages, use = asyncio.run(run(tmp_path))
    assert statuses == [200, 400, 200, 502, 200]
    assert "filtered" in messages[0]
    assert "HTTP 500" in messages[1]
    assert (use.calls, use.failed, use.paid, use.refused) == (5, 2, 3, 0)


def test_an_endpoint_that_is_down_ends_everything(tmp_path: Path) -> None:
    async def run() -> tuple[int, str, BaseException]:
        async def down(request: Request) -> Reply:
            raise CallError("connection", "Connection refused.", retryable=True)

        async with opened(tmp_path, model=Scripted(down)) as gate:
            await gate.post("a")
            status, value = await gate.post("b")
            return status, value["error"]["code"], gate.desk.broken.result()

    status, code, error = asyncio.run(run())
    assert (status, code) == (503, "endpoint_down")
    assert isinstance(error, EndpointError)


def test_requests_that_cannot_be_used_are_counted_and_cost_nothing(tmp_path: Path) -> None:
    async def run() -> tuple[list[int], int, int]:
        async with opened(tmp_path, allowance=Allowance(calls=1)) as gate:
            statuses = [
                (await gate.post("a", response_format={"type": "json_object"}))[0],
                (await gate.post("a", model="another"))[0],
                (await gate.post("a"))[0],
            ]
            use = gate.desk.use(CALLER.arm, 0)["generator"]
            return statuses, use.refused, use.calls

    assert asyncio.run(run()) == ([400, 404, 200], 2, 1)


def test_any_model_name_is_answered_where_that_is_asked_for(tmp_path: Path) -> None:
    async def run() -> str:
        async with opened(tmp_path, any_model=True) as gate:
            return await gate.text("a", model="gpt-whatever")

    assert asyncio.run(run()).startswith("a by draw")


def test_streams_are_counted_like_any_call(tmp_path: Path) -> None:
    async def run() -> tuple[bytes, int]:
        async with opened(tmp_path) as gate:
            status, raw = await gate.post("a", stream=True, stream_options={"include_usage": True})
            assert status == 200
            return raw, gate.desk.use(CALLER.arm, 0)["generator"].paid

    raw, paid = asyncio.run(run())
    assert raw.endswith(b"data: [DONE]\n\n")
    assert b"a by draw" in raw
    assert paid == 1


def test_only_issued_keys_are_answered_and_health_without_one(tmp_path: Path) -> None:
    async def get(gate: Open, path: str, key: str | None, method: str = "GET") -> tuple[int, Any]:
        url = gate.gateway.base_url.removesuffix("/v1") + path
        headers = {} if key is None else {"Authorization": key}
        async with gate.client.request(method, url, headers=headers) as response:
            return response.status, await response.json()

    async def run() -> None:
        async with opened(tmp_path) as gate:
            key = f"Bearer {gate.key()}"
            assert await get(gate, "/health", None) == (200, {"status": "ok"})
            for wrong in (None, "Bearer ", "Bearer sk-1", f"{key}x", gate.key(), "Basic x"):
                status, value = await get(gate, "/v1/models", wrong)
                assert (status, value["error"]["code"]) == (401, "invalid_api_key")
            status, value = await get(gate, "/v1/models", key)
            assert [one["id"] for one in value["data"]] == ["script:test", "test"]
            assert (await get(gate, "/v1/models/test", key))[1]["id"] == "test"
            assert (await get(gate, "/v1/models/another", key))[0] == 404
            assert (await get(gate, "/v1/chat/completions", key))[0] == 405
            assert (await get(gate, "/v1/embeddings", key, "POST"))[0] == 404
            assert (await get(gate, "/nullgrad/score", key, "POST"))[0] == 404
            gate.gateway.withdraw(gate.key())
            assert (await get(gate, "/v1/models", key))[0] == 401
            assert not gate.model.asked

    asyncio.run(run())


def test_long_bodies_are_read_whole_in_parts_and_after_a_question(tmp_path: Path) -> None:
    async def parts(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    async def run() -> list[str]:
        text = "long " * 600_000
        body = json.dumps({"model": "test", "messages": [{"role": "user", "content": text}]}).encode()
        texts = []
        async with opened(tmp_path) as gate:
            headers = {"Authorization": f"Bearer {gate.key()}"}
            url = f"{gate.gateway.base_url}/chat/completions"
            for data, expect in ((body, False), (body, True), (parts(body), False)):
                async with gate.client.post(url, data=data, headers=headers, expect100=expect) as response:
                    value = await response.json()
                    texts.append(value["choices"][0]["message"]["content"])
        assert all(one.startswith(text) for one in texts)
        return texts

    assert len(set(asyncio.run(run()))) == 3


def test_a_body_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nullgrad.edges.gateway import server as edge

    monkeypatch.setattr(edge, "MOST_BYTES", 100)

    async def run() -> tuple[int, int]:
        async with opened(tmp_path) as gate:
            return (await gate.post("x" * 200))[0], (await gate.post("x"))[0]

    assert asyncio.run(run()) == (413, 200)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as gate:
            from nullgrad.edges.gateway.server import Gateway

            with pytest.raises(UserError, match="--port"):
                await Gateway(gate.desk).start(port=gate.gateway.port)

    asyncio.run(run())


def test_outputs_are_scored_by_the_target_that_the_process_was_given(tmp_path: Path) -> None:
    view = make_view()

    async def run() -> list[Any]:
        async with opened(tmp_path, view=view) as gate:
            asked = [
                ("train0", "yes", "yes"),
                ("train0", "yes", "no"),
                ("train0", "perhaps", "yes"),
                ("test0", "a", "b"),
            ]
            return [(await gate.score(id_, text, target))[1] for id_, text, target in asked]

    right, wrong, unparsed, unknown = asyncio.run(run())
    assert right == {"score": 1.0, "answer": "yes"}
    assert wrong == {"score": 0.0, "answer": "yes"}
    assert (unparsed["score"], unparsed["unparsed"]) == (0.0, "not-a-label")
    assert unknown["error"]["code"] == "invalid_value"


def test_a_judge_is_asked_once_for_the_same_output_and_counts(tmp_path: Path) -> None:
    scorer = make_scorer("judge", options={"rubric": "Be right."}, judge_words=load_pack("standard")["judge"])
    view = replace(make_view(), scorer=scorer)

    async def run() -> tuple[list[Any], int, dict[str, Any]]:
        async def answer(request: Request) -> Reply:
            if "nonsense" in request.messages[-1].content:
                return Reply("I cannot say.", "stop", Usage(1, 1))
            return Reply("Score: 80", "stop", Usage(1, 1))

        async with opened(tmp_path, model=Scripted(answer), view=view, allowance=Allowance(calls=3)) as gate:
            found = [await gate.score("train0", text, "yes") for text in ("fine", "fine", "nonsense", "more")]
            return found, len(gate.model.asked), gate.desk.use(CALLER.arm, 0)

    found, asked, use = asyncio.run(run())
    assert found[0] == found[1] == (200, {"score": 0.8, "answer": "fine"})
    assert found[2][0] == 502, "a judge without a score is a missing score, never a zero"
    assert found[3][0] == 402
    assert asked == 2
    assert use["judge"].calls == 3


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.org", "::"])
def test_others_cannot_reach_it_unless_that_is_asked_for(host: str) -> None:
    with pytest.raises(UserError, match="--expose"):
        check_host(host, exposed=False)
    check_host(host, exposed=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_is_fine(host: str) -> None:
    check_host(host, exposed=False)


def test_keys_are_kept_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    assert read_keys(path) == {}
    keys = {"generator": "ng-0123456789abcdefghijk"}
    write_keys(path, "http://127.0.0.1:1/v1", keys)
    assert read_keys(path) == keys
    assert json.loads(path.read_text())["base_url"] == "http://127.0.0.1:1/v1"
    assert path.stat().st_mode & 0o077 == 0
    os.chmod(path, 0o644)
    with pytest.raises(UserError, match="chmod 600"):
        read_keys(path)


@pytest.mark.parametrize("text", ["", "[]", '{"keys": []}', '{"keys": {"generator": "short"}}'])
def test_what_is_no_key_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UserError, match="no file of a gateway's keys"):
        read_keys(path)
