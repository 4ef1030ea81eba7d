"""From what the user writes after `--model` to a `Model`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nullgrad.errors import UserError
from nullgrad.ports import Model

if TYPE_CHECKING:
    from nullgrad.edges.models.openai import Constrain

FORMS = ("openai/NAME", "local:NAME", "local:FILE.gguf", "litellm/PROVIDER/MODEL", "script:FILE", "sim:WORLD")
"""How models are written."""

COMPACT_BYTES = 1_600_000_000
"""Weights below this size count as a small model (about two billion parameters at six bits)."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of `nullgrad models`.

    Attributes:
        name: what to write after `--model`.
        kind: `endpoint`, `local`, `litellm`, `script`, `sim`.
        note: what it is.
        price: dollars per million prompt and completion tokens, "" where that does not apply.
    """

    name: str
    kind: str
    note: str
    price: str = ""


def open_model(
    spec: str,
    *,
    base_url: str | None = None,
    endpoint_name: str | None = None,
    send_seed: bool = True,
    timeout: float = 120.0,
    constrain: Constrain = "none",
    logprobs: bool = True,
) -> Model:
    """The model that a text means; nothing is connected or loaded yet.

    Args:
        spec: `openai/NAME`, `local:NAME-or-FILE.gguf`, `litellm/PROVIDER/MODEL`, `script:FILE`, `sim:WORLD?dial=value`.
        base_url, constrain, logprobs: for `openai/`, see `OpenAIModel`.
        endpoint_name, send_seed, timeout: for `openai/` and `litellm/`.

    Raises:
        UserError: the form is unknown, or what it names is not there.
    """
    if spec.startswith("openai/") and len(spec) > len("openai/"):
        from nullgrad.edges.models.openai import OpenAIModel

        return OpenAIModel(
            spec.removeprefix("openai/"),
            base_url=base_url,
            endpoint_name=endpoint_name,
            send_seed=send_seed,
            timeout=timeout,
            constrain=constrain,
            logprobs=logprobs,
        )
    if spec.startswith("local:"):
        from nullgrad.edges.models.local import LocalModel

        return LocalModel(spec)
    if spec.startswith("litellm/") and len(spec) > len("litellm/"):
        from nullgrad.edges.models.litellm_model import LiteLLMModel

        return LiteLLMModel(spec, endpoint_name=endpoint_name, send_seed=send_seed, timeout=timeout)
    if spec.startswith("script:"):
        from nullgrad.edges.models.script import load_script

        return load_script(Path(spec.removeprefix("script:")), spec)
    if spec.startswith("sim:"):
        from nullgrad.edges.sim.model import open_sim

        return open_sim(spec)
    near = _nearest(spec)
    hint = f"Did you mean {near}? " if near else ""
    raise UserError(
        f"{spec!r} names no kind of model that nullgrad knows.",
        "Nothing was run.",
        f"{hint}Write {', '.join(FORMS)}; for a hosted or self-hosted endpoint openai/NAME with --base-url.",
    )


def _nearest(spec: str) -> str:
    """What was probably meant, "" where nothing is near."""
    if spec.startswith(("http://", "https://")):
        return f"openai/NAME with --base-url {spec}"
    match = re.fullmatch(r"([^/:]*)[/:]+(.*)", spec)
    kinds = {
        "openai": "openai/",
        "local": "local:",
        "litellm": "litellm/",
        "script": "script:",
        "sim": "sim:",
    }
    close = difflib.get_close_matches((match[1] if match else spec).lower(), kinds, 1)
    if close:
        rest = match[2] if match else ""
        return kinds[close[0]] + rest if rest else next(form for form in FORMS if form.startswith(close[0]))
    if spec.endswith(".gguf"):
        return f"local:{spec}"
    if spec.endswith((".py", ".jsonl")):
        return f"script:{spec}"
    if re.fullmatch(r"[\w.-]+", spec):
        from nullgrad.edges.models.weights import KNOWN

        return f"local:{spec}" if spec in KNOWN else f"openai/{spec}"
    if match and "/" in spec:
        return f"litellm/{spec}, or openai/{spec} with --base-url"
    return ""


def default_pack(name: str) -> str:
    """The pack of words for an optimizer: `compact` for small local weights, else `standard`."""
    if not name.startswith("local:"):
        return "standard"
    from nullgrad.edges.models.weights import KNOWN

    known = name.removeprefix("local:")
    if known in KNOWN:
        return "compact"
    file = Path(known).expanduser()
    return "compact" if file.is_file() and file.stat().st_size < COMPACT_BYTES else "standard"


def list_models() -> list[ModelInfo]:
    """Forms, known weights, and some well-known models with their prices."""
    from nullgrad.edges.models.local import local_models
    from nullgrad.edges.models.prices import price_table

    prices = price_table()
    rows = [
        ModelInfo(
            name, "local", description + ("" if here else " (nullgrad models fetch gets it)"), "no charge"
        )
        for name, description, here in local_models()
    ]
    rows.append(
        ModelInfo("local:FILE.gguf", "local", "any GGUF file, run in this process by llama.cpp", "no charge")
    )
    for name in ("gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1", "gpt-5-mini", "gpt-5"):
        rate = prices.per_million(f"openai/{name}")
        if rate is not None:
            rows.append(
                ModelInfo(
                    f"openai/{name}",
                    "endpoint",
                    f"hosted (prices of {prices.as_of})",
                    f"${rate[0].normalize():f} + ${rate[1].normalize():f} per million",
                )
            )
    rows.append(
        ModelInfo(
            "openai/NAME", "endpoint", "any OpenAI-compatible endpoint, with --base-url or OPENAI_BASE_URL"
        )
    )
    rows.append(ModelInfo("litellm/PROVIDER/MODEL", "litellm", "whatever litellm reaches (extra litellm)"))
    rows.append(
        ModelInfo("script:FILE", "script", "a scripted model for tests and docs: .py or .jsonl", "no charge")
    )
    from nullgrad.edges.sim.catalogue import CATALOGUE

    rows += [
        ModelInfo(f"sim:{name}", "sim", f"simulated: {world.about}", "no charge")
        for name, world in CATALOGUE.items()
    ]
    return rows
