"""The audits that the docs show: transcripts are those of the commands, and an audit that was ended early says of how many."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nullgrad.api import load_task
from nullgrad.core.chat import Reply, Usage
from nullgrad.core.effects import Ask
from nullgrad.core.forward import forward

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def audits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripts_audits", ROOT / "scripts" / "audits.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_audit_with_its_command(audits: ModuleType) -> None:
    shown = {
        match["name"]: match[0].splitlines()
        for match in audits.BLOCK.finditer(audits.PAGE.read_text("utf-8"))
    }
    assert list(shown) == list(audits.AUDITS)
    for name, lines in shown.items():
        assert lines[2] == f"$ nullgrad {shlex.join(audits.AUDITS[name].arguments)}"
        assert len(lines) > 50, f"{name}: scripts/studies.py audits"


class Kept:
    """A ledger that holds replies to some requests."""

    def __init__(self, identities: Sequence[str]) -> None:
        self._identities = set(identities)

    def find(self, identities: Sequence[str]) -> dict[str, Any]:
        return {
            one: Reply("yes, no, no", "stop", Usage(1, 1)) for one in identities if one in self._identities
        }


def test_examples_count_from_the_first_on_under_both_prompts(audits: ModuleType) -> None:
    pytest.importorskip("xllamacpp")
    shown = audits.AUDITS["web-of-lies"]
    job = audits._job(shown, load_task(ROOT / shown.task))

    def identities(name: str) -> list[str]:
        asks = [
            next(forward(job.plan.setting(), job.plan.candidates[name], one, "test")) for one in job.task.test
        ]
        return [one.request.identity() for one in asks if isinstance(one, Ask)]

    before, after = identities("before"), identities("after")
    assert len(set(before) | set(after)) == 2 * len(job.task.test)
    assert audits._answered(job, Kept([*before, *after[:7]])) == 7
    assert audits._answered(job, Kept([*before, *after[:7], *after[9:]])) == 7
    assert audits._answered(job, Kept([*before, *after])) == len(job.task.test)
    assert audits._answered(job, Kept(after)) == 0
