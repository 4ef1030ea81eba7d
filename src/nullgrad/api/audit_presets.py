"""Presets that audit a prompt rather than compare arms: what they audit, and how."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class AuditPreset:
    """One preset.

    Attributes:
        name: what it is called by.
        description: in one line.
        task: audited where no other is named.
        before, after: as `given_prompt` takes them.
        repeats: evaluations of each prompt of the section ablation.
        sampling: (temperature, top-p, limit of a reply in tokens).
    """

    name: str
    description: str
    task: str
    before: str
    after: str
    repeats: int
    sampling: tuple[float, float, int]


def audit_presets() -> tuple[str, ...]:
    """Their names."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def audit_preset(name: str) -> AuditPreset:
    """One of them; what is in it is the package's own, and checked by its tests."""
    text = (_folder() / f"{name}.yaml").read_text("utf-8")
    value = yaml.safe_load(text)
    audit, sampling = value["audit"], value["sampling"]
    return AuditPreset(
        name,
        text.splitlines()[0].lstrip("# ").strip(),
        audit["task"],
        audit["before"],
        audit["after"],
        audit["repeats"],
        (sampling["temperature"], sampling["top_p"], sampling["max_tokens"]),
    )


def _folder() -> Path:
    return Path(str(resources.files("nullgrad"))) / "presets" / "audits"
