"""From what the user writes after `--model` to a `Model`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from nullgrad.errors import UserError
from nullgrad.ports import Model

FORMS = ("openai/NAME", "local:NAME", "local:FILE.gguf", "litellm/PROVIDER/MODEL", "script:FILE")
"""How models are written."""

COMPACT_BYTES = 1_600_000_000
"""Weights below this size count as a small model (about two billion parameters at six bits)."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of `nullgrad models`.

    Attributes:
        name: what to write after `--model`.
        kind: `endpoint`, `local`, `litellm`, `script`.
        note: what it is.
        price: dollars per million prompt and completion tokens, "" where that does not apply.
    """

    name: str
    kind: str
    note: str
    price: str = ""


def open_model(
    spec: str, *, base_url: str | None = None, endpoint_name: str | None = None, send_seed: bool = True
) -> Model:
    """The model that a text means; nothing is connected or loaded yet.

    Args:
        spec: `openai/NAME`, `local:NAME-or-FILE.gguf`, `litellm/PROVIDER/MODEL`, `script:FILE`.
        base_url, endpoint_name, send_seed: for endpoints.

    Raises:
        UserError: the form is unknown, or what it names is not there.
    """
    if spec.startswith("openai/") and len(spec) > len("openai/"):
        from nullgrad.edges.openai import OpenAIModel

        return OpenAIModel(
            spec.removeprefix("openai/"), base_url=base_url, endpoint_name=endpoint_name, send_seed=send_seed
        )
    if spec.startswith("local:"):
        from nullgrad.edges.local import LocalModel

        return LocalModel(spec)
    if spec.startswith("litellm/") and len(spec) > len("litellm/"):
        from nullgrad.edges.litellm_model import LiteLLMModel

        return LiteLLMModel(spec, send_seed=send_seed)
    if spec.startswith("script:"):
        from nullgrad.edges.script import load_script

        return load_script(Path(spec.removeprefix("script:")), spec)
    prefix = spec.replace("/", ":").partition(":")[0]
    near = difflib.get_close_matches(prefix, ("openai", "local", "litellm", "script"), 1)
    hint = f"Did you mean {next(form for form in FORMS if form.startswith(near[0]))}? " if near else ""
    raise UserError(
        f"{spec!r} names no kind of model that nullgrad knows.",
        "Nothing was run.",
        f"{hint}Write {', '.join(FORMS)}; for a hosted or self-hosted endpoint openai/NAME with --base-url.",
    )


def default_pack(name: str) -> str:
    """The pack of words for an optimizer: `compact` for small local weights, else `standard`."""
    if not name.startswith("local:"):
        return "standard"
    from nullgrad.edges.weights import KNOWN

    known = name.removeprefix("local:")
    if known in KNOWN:
        return "compact"
    file = Path(known).expanduser()
    return "compact" if file.is_file() and file.stat().st_size < COMPACT_BYTES else "standard"


def list_models() -> list[ModelInfo]:
    """Forms, known weights, and some well-known models with their prices."""
    from nullgrad.edges.local import local_models
    from nullgrad.edges.prices import price_table

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
    return rows
