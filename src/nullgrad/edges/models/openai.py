"""Any OpenAI-compatible endpoint: chat completions as one POST over aiohttp."""

from __future__ import annotations

import email.utils
import json
import os
import re
import time
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

from nullgrad.core.chat import Reply, Request, TokenLogprob, Usage
from nullgrad.errors import CallError, EndpointError, NullgradError, UserError

if TYPE_CHECKING:
    import aiohttp

OFFICIAL = "https://api.openai.com/v1"
PREFIX = "openai/"
CONNECT_SECONDS = 10
"""How long connecting may take, in seconds."""

Constrain = Literal["none", "vllm", "llamacpp"]
"""How an endpoint is told the allowed replies: vLLM's `structured_outputs` (0.11 or later), llama.cpp's `grammar`."""

OVERLOADED = frozenset({429, 503, 529})
NOT_NOW = frozenset({408, 409, 425, 429})
NEVER = frozenset({501, 505})
QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"})
CONTENT = frozenset({"content_filter", "content_policy_violation", "context_length_exceeded"})

REMEDIES = {
    "temperature": "Drop --temperature and --optimizer-temperature, or give a value that the model takes.",
    "top_p": "Drop --top-p, or give a value that the model takes.",
    "max_tokens": "Drop --max-completion, or give a value that the model takes.",
    "max_completion_tokens": "Drop --max-completion, or give a value that the model takes.",
    "stop": "Use --words standard, whose messages need no stop.",
    "seed": "Add --no-seed.",
    "logprobs": "Open the model with logprobs=False.",
    "top_logprobs": "Open the model with logprobs=False.",
    "grammar": 'Open the model with constrain="none".',
    "structured_outputs": 'Open the model with constrain="none".',
}
"""What the user changes when an endpoint refuses a parameter."""

_REFUSES = re.compile(
    r"unsupported|not support|unknown|unrecognized|unexpected|not permitted|not allowed|not a valid|extra input"
    r"|extra_forbidden|cannot both|invalid|deprecated|should be|must be|out of range|at most|too (?:large|high)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:['\"`\[]|body\.|\b(?:parameter|argument|field|name|property|key|supplied|invalid):?\s+|^)"
    rf"({'|'.join(sorted(REMEDIES, key=len, reverse=True))})\b",
    re.IGNORECASE,
)
_NEAR = 80
"""In an error, so many characters at most lie between a parameter and its refusal; an echoed prompt is longer."""


