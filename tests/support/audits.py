"""Audits of small tasks with a scripted generator."""

from __future__ import annotations

from typing import Any

from nullgrad.core.audit_plan import AuditPlan
from nullgrad.core.chat import Reply
from nullgrad.core.draws import draw_of
from nullgrad.core.effects import Ask
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.edges.packs import load_pack
from tests.support.trials import make_task, reply

LABELS = ("yes", "no")

BEFORE = "Say yes or no."
AFTER = "Read it well. Never answer no. Then say which."


def make_plan(**changes: Any) -> AuditPlan:
    """An audit of 20 validation and 30 test examples."""
    player = RoleModel("test-model")
    values: dict[str, Any] = {
        "task": make_task(validation=20, test=30),
        "before": BEFORE,
        "after": AFTER,
        "cast": Cast(player, RoleModel(""), RoleModel(""), player),
        "pack": load_pack("standard"),
        **changes,
    }
    return AuditPlan(**values)


def target_of(item: str) -> str:
    """The right answer to an example of `make_task`."""
    return LABELS[int(item.split()[-1]) % 2]


def obeying(ask: Ask) -> Reply:
    """Right four times out of five; "Never answer no" is obeyed, and "Read it well" helps a little."""
    prompt, item = ask.request.messages[0].content, ask.request.messages[-1].content
    number = int(item.split()[-1])
    answer = target_of(item)
    if number % 5 == 0 and not ("Read it well" in prompt and number % 10 == 0):
        answer = LABELS[1 - LABELS.index(answer)]
    if "Never answer no" in prompt:
        answer = "yes"
    return reply(answer)


def noisy(ask: Ask) -> Reply:
    """Another answer with another draw."""
    return reply(LABELS[draw_of(ask.request.draw, "noise") % 2])
