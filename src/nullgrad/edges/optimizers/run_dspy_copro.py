"""DSPy's COPRO (`dspy.COPRO`), run unchanged: https://github.com/stanfordnlp/dspy.

It has one set of rows, by which it scores its candidates, and it shows its proposer no row and no label, only
instructions with their scores. So that set is S: it gets the validation rows, as others select on them, and no F.
It may score one prompt repeatedly, and keeps the best of these scores.
"""

from __future__ import annotations

import random

from nullgrad_dspy import Program, report_evaluations
from nullgrad_worker import AdapterError, main

TAKES = ("prompt_model", "metric", "breadth", "depth")
COMPILES = ("student", "trainset", "eval_kwargs")
BREADTH, DEPTH = 10, 3
"""Its defaults."""


def optimize(worker):
    """The best candidate with its score on validation."""
    program = Program(worker, "COPRO", TAKES, COMPILES)
    settings, _ = program.settings(*COMPILES, "prompt_model", "metric", "_kwargs")
    report_evaluations(program)
    # It draws nothing itself and has no seed; whatever it calls may.
    random.seed(worker.seed)
    optimizer = program.build(
        prompt_model=program.proposer,
        metric=lambda gold, pred, trace=None: program.score(program.row(gold), pred),
        **{**size(worker, settings), **settings},
    )
    best = program.run(
        lambda: optimizer.compile(
            program.student,
            trainset=program.examples(worker.validation),
            eval_kwargs={"num_threads": program.threads},
        )
    )
    counters = {"total_calls": best.total_calls, "candidate_programs": len(best.candidate_programs)}
    return program.prompt(best.signature.instructions), best.candidate_programs[0]["score"] / 100, counters


def size(worker, settings):
    """The breadth and depth that the budget holds; of these `settings` may give either.

    A round asks for one reply and one pass over all rows for each of `breadth` prompts, less one reply in the first, of
    which the seed prompt is one. More calls than the defaults need go into depth; where they are too few, breadth
    shrinks, to 2, before depth does.

    Raises:
        AdapterError: it holds no round.
    """
    breadth, depth = (settings.get(name) or None for name in ("breadth", "depth"))
    if worker.calls is None or (breadth and depth):
        return {}
    each, rounds = len(worker.validation) + 1, worker.calls + 1
    if breadth is None and depth is None:
        wide = rounds >= BREADTH * DEPTH * each
        breadth, depth = (BREADTH, None) if wide else (None, max(1, min(DEPTH, rounds // (2 * each))))
    breadth = breadth or min(BREADTH, rounds // (depth * each))
    depth = depth or rounds // (breadth * each)
    if breadth < 2 or depth < 1:
        least = max(breadth, 2) * max(depth, 1) * each - 1
        raise AdapterError(
            "setting",
            f"the budget of {worker.calls} calls holds no round of dspy.COPRO, which asks {least} "
            f"for {len(worker.validation)} rows of validation",
        )
    return {"breadth": breadth, "depth": depth}


if __name__ == "__main__":
    main(optimize)
