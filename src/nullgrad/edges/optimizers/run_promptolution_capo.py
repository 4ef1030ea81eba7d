"""CAPO as promptolution has it, its package unchanged: https://github.com/automl/promptolution.

F reaches the prompts themselves, as worked examples from training rows; the optimizer's model sees instructions alone. S
through the scores on blocks of validation, on which prompts race.
"""

from __future__ import annotations

from nullgrad_promptolution import RUN, Library
from nullgrad_steps import whole
from nullgrad_worker import AdapterError, main

BLOCK = 30
"""Rows of a block: the library's default."""

VARIATIONS = 2
"""Paraphrases beside the seed prompt: it crosses two prompts of a population that keeps its size."""


def optimize(worker):
    """The best prompt with its score on the blocks of validation that it was raced on."""
    takes = "crossovers_per_iter", "upper_shots", "max_n_blocks_eval", "df_few_shots"
    library = Library(worker, "CAPO", takes, (*RUN, "n_subsamples"))
    if "df_few_shots" in library.settings:
        raise AdapterError("setting", "df_few_shots is made of the training rows")
    settings = dict(library.settings)
    # Without a label to show there is no example; and none can be drawn twice.
    settings["upper_shots"] = min(whole("upper_shots", library.default("upper_shots"), 0), len(library.shown))
    variations = whole("variations", library.setting("variations", VARIATIONS))
    block = min(whole("n_subsamples", library.setting("n_subsamples", BLOCK)), len(worker.validation))
    crossed = whole("crossovers_per_iter", library.default("crossovers_per_iter"))
    blocks = min(
        whole("max_n_blocks_eval", library.default("max_n_blocks_eval")), len(worker.validation) // block
    )
    raced, population = blocks * block, 1 + variations
    shots = settings["upper_shots"]
    first = variations + population * (shots + raced)
    steps = library.steps(first, crossed * (2 + bool(shots) + raced), "crossovers_per_iter")

    class Task(library.task):
        """Races on blocks of validation; prompts are reported once their race is over."""

        def __init__(self):
            super().__init__("sequential_block", block)
            self.raced = []

        def evaluate(self, prompts, *more, eval_strategy=None, **named):
            """As the library has it."""
            result = super().evaluate(prompts, *more, eval_strategy=eval_strategy, **named)
            if eval_strategy != "evaluated":
                self.raced += [one for one in prompts if one not in self.raced]
                return result
            # Of those that lost their race the library makes no score: they ran on fewer blocks.
            scores = dict(zip(prompts, result.agg_scores.tolist(), strict=True))
            for prompt in self.raced:
                library.report(prompt, scores.get(prompt))
            self.raced.clear()
            return result

    shown = library.shown.values()
    optimizer = library.optimizer(
        predictor=library.predictor,
        task=Task(),
        meta_llm=library.model,
        initial_prompts=library.initial(variations),
        df_few_shots=library.frame(
            {"x": [row["input"] for row in shown], "y": [row["shown"] for row in shown]}
        ),
        **settings,
    )
    return library.run(optimizer, steps)


if __name__ == "__main__":
    main(optimize)
