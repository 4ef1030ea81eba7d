"""Any OpenAI-compatible endpoint: chat completions as one POST over aiohttp."""

from __future__ import annotations

import email.utils
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nullgrad.core.chat import Reply, Request, TokenLogprob, Usage
from nullgrad.errors import CallError, EndpointError, UserError

if TYPE_CHECKING:
    import aiohttp

OFFICIAL = "https://api.openai.com/v1"
PREFIX = "openai/"

OVERLOADED = frozenset({429, 503, 529})
RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})

FLAGS = {
    "temperature": "--temperature",
    "top_p": "--top-p",
    "max_tokens": "--max-completion",
    "max_completion_tokens": "--max-completion",
    "seed": "--no-seed",
    "logprobs": "--no-logprobs",
}
"""What the user changes when an endpoint refuses a parameter."""

_WORDS = re.compile(r"[a-z_]+")


class OpenAIModel:
    """One model of one endpoint, as a `Model`.

    Args:
        model: the endpoint's name of the model.
        base_url: None takes OPENAI_BASE_URL, else the official endpoint.
        endpoint_name: declared name of the endpoint, part of the identity; None takes the base URL.
        send_seed: whether the draw is sent as `seed`.
        timeout: seconds that one call may take.
    """

    simulated = False
    constrains = False
    max_concurrency: int | None = None
    max_logprobs = 20

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        timeout: float = 120.0,
    ) -> None:
        self._base = (base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")
        if urlsplit(self._base).scheme not in ("http", "https") or not urlsplit(self._base).netloc:
            raise UserError(
                f"The base URL {self._base!r} is no http(s) address.",
                "Nothing was asked.",
                "Give --base-url such as http://127.0.0.1:8000/v1.",
            )
        self._url = f"{self._base}/chat/completions"
        self._model = model
        self._send_seed = send_seed
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._head = f'{{"model":{json.dumps(model)},"messages":['
        self.base_url = self._base
        self.name = PREFIX + model
        self.identity = json.dumps(
            {"endpoint": endpoint_name or self._base, "model": model, "seed": send_seed},
            separators=(",", ":"),
        )

    async def open(self) -> None:
        """Check that there is a key where one is needed, and make the session.

        Raises:
            UserError: the official endpoint needs OPENAI_API_KEY.
        """
        import aiohttp

        if self._session is not None:
            return
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and urlsplit(self._base).hostname == "api.openai.com":
            raise UserError(
                "There is no key: OPENAI_API_KEY is not set.",
                "The endpoint would refuse every call, so nothing was asked.",
                "Set OPENAI_API_KEY, or give --base-url for an endpoint of your own.",
            )
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=10),
            auto_decompress=True,
        )

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def call(self, request: Request) -> Reply:
        """One POST; no retries.

        Raises:
            CallError: this call failed.
            UserError: wrong key, unknown model, or a parameter that the endpoint refuses.
            EndpointError: the account's quota is spent.
        """
        import aiohttp

        if self._session is None:
            raise UserError("The model is not open.", "Nothing was asked.", "Call open() first.")
        try:
            async with self._session.post(self._url, data=self._body(request)) as response:
                raw = await response.read()
                status = response.status
                if status != 200:
                    raise self._refused(status, raw, response.headers)
                kind = response.headers.get("Content-Type", "")
        except TimeoutError:
            raise CallError("timeout", f"No answer within {self._timeout:.0f} s.", retryable=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallError("connection", f"{type(error).__name__}: {error}.", retryable=True) from None
        return read_reply(raw, kind)

    def _body(self, request: Request) -> bytes:
        """The JSON body: only what the user set is in it."""
        messages = ",".join(
            f'{{"role":"{message.role}","content":{json.dumps(message.content)}}}'
            for message in request.messages
        )
        more: dict[str, Any] = {}
        sampling = request.sampling
        if sampling.temperature is not None:
            more["temperature"] = sampling.temperature
        if sampling.top_p is not None:
            more["top_p"] = sampling.top_p
        if sampling.max_tokens is not None:
            more["max_tokens"] = sampling.max_tokens
        if request.stop:
            more["stop"] = list(request.stop)
        if request.logprobs:
            more["logprobs"], more["top_logprobs"] = True, min(request.logprobs, self.max_logprobs)
        if self._send_seed:
            more["seed"] = request.seed
        tail = json.dumps(more)[1:]
        return f"{self._head}{messages}]{',' if more else ''}{tail}".encode("utf-8", "surrogatepass")

    def _refused(self, status: int, raw: bytes, headers: Any) -> Exception:
        """The error that a status other than 200 means."""
        message, code = _error_of(raw)
        said = f"HTTP {status}: {message}" if message else f"HTTP {status}."
        if status in (401, 403):
            return UserError(
                f"The endpoint {self._base} refuses the key ({_mask(said)})",
                "No call can succeed, so the run stopped; nothing was retried.",
                "Check OPENAI_API_KEY and --base-url.",
            )
        if status == 404:
            return UserError(
                f"The endpoint {self._base} knows no model {self._model!r}, or is no chat-completions endpoint ({said})",
                "No call can succeed, so the run stopped.",
                "Check --model and --base-url (it usually ends in /v1).",
            )
        if status == 429 and code in ("insufficient_quota", "billing_hard_limit_reached"):
            return EndpointError(
                f"The account's quota is spent ({said})",
                "The run is suspended; every reply paid for is in the ledger.",
                "Raise the quota, then run the same command again.",
            )
        if status in (400, 422):
            named = _parameter(raw, message)
            if named is not None:
                return UserError(
                    f"The endpoint {self._base} refuses the parameter {named!r} ({said})",
                    "No call can succeed with it, so the run stopped.",
                    f"{'Add' if FLAGS[named].startswith('--no') else 'Drop'} {FLAGS[named]}.",
                )
        return CallError(
            "rate-limit"
            if status == 429
            else "overloaded"
            if status in OVERLOADED
            else "server"
            if status >= 500
            else "rejected",
            said,
            status=status,
            retryable=status in RETRYABLE,
            retry_after=_retry_after(headers),
            overloaded=status in OVERLOADED,
        )


def read_reply(raw: bytes, content_type: str) -> Reply:
    """The reply in a chat completion.

    Raises:
        CallError: it is none; the same request may succeed later.
    """

    def malformed(what: str) -> CallError:
        start = raw[:120].decode("utf-8", "replace")
        return CallError("malformed", f"The endpoint's answer {what}: {start!r}.", status=200, retryable=True)

    if content_type and "json" not in content_type.lower():
        raise malformed(f"is {content_type!r} and no JSON")
    try:
        value = json.loads(raw)
    except ValueError:
        raise malformed("is no valid JSON") from None
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise malformed("holds no choice")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise malformed("holds no message")
    text, finish = message.get("content"), choice.get("finish_reason") or ""
    if isinstance(text, list):
        text = "".join(part.get("text") or "" for part in text if isinstance(part, dict))
    if text is None and message.get("refusal"):
        text, finish = message["refusal"], "refusal"
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise malformed("holds content that is no text")
    return Reply(
        text,
        str(finish),
        _usage(value.get("usage")),
        str(value.get("model") or ""),
        str(value.get("system_fingerprint") or ""),
        _logprobs(choice.get("logprobs")),
    )


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    prompt, completion = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    return Usage(
        _count(value.get("prompt_tokens")),
        _count(value.get("completion_tokens")),
        _count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None,
        _count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return ()
    return tuple(
        TokenLogprob(
            str(one.get("token", "")),
            float(one.get("logprob", 0.0)),
            tuple(
                (str(top.get("token", "")), float(top.get("logprob", 0.0)))
                for top in one.get("top_logprobs") or ()
            ),
        )
        for one in content
        if isinstance(one, dict)
    )


def _error_of(raw: bytes) -> tuple[str, str]:
    """Message and code of an error body, "" where there is none."""
    try:
        value = json.loads(raw)
    except ValueError:
        return raw[:200].decode("utf-8", "replace").strip(), ""
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, dict):
        return str(error.get("message") or error.get("detail") or "")[:400], str(
            error.get("code") or error.get("type") or ""
        )
    return str(error)[:400], ""


def _parameter(raw: bytes, message: str) -> str | None:
    """The parameter that an error names, if a flag sets it."""
    try:
        value = json.loads(raw)
        named = value["error"].get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        named = None
    if isinstance(named, str) and named in FLAGS:
        return named
    lowered = message.lower()
    if not any(
        word in lowered
        for word in (
            "unsupported",
            "not support",
            "unknown",
            "unrecognized",
            "not permitted",
            "not allowed",
            "extra input",
        )
    ):
        return None
    return next((word for word in _WORDS.findall(lowered) if word in FLAGS), None)


def _retry_after(headers: Any) -> float | None:
    """Seconds that the endpoint asks to wait, None if it did not say."""
    milliseconds, after = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if after is None:
            return None
        return max(0.0, float(after))
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(str(after))
        except (TypeError, ValueError):
            return None
        return max(0.0, moment.timestamp() - time.time())


def _mask(text: str) -> str:
    """Endpoints repeat parts of a key; none is shown."""
    return re.sub(r"\b(sk|pk|key)-[\w*.-]+", "[key]", text)
