"""What adapters of libraries without a loop of their own share: steps over training batches, chosen on validation.

It is the loop of TextGrad's own prompt scripts with their validation switched on, which Trace's scripts repeat: the prompt
of each step is scored on validation, and one that is worse than the prompt before it is reverted.
"""

from __future__ import annotations

import random

from nullgrad_worker import AdapterError

BATCH = 3
"""Training rows of a step, as in TextGrad's scripts."""

STEPS = 12
"""Steps where the budget is not given in calls: three epochs of four, as in TextGrad's scripts."""

UNTOLD = "No evaluation is given."
"""What stands for an evaluation where the arm tells nothing: no label and no verdict."""


def batches(rows, size, seed):
    """Batches without end: every epoch has all rows in an order of its own, and ends with what is left of them."""
    stream = random.Random(seed)
    while True:
        order = list(rows)
        stream.shuffle(order)
        for start in range(0, len(order), size):
            yield order[start : start + size]


def told(worker, row, score):
    """The evaluation of one output in words."""
    return worker.feedback(row, score) or UNTOLD


def mean(scores):
    """Of one number or more."""
    return sum(scores) / len(scores)


def whole(name, value, least=1):
    """A setting that must be a whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise AdapterError("setting", f"{name} is a whole number from {least} on")
    return value


def splits(worker):
    """Refuse a task without rows to learn from or to choose by."""
    if not worker.train or not worker.validation:
        raise AdapterError("setting", "it needs rows in train and in validation")


def steps_for(worker, first, each, smaller, most=STEPS):
    """The largest number of steps whose calls the budget holds; `most` where it is not given in calls.

    `first` calls are made before the first step, at most `each` in one; the setting `smaller` makes it smaller.
    """
    if worker.calls is None:
        return most
    steps = (worker.calls - first) // each
    if steps < 1:
        raise AdapterError(
            "setting",
            f"a budget of {worker.calls} calls holds no step: {first} come before the first, and one takes {each}; "
            f"it takes fewer with a smaller {smaller}",
        )
    return steps


def climb(worker, propose, optimizer_calls):
    """Step from the seed prompt; (prompt, score on validation, counters).

    `propose(prompt, batch)` gives a new prompt, or None where the reply holds none: a step without a change.
    `optimizer_calls(size)` says how many calls of the optimizer's model a batch of that size takes. A prompt that is not
    worse on validation than the one before it is kept, so that what is kept last is the best; one that was scored before
    is not asked again.
    """
    splits(worker)
    size = min(whole("batch_size", worker.settings.get("batch_size", BATCH)), len(worker.train))
    rows = len(worker.validation)
    each = size + optimizer_calls(size) + rows
    steps = worker.settings.get("steps")
    steps = steps_for(worker, rows, each, "batch_size") if steps is None else whole("steps", steps)
    known = {}

    def scored(prompt, parents):
        if prompt not in known:
            score = mean([one for _, one in worker.run_all(worker.validation, prompt)])
            known[prompt] = len(known), score
            worker.emit("candidate", prompt=prompt, score=score, parents=parents)
        return known[prompt]

    best = worker.seed_prompt
    number, score = scored(best, [])
    counters = {"steps": steps, "accepted": 0, "reverted": 0, "unchanged": 0, "unusable_proposals": 0}
    for _, batch in zip(range(steps), batches(worker.train, size, worker.seed), strict=False):
        prompt = propose(best, batch)
        if worker.refused is not None:
            raise worker.refused
        if prompt is None or not prompt.strip():
            counters["unusable_proposals"] += 1
        elif prompt == best:
            counters["unchanged"] += 1
        else:
            place, new = scored(prompt, [number])
            if new < score:
                counters["reverted"] += 1
            else:
                best, number, score = prompt, place, new
                counters["accepted"] += 1
    return best, score, counters
