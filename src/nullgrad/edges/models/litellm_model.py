"""`litellm/PROVIDER/MODEL` for whatever is not OpenAI-compatible; needs the extra `litellm`."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from nullgrad.core.chat import Reply, Request
from nullgrad.edges.models.openai import QUOTA, REMEDIES, read_reply, refused_parameter
from nullgrad.errors import CallError, EndpointError, NullgradError, UserError

PREFIX = "litellm/"

KINDS: dict[str, tuple[str, bool, bool]] = {
    "RateLimitError": ("rate-limit", True, True),
    "ServiceUnavailableError": ("overloaded", True, True),
    "InternalServerError": ("server", True, False),
    "BadGatewayError": ("server", True, False),
    "Timeout": ("timeout", True, False),
    "APIConnectionError": ("connection", True, False),
    "APIResponseValidationError": ("malformed", True, False),
    "APIError": ("server", True, False),
    "BadRequestError": ("rejected", False, False),
    "UnprocessableEntityError": ("rejected", False, False),
}
"""From litellm's exceptions to kind, whether to try again, whether fewer calls would help; subclasses go with them."""

FATAL = frozenset({"AuthenticationError", "PermissionDeniedError", "NotFoundError", "UnsupportedParamsError"})


class LiteLLMModel:
    """One model through litellm, as a `Model`; keys and addresses are those of litellm's own variables.

    Args:
        name: `litellm/PROVIDER/MODEL`.
        endpoint_name: declared name of the endpoint, part of the identity; None takes the address that litellm's own
            variable for the provider holds, such as OLLAMA_API_BASE.
        send_seed: whether the draw is sent as `seed`.
        timeout: seconds that one call may take.
    """

    simulated = False
    constrains = False
    max_concurrency: int | None = None
    max_logprobs = 0

    def __init__(
        self, name: str, *, endpoint_name: str | None = None, send_seed: bool = True, timeout: float = 120.0
    ) -> None:
        self.name = name
        self._model = name.removeprefix(PREFIX)
        self._send_seed = send_seed
        self._timeout = timeout
        self._litellm: Any = None
        declared = {"litellm": self._model, "seed": send_seed}
        # Two servers of one provider are two models: the same name may be other weights there.
        where = endpoint_name or _address(self._model)
        if where:
            declared["endpoint"] = where
        self.identity = json.dumps(declared, separators=(",", ":"))

    async def open(self) -> None:
        """Import litellm.

        Raises:
            UserError: it is not installed.
        """
        if self._litellm is not None:
            return
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        try:
            import litellm  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            absent = isinstance(error, ModuleNotFoundError) and error.name == "litellm"
            raise UserError(
                "litellm is not installed." if absent else f"litellm cannot be imported: {error}.",
                f"{self.name} cannot be asked.",
                "pip install 'nullgrad[litellm]'",
            ) from None
        # Else it prints advertisements for its help pages to standard output at every failed call.
        litellm.suppress_debug_info = True
        self._litellm = litellm

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """Ask once; litellm's own retries are off.

        Raises:
            CallError: this call failed.
            UserError: no call can succeed.
            EndpointError: the account's quota is spent.
        """
        if self._litellm is None:
            raise UserError("The model is not open.", "Nothing was asked.", "Call open() first.")
        sampling = request.sampling
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(request.stop) or None,
            "seed": request.seed if self._send_seed else None,
        }
        try:
            value = await self._litellm.acompletion(
                model=self._model,
                messages=[{"role": one.role, "content": one.content} for one in request.messages],
                num_retries=0,
                max_retries=0,
                timeout=self._timeout,
                **{key: option for key, option in options.items() if option is not None},
            )
        except Exception as error:
            raise _refused(error, self.name) from None
        return read_reply(value.model_dump_json().encode(), "application/json")


def _refused(error: Exception, name: str) -> NullgradError:
    """What an exception of litellm means; its classes are found by name, for it may be a fake in a test."""
    said = f"{type(error).__name__}: {_mask(' '.join(str(error).split()))[:300]}"
    parents = [one.__name__ for one in type(error).__mro__]
    own = not {"ContentPolicyViolationError", "ContextWindowExceededError"}.isdisjoint(parents)
    named = refused_parameter(b"", said) if "BadRequestError" in parents and not own else None
    if named is not None or "LLM Provider NOT provided" in said or not FATAL.isdisjoint(parents):
        return UserError(
            f"{name} cannot be asked ({said}).",
            "No call can succeed, so the run stopped.",
            "Check the model's name (litellm/PROVIDER/MODEL) and its key."
            if named is None
            else REMEDIES[named],
        )
    known = next((KINDS[one] for one in parents if one in KINDS), None)
    if known is None:
        return EndpointError(
            f"litellm failed in a way that is not one of its own ({said}).",
            "The run is suspended; every reply paid for is in the ledger.",
            "Check litellm's version, or use openai/NAME with --base-url where the provider is compatible.",
        )
    word, retryable, overloaded = known
    if word == "rate-limit" and any(code in said for code in QUOTA):
        return EndpointError(
            f"The account's quota is spent ({said}).",
            "The run is suspended; every reply paid for is in the ledger.",
            "Raise the quota, then run the same command again.",
        )
    status = getattr(error, "status_code", None)
    headers = getattr(error, "litellm_response_headers", None) or {}
    try:
        after: float | None = max(0.0, float(headers.get("retry-after") or ""))
    except ValueError:
        after = None
    return CallError(
        word,
        said,
        status=status if isinstance(status, int) else None,
        retryable=retryable,
        retry_after=after,
        overloaded=overloaded,
    )


def _address(model: str) -> str:
    """What `PROVIDER_API_BASE` or `PROVIDER_BASE_URL` holds, "" where neither is set."""
    provider = re.sub(r"\W", "_", model.partition("/")[0]).upper()
    return os.environ.get(f"{provider}_API_BASE") or os.environ.get(f"{provider}_BASE_URL") or ""


def _mask(text: str) -> str:
    return re.sub(r"\b(sk|pk|key)-[\w*.-]+|\b\w{2,}\*{3,}[\w*]*", "[key]", text)