class OpenAIModel:
    """One model of one endpoint, as a `Model`.

    A model that takes `max_completion_tokens` instead of `max_tokens` refuses the first call for free; that call
    and all later ones are then sent with the other name. The limit means the same, so the identity stays.

    Args:
        model: the endpoint's name of the model.
        base_url: None takes OPENAI_BASE_URL, else the official endpoint.
        endpoint_name: declared name of the endpoint, part of the identity, so that replies are found again after
            the endpoint has moved; None takes the base URL.
        send_seed: whether the draw is sent as `seed`.
        timeout: seconds that one call may take.
        constrain: how the endpoint holds replies to `Request.choices`, `none` where it cannot.
        logprobs: whether the endpoint gives log-probabilities.

    Attributes:
        limit_parameter: the name under which the limit of a reply is sent.

    Raises:
        UserError: the base URL cannot be used.
    """

    simulated = False
    max_concurrency: int | None = None

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
        timeout: float = 120.0,
        constrain: Constrain = "none",
        logprobs: bool = True,
    ) -> None:
        if constrain not in ("none", "vllm", "llamacpp"):
            raise UserError(
                f"{constrain!r} is no way to constrain replies.",
                "Nothing was asked.",
                "Give none, vllm or llamacpp.",
            )
        self._base = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
        self._parts = _checked(self._base)
        self._base = f"{self._parts.scheme}://{self._parts.netloc.lower()}{self._parts.path}".rstrip("/")
        self._url = f"{self._base}/chat/completions"
        self._model = model
        self._send_seed = send_seed
        self._timeout = timeout
        self._constrain = constrain
        self._key = ""
        self._proxy: str | None = None
        self._session: aiohttp.ClientSession | None = None
        self._head = f'{{"model":{json.dumps(model)},"messages":['
        self.limit_parameter = "max_tokens"
        self.constrains = constrain != "none"
        self.max_logprobs = 20 if logprobs else 0
        self.base_url = self._base
        self.name = PREFIX + model
        declared: dict[str, Any] = {
            "endpoint": endpoint_name or self._base,
            "model": model,
            "seed": send_seed,
        }
        if self.constrains:
            declared["constrain"] = constrain
        self.identity = json.dumps(declared, separators=(",", ":"))

    async def open(self) -> None:
        """Check that there is a key where one is needed, and make the session.

        Raises:
            UserError: the official endpoint needs OPENAI_API_KEY, or what it holds cannot be a key.
        """
        import aiohttp

        if self._session is not None:
            return
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and self._parts.hostname == "api.openai.com":
            raise UserError(
                "There is no key: OPENAI_API_KEY is not set.",
                "The endpoint would refuse every call, so nothing was asked.",
                "Set OPENAI_API_KEY, or give --base-url for an endpoint of your own.",
            )
        if not (key.isascii() and (key.isprintable() and " " not in key)):
            raise UserError(
                "OPENAI_API_KEY holds characters that no key has.",
                "It cannot be sent, so nothing was asked.",
                "Set it to the key alone, on one line.",
            )
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._key = key
        self._proxy = _proxy(self._parts)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def call(self, request: Request) -> Reply:
        """Ask once; no retries.

        Raises:
            CallError: this call failed.
            UserError: wrong key, unknown model, a parameter that the endpoint refuses, or choices that it ignores.
            EndpointError: the account's quota is spent.
        """
        limit = self.limit_parameter
        status, raw, headers = await self._post(self._body(request, limit))
        if status == 400 and limit == "max_tokens" and _takes_other_limit(raw):
            self.limit_parameter = "max_completion_tokens"
            status, raw, headers = await self._post(self._body(request, self.limit_parameter))
        if status != 200:
            raise self._refused(status, raw, headers)
        reply = read_reply(raw, headers.get("Content-Type", ""))
        if (
            self.constrains
            and request.choices
            and reply.finish_reason == "stop"
            and reply.text.strip() not in request.choices
        ):
            raise UserError(
                f"The endpoint {self._base} does not hold replies to the choices: it answered {reply.text[:80]!r}.",
                "Its answers would count as constrained and are not, so the run stopped.",
                f'Open the model with constrain="none"; {self._constrain!r} fits another kind of server.',
            )
        return reply

    async def _post(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        import aiohttp

        if self._session is None:
            raise UserError("The model is not open.", "Nothing was asked.", "Call open() first.")
        try:
            # A redirect would be followed as a GET, and might carry the key elsewhere.
            async with self._session.post(
                self._url, data=body, proxy=self._proxy, allow_redirects=False
            ) as response:
                return response.status, await response.read(), response.headers
        except aiohttp.ServerTimeoutError:
            what = f"No connection to {self._base} within {CONNECT_SECONDS} s."
            raise CallError("timeout", what, retryable=True) from None
        except TimeoutError:
            raise CallError("timeout", f"No answer within {self._timeout:g} s.", retryable=True) from None
        except (aiohttp.ClientError, OSError) as error:
            what = f"{type(error).__name__}: {self._mask(str(error))}."
            raise CallError("connection", what, retryable=True) from None

    def _body(self, request: Request, limit: str) -> bytes:
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
            more[limit] = sampling.max_tokens
        if request.stop:
            more["stop"] = list(request.stop)
        if request.logprobs:
            more["logprobs"], more["top_logprobs"] = True, min(request.logprobs, self.max_logprobs)
        if request.choices and self._constrain == "vllm":
            more["structured_outputs"] = {"choice": list(request.choices)}
        elif request.choices and self._constrain == "llamacpp":
            from nullgrad.edges.models.local import grammar

            more["grammar"] = grammar(request.choices)
        if self._send_seed:
            more["seed"] = request.seed
        tail = json.dumps(more)[1:]
        return f"{self._head}{messages}]{',' if more else ''}{tail}".encode("ascii")

    def _mask(self, text: str) -> str:
        """Endpoints repeat the key or parts of it; none is shown."""
        if self._key:
            text = text.replace(self._key, "[key]")
        return re.sub(r"\b(sk|pk|key)-[\w*.-]+|\b\w{2,}\*{3,}[\w*]*", "[key]", text)

    def _refused(self, status: int, raw: bytes, headers: Mapping[str, str]) -> NullgradError:
        """The error that a status other than 200 means."""
        message, code = _error_of(raw)
        message = self._mask(message)
        said = f"HTTP {status}: {message}" if message else f"HTTP {status}."
        briefly = said.rstrip(".")
        lowered = message.lower()
        flagged = code in CONTENT or "moderation" in lowered or "flagged" in lowered
        if status == 402 or (status == 429 and code in QUOTA):
            return EndpointError(
                f"The account's quota is spent ({briefly}).",
                "The run is suspended; every reply paid for is in the ledger.",
                "Raise the quota, then run the same command again.",
            )
        if status in (401, 407) or (status == 403 and not flagged) or (status == 400 and _bad_key(lowered)):
            return UserError(
                f"The endpoint {self._base} refuses the key ({briefly}).",
                "No call can succeed, so the run stopped; nothing was retried.",
                "Check OPENAI_API_KEY and --base-url.",
            )
        if status in (404, 405) or (status == 400 and code == "model_not_found"):
            return UserError(
                f"The endpoint {self._base} knows no model {self._model!r}, or is no chat-completions endpoint ({briefly}).",
                "No call can succeed, so the run stopped.",
                "Check --model and --base-url (it usually ends in /v1).",
            )
        if 300 <= status < 400:
            return UserError(
                f"The endpoint {self._base} sends calls on to {headers.get('Location', 'another address')!r}.",
                "The key is not sent there unasked, so the run stopped.",
                "Give that address, without /chat/completions, as --base-url.",
            )
        if status in (400, 422) and not flagged:
            named = refused_parameter(raw, message)
            if named is not None:
                return UserError(
                    f"The endpoint {self._base} refuses the parameter {named!r} ({briefly}).",
                    "No call can succeed with it, so the run stopped.",
                    REMEDIES[named],
                )
        return failure(status, said, _retry_after(headers))


def failure(status: int, said: str, retry_after: float | None = None) -> CallError:
    """The failed call that a status stands for."""
    if status == 429:
        kind = "rate-limit"
    elif status in OVERLOADED:
        kind = "overloaded"
    elif status == 408:
        kind = "timeout"
    elif status >= 500:
        kind = "server"
    else:
        kind = "rejected"
    return CallError(
        kind,
        said,
        status=status,
        retryable=status in NOT_NOW or (status >= 500 and status not in NEVER),
        retry_after=retry_after,
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
    except (ValueError, RecursionError):
        raise malformed("is no valid JSON") from None
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        code = _status_within(value)
        if code is not None:
            # Routers answer 200 and put the status of the provider behind them into the body.
            raise failure(code, f"HTTP {code} within the answer: {_error_of(raw)[0]}")
        raise malformed("holds no choice")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise malformed("holds no message")
    text, finish = message.get("content"), choice.get("finish_reason") or ""
    if isinstance(text, list):
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    if text is None and message.get("refusal"):
        text, finish = message["refusal"], "refusal"
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise malformed("holds content that is no text")
    try:
        logprobs = _logprobs(choice.get("logprobs"))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise malformed("holds log-probabilities that cannot be read") from None
    return Reply(
        text,
        str(finish),
        _usage(value.get("usage")),
        str(value.get("model") or ""),
        str(value.get("system_fingerprint") or ""),
        logprobs,
    )


def _status_within(value: Any) -> int | None:
    """The HTTP status in an error that came with status 200, None where there is none."""
    error = value.get("error") if isinstance(value, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None


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
            float(one["logprob"]),
            tuple(
                (str(top.get("token", "")), float(top["logprob"])) for top in one.get("top_logprobs") or ()
            ),
        )
        for one in content
    )


def _error_of(raw: bytes) -> tuple[str, str]:
    """Message and code of an error body, "" where there is none."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:200].decode("utf-8", "replace").strip(), ""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or ""
        return str(message)[:400], str(error.get("code") or error.get("type") or "")
    return str(error)[:400], ""


def refused_parameter(raw: bytes, message: str) -> str | None:
    """The parameter that an error refuses, if it is one of `REMEDIES`; a request that is too long names none."""
    if "context" in message.lower():
        return None
    try:
        named = json.loads(raw)["error"]["param"]
    except (ValueError, KeyError, TypeError, RecursionError):
        named = None
    if isinstance(named, str) and named in REMEDIES:
        return named
    refusals = [match.span() for match in _REFUSES.finditer(message)]
    for match in _NAMED.finditer(message):
        if any(start - match.end() <= _NEAR and match.start() - end <= _NEAR for start, end in refusals):
            return match[1].lower()
    return None


def _takes_other_limit(raw: bytes) -> bool:
    """Whether an error refuses `max_tokens` in favour of `max_completion_tokens`."""
    return b"max_completion_tokens" in raw and refused_parameter(raw, _error_of(raw)[0]) == "max_tokens"


def _bad_key(message: str) -> bool:
    return ("api key" in message or "api_key" in message) and any(
        word in message for word in ("invalid", "not valid", "incorrect", "missing", "expired")
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait, None if it did not say."""
    milliseconds, after = headers.get("retry-after-ms"), headers.get("Retry-After")
    for text, unit in ((milliseconds, 0.001), (after, 1.0)):
        try:
            seconds = float(text or "") * unit
        except ValueError:
            continue
        # "nan" and "inf" are numbers to Python and no time to wait.
        if 0 <= seconds < 1e9:
            return seconds
    try:
        moment = email.utils.parsedate_to_datetime(str(after))
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())


def _checked(base: str) -> SplitResult:
    """The parts of a base URL.

    Raises:
        UserError: it is no http(s) address, or holds more than scheme, host, port and path.
    """
    shown = re.sub(r"//[^/@]*@", "//…@", base.partition("?")[0])
    try:
        parts = urlsplit(base)
        _ = parts.port
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UserError(
            f"The base URL {shown!r} is no http(s) address.",
            "Nothing was asked.",
            "Give --base-url such as http://127.0.0.1:8000/v1.",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(
            f"The base URL {shown!r} holds more than an address.",
            "It is recorded with every reply and must hold no secret, so nothing was asked.",
            "Give scheme, host, port and path alone, and the key as OPENAI_API_KEY.",
        )
    return parts


def _proxy(parts: SplitResult) -> str | None:
    """The proxy that the environment names for this address; never one for loopback."""
    host = parts.hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1" or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
