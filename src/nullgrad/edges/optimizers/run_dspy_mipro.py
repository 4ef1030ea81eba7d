"""DSPy's MIPROv2 (`dspy.MIPROv2`), run unchanged and without demonstrations: https://github.com/stanfordnlp/dspy.

F reaches the text through the training rows: a summary is made of them, labels included, and outputs that the metric
accepts on them are shown as demonstrations to the proposer, though none is in the prompt. S is validation.

Where no label may reach the text none is in the rows, and the metric accepts every output on them: to show only
accepted ones would be a verdict.
"""

from __future__ import annotations

import importlib
import math
import random

from nullgrad_dspy import Program, report_evaluations
from nullgrad_worker import AdapterError, main

TAKES = (
    "metric", "prompt_model", "task_model", "max_bootstrapped_demos", "max_labeled_demos", "auto", "num_candidates",
    "num_threads", "seed", "track_stats",
)  # fmt: skip
COMPILES = (
    "student", "trainset", "valset", "num_trials", "minibatch", "minibatch_size", "minibatch_full_eval_steps",
)  # fmt: skip
SIZES = ("auto", "num_candidates", "num_trials")
RESERVED = (
    *(name for name in (*TAKES, *COMPILES[:3]) if name not in SIZES), "teacher", "teacher_settings",
)  # fmt: skip
SMALL = 50
"""Validation sets up to this are always evaluated whole, as by its own `auto`."""


def optimize(worker):
    """The best candidate with its score on validation."""
    program = Program(worker, "MIPROv2", TAKES, COMPILES)
    try:
        importlib.import_module("optuna")
    except ImportError as error:
        raise AdapterError("missing-package", str(error)) from None
    settings, compiling = program.settings(*RESERVED)
    if "num_candidates" in settings or "num_trials" in compiling:
        settings.setdefault("auto", None)
    if not any(name in worker.settings for name in SIZES) and worker.calls is not None:
        candidates, trials = size(worker, compiling)
        settings |= {"auto": None, "num_candidates": candidates}
        compiling |= {"num_trials": trials}
    compiling.setdefault("minibatch", len(worker.validation) > SMALL)
    report_evaluations(program)
    # BootstrapFewShot and the search are seeded; what they call may not be.
    random.seed(worker.seed)
    selected = {row["id"] for row in worker.validation}

    def metric(gold, pred, trace=None):
        row = program.row(gold)
        if row["id"] not in selected and row["shown"] is None:
            return 1.0
        return program.score(row, pred)

    optimizer = program.build(
        metric=metric,
        prompt_model=program.proposer,
        task_model=program.task,
        max_bootstrapped_demos=0,
        max_labeled_demos=0,
        num_threads=program.threads,
        seed=worker.seed,
        **settings,
    )
    best = program.run(
        lambda: optimizer.compile(
            program.student,
            trainset=program.examples(worker.train, labelled=True),
            valset=program.examples(worker.validation),
            **compiling,
        )
    )
    counters = {
        "trials": len(best.trial_logs),
        "candidate_programs": len(best.candidate_programs),
        "mb_candidate_programs": len(best.mb_candidate_programs),
    }
    return program.prompt(best.signature.instructions), best.score / 100, counters


def size(worker, settings):
    """(instruction candidates, trials): as many candidates as the budget holds, and its own number of trials for them.

    Raises:
        AdapterError: two candidates do not fit, the seed prompt being one of them.
    """
    least = calls(worker, 2, settings)
    if worker.calls < least:
        raise AdapterError(
            "setting",
            f"the budget of {worker.calls} calls holds no round of dspy.MIPROv2, which asks up to {least} "
            f"for {len(worker.train)} rows of training and {len(worker.validation)} of validation",
        )
    candidates = 2
    while calls(worker, candidates + 1, settings) <= worker.calls:
        candidates += 1
    return candidates, trials_of(candidates)


def trials_of(candidates):
    """Its own number of trials for one prompt without demonstrations."""
    return int(max(2 * math.log2(candidates), 1.5 * candidates))


def calls(worker, candidates, settings):
    """The calls of a run at most, replies that DSPy asks for again in another format apart.

    A set of demonstrations asks row after row until three outputs are accepted. Where labels are wrong hardly any is: a
    control would be cut short where its treatment is not, if fewer calls than there are rows were reckoned for a set.
    """
    train, validation, trials = len(worker.train), len(worker.validation), trials_of(candidates)
    bootstrap = train * (candidates - 1)
    view = settings.get("view_data_batch_size", 10)
    summary = 2 + min(9, math.ceil(train / view) - 1)
    # Program, module and instruction are described and proposed one after another.
    proposals = 3 * candidates
    if not settings.get("minibatch", validation > SMALL):
        return bootstrap + summary + proposals + (1 + trials) * validation
    steps = settings.get("minibatch_full_eval_steps", 5)
    size_of_batch = settings.get("minibatch_size", 35)
    whole = trials // steps + (trials % steps != 0)
    return bootstrap + summary + proposals + trials * size_of_batch + (1 + whole) * validation


if __name__ == "__main__":
    main(optimize)
