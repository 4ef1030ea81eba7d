"""A real model inside this process: llama.cpp (package `xllamacpp`) over weights in GGUF.

The engine is a thread of the process, so that nothing is left behind when it is killed; calls reach it over
loopback HTTP, so that a cancelled call is dropped by the engine too.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nullgrad.core.chat import Reply, Request, TokenLogprob, Usage
from nullgrad.edges.models.weights import KNOWN, Notice, fetch_weights, fetched, file_sha256, known_weights
from nullgrad.errors import CallError, UserError

if TYPE_CHECKING:
    import aiohttp

PREFIX = "local:"
"""How the name of an embedded model begins."""

CALL_SECONDS = 1800
"""How long one call may take, in seconds, before it counts as hanging."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of the engine that can change its replies; part of a model's identity.

    Attributes:
        slots: requests worked on side by side.
        context: tokens of prompt and reply together, per request.
    """

    slots: int = 8
    context: int = 4096


def local_models() -> list[tuple[str, str, bool]]:
    """Name, description and whether it is fetched, of every model that can be fetched."""
    return [(PREFIX + name, description, fetched(name)) for name, description in known_weights().items()]


class LocalModel:
    """`local:NAME` or `local:/path/to/file.gguf` as a `Model`.

    Thinking is switched off where the weights' chat template knows such a switch.

    Args:
        name: as the user wrote it.
        settings: of the engine.
        on_notice: told before weights are fetched.

    Raises:
        UserError: the engine is not installed, the name is unknown, or the file cannot be read.
    """

    simulated = False
    constrains = True
    max_logprobs = 20
    """As many as the usual endpoints give. They are the distribution before the grammar."""

    def __init__(
        self, name: str, settings: EngineSettings | None = None, on_notice: Notice | None = None
    ) -> None:
        self.name = name
        self._settings = settings or EngineSettings()
        self._notice = on_notice or (lambda text: None)
        self._engine_version = _engine_version()
        self._known = name.removeprefix(PREFIX)
        self._file: Path | None = None
        if self._known in KNOWN:
            digest = KNOWN[self._known].sha256
        elif self._known.endswith(".gguf") or os.sep in self._known:
            self._file = Path(self._known).expanduser()
            digest = file_sha256(self._file)
        else:
            raise UserError(
                f"There is no local model {name!r}.",
                "Nothing was run.",
                f"Known: {', '.join(PREFIX + one for one in KNOWN)}; or write local:/path/to/file.gguf.",
            )
        self.identity = (
            f"local:sha256={digest};engine=xllamacpp-{self._engine_version};"
            f"slots={self._settings.slots};context={self._settings.context}"
        )
        self.max_concurrency: int | None = self._settings.slots
        self._server: Any = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Fetch the weights if they are not there, and load them.

        Raises:
            UserError: the weights cannot be had or loaded.
        """
        import aiohttp

        if self._session is not None:
            return
        path = self._file
        if path is None:
            path = await asyncio.to_thread(fetch_weights, self._known, self._notice)
        # Other processes of this machine can reach the port as well; only this one knows the key.
        key = secrets.token_urlsafe(24)
        self._server = await asyncio.to_thread(_start, path, self._settings, key, self.name)
        self._session = aiohttp.ClientSession(
            self._server.listening_address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def call(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            CallError: `rejected` when the request does not fit into the context or the engine refuses it;
                `timeout`, `connection`, `server` or `malformed` when the engine fails.
        """
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        prompt = (await self._post("/apply-template", {"messages": messages})).get("prompt")
        if not isinstance(prompt, str):
            raise CallError("malformed", f"{self.name} did not render the messages.", retryable=False)
        return self._reply(await self._post("/completion", _body(prompt, request)))

    async def close(self) -> None:
        """Drop the calls in flight and unload the weights. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        server, self._server = self._server, None
        if server is not None:
            holder = [server]
            del server
            # The last reference goes in a thread: the engine's end is waited for, and the loop must not stand.
            await asyncio.to_thread(holder.clear)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import aiohttp

        if self._session is None:
            raise CallError("connection", f"{self.name} is not open.", retryable=False)
        try:
            async with self._session.post(path, json=body) as response:
                status = response.status
                answer = await response.json(content_type=None)
        except TimeoutError:
            raise CallError(
                "timeout", f"{self.name} did not answer within {CALL_SECONDS} seconds.", retryable=True
            ) from None
        except aiohttp.ClientError as error:
            what = f"The engine of {self.name} cannot be reached: {error or type(error).__name__}."
            raise CallError("connection", what, retryable=True) from error
        except ValueError as error:
            what = f"The engine of {self.name} answered with something that is no JSON."
            raise CallError("malformed", what, status=status, retryable=True) from error
        if not isinstance(answer, dict):
            raise CallError(
                "malformed", f"The engine of {self.name} answered with no object.", retryable=True
            )
        if status != 200 or "error" in answer:
            raise self._refusal(status, answer.get("error"))
        return answer

    def _refusal(self, status: int, error: Any) -> CallError:
        detail = error if isinstance(error, dict) else {"message": str(error)}
        if detail.get("type") == "exceed_context_size_error":
            what = (
                f"The request is {detail.get('n_prompt_tokens', 'more')} tokens long, and {self.name} takes "
                f"{detail.get('n_ctx', self._settings.context)} with the reply."
            )
            return CallError("rejected", what, status=status, retryable=False)
        what = f"The engine of {self.name} says: {str(detail.get('message', 'nothing')).rstrip('.')}."
        if 400 <= status < 500:
            return CallError("rejected", what, status=status, retryable=False)
        return CallError("server", what, status=status, retryable=True)

    def _reply(self, answer: dict[str, Any]) -> Reply:
        try:
            return Reply(
                text=str(answer["content"]),
                finish_reason="length" if answer["stop_type"] == "limit" else "stop",
                usage=Usage(
                    prompt=int(answer["tokens_evaluated"]),
                    completion=int(answer["tokens_predicted"]),
                    cached=int(answer["timings"]["cache_n"]),
                ),
                served_model=self._known if self._file is None else self._file.name,
                fingerprint=f"xllamacpp-{self._engine_version}",
                logprobs=tuple(_token(one) for one in answer.get("completion_probabilities") or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"The engine of {self.name} answered in an unknown form ({type(error).__name__}: {error})."
            raise CallError("malformed", what, retryable=True) from error


def grammar(choices: tuple[str, ...]) -> str:
    """The GBNF grammar that allows exactly these texts."""
    return "root ::= " + " | ".join(f'"{_escaped(choice)}"' for choice in choices)


def _escaped(text: str) -> str:
    def one(character: str) -> str:
        if character in '\\"':
            return "\\" + character
        code = ord(character)
        return f"\\x{code:02X}" if code < 0x20 or code == 0x7F else character

    return "".join(one(character) for character in text)


def _body(prompt: str, request: Request) -> dict[str, Any]:
    """A request in the engine's own form; only what the user set is named."""
    sampling = request.sampling
    body: dict[str, Any] = {"prompt": prompt, "seed": request.seed, "cache_prompt": True, "stream": False}
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.max_tokens is not None:
        body["n_predict"] = sampling.max_tokens
    elif request.choices:
        # A token is at least one byte; one more ends the reply.
        body["n_predict"] = max(len(choice.encode()) for choice in request.choices) + 1
    if request.choices:
        body["grammar"] = grammar(request.choices)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.logprobs:
        body["n_probs"] = request.logprobs
    return body


def _token(one: dict[str, Any]) -> TokenLogprob:
    top = tuple((str(other["token"]), float(other["logprob"])) for other in one.get("top_logprobs") or ())
    return TokenLogprob(str(one["token"]), float(one["logprob"]), top)


def _engine_version() -> str:
    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        raise UserError(
            "A local model needs the package xllamacpp, which is not installed.",
            "Nothing was run.",
            "pip install 'nullgrad[local]'",
        ) from None


def _start(path: Path, settings: EngineSettings, key: str, name: str) -> Any:
    """Load the weights; blocks for seconds."""
    try:
        import xllamacpp  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            f"The package xllamacpp cannot be imported: {error}.",
            "Nothing was run.",
            "Install it anew: pip install --force-reinstall xllamacpp",
        ) from error

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.api_keys = [key]
    params.n_parallel = settings.slots
    params.n_ctx = settings.context * settings.slots
    threads = _threads()
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    # Idle threads sleep instead of spinning: as quick alone, and several times quicker beside other work.
    params.cpuparams.poll = 0
    params.cpuparams_batch.poll = 0
    params.enable_reasoning = 0
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.ui = False
    params.verbosity = -1
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The weights of {name} cannot be loaded: {error}",
            "Nothing was run.",
            "Check that the file is a GGUF of a model that llama.cpp knows and that there is enough memory.",
        ) from error


def _threads() -> int:
    """As many as this process may use, at most 8: the engine's threads spin, and small models gain no more."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, allowed))
