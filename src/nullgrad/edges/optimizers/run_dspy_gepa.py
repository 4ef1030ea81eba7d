"""DSPy's GEPA (`dspy.GEPA`), run unchanged: https://github.com/stanfordnlp/dspy.

F reaches the text through the metric's feedback on training rows, which also decides whether a minibatch accepts a
candidate; S through the scores on validation. Beside `gepa.optimize` it has a proposer of its own, and it merges.
"""

from __future__ import annotations

import inspect

from nullgrad_dspy import Program
from nullgrad_worker import AdapterError, main

TAKES = ("metric", "reflection_lm", "num_threads", "track_stats", "seed", "gepa_kwargs", "max_metric_calls")
COMPILES = ("student", "trainset", "valset")
RESERVED = (*TAKES[:5], "instruction_proposer", "code_proposer")
BUDGETS = ("auto", "max_full_evals", "max_metric_calls")
"""Of these dspy.GEPA takes exactly one."""


def optimize(worker):
    """The best candidate with its score on validation."""
    program = Program(worker, "GEPA", TAKES, COMPILES)
    try:
        import gepa

        known = inspect.signature(gepa.optimize).parameters
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError("interface", str(error)) from None
    if "callbacks" not in known:
        raise AdapterError("interface", "gepa.optimize takes no callbacks")
    settings, _ = program.settings(*COMPILES, *RESERVED)
    if not any(settings.get(name) is not None for name in BUDGETS):
        settings["max_metric_calls"] = budget(worker, settings.get("reflection_minibatch_size", 3))

    def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
        row = program.row(gold)
        score = program.score(row, pred)
        if pred_name is None:
            return score
        return program.dspy.Prediction(score=score, feedback=worker.feedback(row, score))

    class Hook:
        """Reports candidates once they are scored on validation."""

        def on_valset_evaluated(self, event):
            """One candidate."""
            (instructions,) = event["candidate"].values()
            worker.emit(
                "candidate",
                prompt=program.prompt(instructions),
                score=event["average_score"],
                parents=[one for one in event["parent_ids"] or () if one is not None],
            )

    optimizer = program.build(
        metric=metric,
        reflection_lm=program.proposer,
        num_threads=program.threads,
        track_stats=True,
        seed=worker.seed,
        gepa_kwargs={**settings.pop("gepa_kwargs", {}), "callbacks": [Hook()]},
        **settings,
    )
    best = program.run(
        lambda: optimizer.compile(
            program.student,
            trainset=program.examples(worker.train),
            valset=program.examples(worker.validation),
        )
    )
    found = best.detailed_results
    counters = {
        "total_metric_calls": found.total_metric_calls,
        "num_full_val_evals": found.num_full_val_evals,
        "candidates": len(found.candidates),
    }
    return program.prompt(best.signature.instructions), found.val_aggregate_scores[found.best_idx], counters


def budget(worker, minibatch):
    """Calls of the metric at most: as many as calls may be asked for, which end the trial before.

    Raises:
        AdapterError: there is no budget in calls, or it holds no round.
    """
    if worker.calls is None:
        raise AdapterError(
            "setting", f"dspy.GEPA needs a budget in calls, or one of the settings {', '.join(BUDGETS)}"
        )
    least = len(worker.validation) + 2 * minibatch + 1
    if worker.calls < least:
        raise AdapterError(
            "setting",
            f"the budget of {worker.calls} calls holds no round of dspy.GEPA, which asks {least}: "
            f"{len(worker.validation)} rows of validation, a minibatch of {minibatch} twice, one reflection",
        )
    return worker.calls


if __name__ == "__main__":
    main(optimize)
