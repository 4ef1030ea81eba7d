"""OPRO as promptolution has it, its package unchanged: https://github.com/automl/promptolution.

F reaches the text through the examples of the task that the optimizer's model is shown; S through the scores on validation,
which stand beside the earlier prompts in the same text.
"""

from __future__ import annotations

from nullgrad_promptolution import Library
from nullgrad_steps import whole
from nullgrad_worker import main


def optimize(worker):
    """The best prompt with its score on validation."""
    library = Library(worker, "OPRO", ("num_instructions_per_step", "num_few_shots"))
    settings = dict(library.settings)
    if not library.shows:
        settings["num_few_shots"] = 0
    variations = whole("variations", library.setting("variations", 0), 0)
    rows = len(worker.validation)
    proposals = whole("num_instructions_per_step", library.default("num_instructions_per_step"))
    first = variations + (1 + variations) * rows
    steps = library.steps(first, proposals * (1 + rows), "num_instructions_per_step")

    class Task(library.task):
        """Scores on all of validation, shows training rows."""

        def __init__(self):
            super().__init__("full", rows)
            self.scored_by = self.xs, self.ys
            self.xs = list(library.shown)
            self.ys = [row["shown"] for row in library.shown.values()]

        def subsample(self, eval_strategy=None, block_idx=None):
            """All of validation."""
            return self.scored_by

        def evaluate(self, prompts, *more, **named):
            """As the library has it, and every prompt is reported."""
            result = super().evaluate(prompts, *more, **named)
            for prompt, score in zip(prompts, result.agg_scores.tolist(), strict=True):
                library.report(prompt, score)
            return result

    optimizer = library.optimizer(
        predictor=library.predictor,
        task=Task(),
        meta_llm=library.model,
        initial_prompts=library.initial(variations),
        **settings,
    )
    return library.run(optimizer, steps)


if __name__ == "__main__":
    main(optimize)
