"""GEPA (`gepa.optimize`), run unchanged: https://github.com/gepa-ai/gepa.

F reaches the text through the feedback on training rows, which also decides whether a minibatch accepts a candidate;
S through the scores on validation. The candidates' own scores on validation are what GEPA claims.
"""

from __future__ import annotations

import inspect

from nullgrad_worker import AdapterError, main

NAME = "system_prompt"
"""The one component that is optimized."""

TAKES = (
    "seed_candidate",
    "trainset",
    "valset",
    "adapter",
    "reflection_lm",
    "stop_callbacks",
    "callbacks",
    "seed",
)
"""What `gepa.optimize` must take."""


GIVES = ("best_idx", "candidates", "val_aggregate_scores", "total_metric_calls", "num_full_val_evals")
"""What its result must have."""


def optimize(worker):
    """The best candidate with its score on validation."""
    gepa = worker.package("gepa")
    try:
        from gepa.core.adapter import EvaluationBatch
        from gepa.core.result import GEPAResult

        known = inspect.signature(gepa.optimize).parameters
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError("interface", str(error)) from None
    lost = [name for name in TAKES if name not in known]
    if lost:
        raise AdapterError("interface", f"gepa.optimize takes no {', '.join(lost)}")
    lost = [
        name for name in GIVES if not (hasattr(GEPAResult, name) or name in GEPAResult.__dataclass_fields__)
    ]
    if lost:
        raise AdapterError("interface", f"its result has no {', '.join(lost)}")
    unknown = [name for name in worker.settings if name not in known or name in TAKES]
    if unknown:
        raise AdapterError("setting", f"gepa.optimize takes no setting {', '.join(unknown)}")

    class Adapter:
        """GEPA's view of the task."""

        propose_new_texts = None

        def evaluate(self, batch, candidate, capture_traces=False):
            """Outputs and scores of a candidate."""
            pairs = worker.run_all(batch, candidate[NAME])
            outputs, scores = [output for output, _ in pairs], [score for _, score in pairs]
            traces = list(zip(batch, outputs, scores, strict=True)) if capture_traces else None
            return EvaluationBatch(outputs=outputs, scores=scores, trajectories=traces)

        def make_reflective_dataset(self, candidate, eval_batch, components_to_update):
            """What the reflection is shown, with GEPA's own headings."""
            rows = []
            for row, output, score in eval_batch.trajectories:
                told = worker.feedback(row, score)
                shown = {"Inputs": row["input"], "Generated Outputs": output}
                rows.append({**shown, "Feedback": told} if told else shown)
            return {NAME: rows}

    class Hook:
        """Reports candidates once they are scored on validation."""

        def on_valset_evaluated(self, event):
            """One candidate."""
            worker.emit(
                "candidate",
                prompt=event["candidate"][NAME],
                score=event["average_score"],
                parents=[one for one in event["parent_ids"] or () if one is not None],
            )

    def reflect(prompt):
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return worker.ask("optimizer", messages)

    settings = {"display_progress_bar": False, **worker.settings}
    settings.setdefault("max_metric_calls", worker.calls)
    result = gepa.optimize(
        seed_candidate={NAME: worker.seed_prompt},
        trainset=worker.train,
        valset=worker.validation,
        adapter=Adapter(),
        reflection_lm=reflect,
        # GEPA goes on where a reflection fails; without this it would do so for ever.
        stop_callbacks=[lambda state: worker.refused is not None],
        callbacks=[Hook()],
        seed=worker.seed,
        **settings,
    )
    if worker.refused is not None:
        raise worker.refused
    best = result.best_idx
    counters = {
        "metric_calls": result.total_metric_calls,
        "full_validations": result.num_full_val_evals,
        "candidates": len(result.candidates),
    }
    return result.candidates[best][NAME], result.val_aggregate_scores[best], counters


if __name__ == "__main__":
    main(optimize)
