"""Tasks whose examples a generator of `core.procedural` makes."""

from __future__ import annotations

from dataclasses import replace

from nullgrad.core import procedural
from nullgrad.core.task import Made, Task
from nullgrad.edges.tasks.build import build_task
from nullgrad.edges.tasks.rows import Pool
from nullgrad.edges.tasks.spec import TaskSpec
from nullgrad.edges.tasks.values import SPLITS
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError

PAPER_SIZES = {"train": 30, "validation": 50, "test": 120}
"""The paper's split, the default."""


def generated_task(spec: TaskSpec) -> Task:
    """The task of `procedural: NAME` or `procedural: {task: NAME, seed: 0, DIAL: VALUE, …}`.

    As many examples are generated as the split asks for. Scorer, labels, slots, prompt and format are the
    generator's own where the task file does not say others.

    Raises:
        UserError: there is no such generator, it has no such dial, or a size is a fraction.
    """
    name = spec.procedural
    if name not in procedural.names():
        raise spec.error(
            "procedural", f"there is no generated task {name!r}", nearest(name, procedural.names())
        )
    sizes = dict(spec.sizes) or PAPER_SIZES
    for split in SPLITS:
        if not isinstance(sizes.get(split), int):
            raise spec.error(
                "split",
                f"a generated task needs a whole number of {split} examples",
                "Write train, validation and test, such as {train: 30, validation: 50, test: 120}.",
            )
    dials = dict(spec.dials)
    seed = dials.pop("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise spec.error(
            "procedural", f"the seed {seed!r} is no whole number of at least 0", "Write such a one."
        )
    try:
        items = procedural.generate(name, int(sum(sizes.values())), seed, **dials)
    except UserError as error:
        raise spec.located("procedural", error) from None
    slots = spec.slots or len(items[0].target.split(","))
    closed = name == "web-of-lies"
    full = replace(
        spec,
        input="input",
        target="target",
        sizes=sizes,
        prompt=spec.prompt if spec.prompt is not None else procedural.seed_prompt(name),
        format=spec.format if spec.format is not None else procedural.format_suffix(name),
        scorer=spec.scorer or "bbeh",
        slots=slots,
        labels=spec.labels or (("yes", "no", "unknown") if closed else None),
        wrong=spec.wrong or (None if closed else "number"),
    )
    rows = [{"input": item.input, "target": item.target} for item in items]
    made = Made(name, seed, tuple(sorted(dials.items())))
    return replace(build_task(full, [Pool("", name, rows)]), made=made)
