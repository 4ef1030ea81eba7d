"""`litellm/PROVIDER/MODEL` for whatever is not OpenAI-compatible; needs the extra `litellm`."""

from __future__ import annotations

import json
import os
from typing import Any

from nullgrad.core.chat import Reply, Request
from nullgrad.edges.openai import read_reply
from nullgrad.errors import CallError, UserError

PREFIX = "litellm/"

KINDS: dict[str, tuple[str, bool, bool]] = {
    "RateLimitError": ("rate-limit", True, True),
    "ServiceUnavailableError": ("overloaded", True, True),
    "InternalServerError": ("server", True, False),
    "BadGatewayError": ("server", True, False),
    "Timeout": ("timeout", True, False),
    "APIConnectionError": ("connection", True, False),
    "APIError": ("server", True, False),
    "ContentPolicyViolationError": ("rejected", False, False),
    "ContextWindowExceededError": ("rejected", False, False),
    "BadRequestError": ("rejected", False, False),
    "UnprocessableEntityError": ("rejected", False, False),
}
"""From litellm's exceptions to kind, whether to try again, whether fewer calls would help."""

FATAL = frozenset({"AuthenticationError", "PermissionDeniedError", "NotFoundError", "UnsupportedParamsError"})


class LiteLLMModel:
    """One model through litellm, as a `Model`.

    Args:
        name: `litellm/PROVIDER/MODEL`.
        send_seed: whether the draw is sent as `seed`.
        timeout: seconds that one call may take.
    """

    simulated = False
    constrains = False
    max_concurrency: int | None = None
    max_logprobs = 0

    def __init__(self, name: str, *, send_seed: bool = True, timeout: float = 120.0) -> None:
        self.name = name
        self._model = name.removeprefix(PREFIX)
        self._send_seed = send_seed
        self._timeout = timeout
        self._litellm: Any = None
        self.identity = json.dumps({"litellm": self._model, "seed": send_seed}, separators=(",", ":"))

    async def open(self) -> None:
        """Import litellm.

        Raises:
            UserError: it is not installed.
        """
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        try:
            import litellm
        except ImportError:
            raise UserError(
                "litellm is not installed.",
                f"{self.name} cannot be asked.",
                "pip install 'nullgrad[litellm]'",
            ) from None
        self._litellm = litellm

    async def close(self) -> None:
        """Nothing to release."""

    async def call(self, request: Request) -> Reply:
        """Ask once; litellm's own retries are off.

        Raises:
            CallError: this call failed.
            UserError: no call can succeed.
        """
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
                timeout=self._timeout,
                **{key: option for key, option in options.items() if option is not None},
            )
        except Exception as error:
            raise _refused(error, self.name) from None
        return read_reply(value.model_dump_json().encode(), "application/json")


def _refused(error: Exception, name: str) -> Exception:
    kind = type(error).__name__
    said = f"{kind}: {' '.join(str(error).split())[:300]}"
    if kind in FATAL:
        return UserError(
            f"{name} cannot be asked ({said}).",
            "No call can succeed, so the run stopped.",
            "Check the model's name and its key.",
        )
    if kind not in KINDS:
        return error
    word, retryable, overloaded = KINDS[kind]
    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        after = float(headers.get("retry-after"))
    except (TypeError, ValueError):
        after = None
    return CallError(word, said, status=status, retryable=retryable, retry_after=after, overloaded=overloaded)
