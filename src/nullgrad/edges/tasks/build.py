"""Builds a task from what its file says and the rows of its data: splits, checks, scorer, digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from nullgrad.core.scoring import SCORERS, canonical_target, make_scorer
from nullgrad.core.task import Example, Scorer, Task, TaskView
from nullgrad.core.wrong_labels import default_rule
from nullgrad.edges.packs import load_pack
from nullgrad.edges.tasks import choices
from nullgrad.edges.tasks.checks import check_classes, check_leaks
from nullgrad.edges.tasks.datasets import read_rows
from nullgrad.edges.tasks.hub import read_hub_rows
from nullgrad.edges.tasks.inference import is_number
from nullgrad.edges.tasks.rows import Pool, read_examples
from nullgrad.edges.tasks.spec import TaskSpec, is_hub
from nullgrad.edges.tasks.split import split_reads
from nullgrad.edges.tasks.userscorer import is_reference, load_function
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError

DIGEST_VERSION = 1
"""Raised when the canonical form behind a task's digest changes."""


def read_pools(spec: TaskSpec) -> tuple[Pool, ...]:
    """The rows of every source that a task names."""
    return tuple(
        Pool(
            split,
            source if is_hub(source) else (spec.base / source).name,
            read_hub_rows(source) if is_hub(source) else read_rows(spec.base / source),
        )
        for split, source in spec.data.items()
    )


def build_task(spec: TaskSpec, pools: Sequence[Pool], notes: Sequence[str] = ()) -> Task:
    """The task.

    Args:
        spec: what the task file says; its prompt must be known.
        pools: one pool for all splits, or one per split (validation may be missing: it is taken from train).
        notes: what was noticed before.

    Raises:
        UserError: see `taskfile.load_task`.
    """
    labels = spec.labels or (choices.letters(spec.choices) if spec.choices else ())
    slots = spec.slots or 1
    said = list(notes)
    kind = spec.scorer
    if kind is None:
        kind = "choice" if spec.choices else _scorer_for(spec, labels, pools)
        said.append(f"No scorer was named: {kind} is used.")
    if kind not in SCORERS and not is_reference(kind):
        raise spec.error(
            "scorer", f"there is no scorer {kind!r}", nearest(kind, [*SCORERS, "module:function"])
        )
    scorer, function = _scorer(spec, kind, labels, slots)
    reads = [
        read_examples(spec, pool, lambda target: canonical_target(kind, target, labels, slots))
        for pool in pools
    ]
    splits = split_reads(spec, reads, said)
    check_classes(spec, kind, splits, labels, slots, said)
    check_leaks(spec, splits, said)
    format_ = spec.format
    if format_ is None:
        format_ = default_format(kind, labels, slots)
        if format_:
            said.append(f"No format was given: {format_!r} is appended to every prompt.")
    view = TaskView(
        name=spec.name,
        train=splits["train"],
        validation=splits["validation"],
        seed_prompt=spec.prompt or "",
        format=format_,
        labels=labels,
        slots=slots,
        scorer=scorer,
        layout=spec.layout,
        unparsed=spec.unparsed,
        wrong=spec.wrong or default_rule(kind, labels, slots),
        constrain=spec.constrain,
    )
    digest = task_digest(view, splits["test"], function)
    return Task(view, splits["test"], digest, tuple(said))


def default_format(kind: str, labels: Sequence[str], slots: int = 1) -> str:
    """The format suffix of a closed answer where none is given; "" for an open one and for tuples."""
    if not labels or slots != 1:
        return ""
    listed = ", ".join(labels)
    if kind == "labels":
        return f"Answer with those of these that apply, separated by commas: {listed}."
    return f"Answer with one of: {listed}."


def task_digest(view: TaskView, test: Sequence[Example], function: str = "") -> str:
    """SHA-256 over the canonical JSON of everything that matters, 64 hexadecimal digits.

    Neither the name of the task nor the path of a file is part of it: the same task elsewhere is the same.

    Args:
        view: the task without its test split.
        test: the test split.
        function: digest of the source of a user's scorer, whose `spec` knows its name only.
    """

    def rows(examples: Sequence[Example]) -> list[list[str]]:
        return [[e.id, e.input, e.target, e.group] for e in examples]

    value: dict[str, Any] = {
        "v": DIGEST_VERSION,
        "train": rows(view.train),
        "validation": rows(view.validation),
        "test": rows(test),
        "prompt": view.seed_prompt,
        "format": view.format,
        "labels": view.labels,
        "slots": view.slots,
        "scorer": view.scorer.spec,
        "layout": [[role, template.text] for role, template in view.layout.messages],
        "unparsed": view.unparsed,
        "wrong": view.wrong,
    }
    if view.constrain is not None:
        value["constrain"] = view.constrain
    if function:
        value["function"] = function
    canonical = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _scorer_for(spec: TaskSpec, labels: Sequence[str], pools: Sequence[Pool]) -> str:
    """The scorer where none is named: by what the targets are."""
    if labels:
        return "labels" if (spec.slots or 1) > 1 else "exact"
    targets = [row.get(spec.target, "") for pool in pools for row in pool.rows]
    return "number" if all(is_number(target) for target in targets) else "normalized"


def _scorer(spec: TaskSpec, kind: str, labels: tuple[str, ...], slots: int) -> tuple[Scorer, str]:
    """The scorer, and the digest of its source where it is the user's."""
    try:
        user = load_function(kind, spec.base) if is_reference(kind) else None
        scorer = make_scorer(
            kind,
            labels=labels,
            slots=slots,
            options=dict(spec.scorer_options) or None,
            function=user.call if user else None,
            judge_words=load_pack("standard")["judge"] if kind == "judge" else None,
        )
    except UserError as error:
        raise spec.located("scorer", error) from None
    return scorer, user.digest if user else ""
