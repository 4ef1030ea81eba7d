"""What the adapters of promptolution's optimizers share: its task, predictor and models as subclasses of its own.

The library puts a prompt and an input into one user message and looks for markers in the reply. Here its extension points
ask the task's own messages and score by the task's scorer, so that a prompt is what it was evaluated as.
"""

from __future__ import annotations

import inspect
import random

from nullgrad_steps import splits, steps_for, whole
from nullgrad_worker import AdapterError

GIVEN = ("predictor", "task", "meta_llm", "initial_prompts", "callbacks")
"""What the adapters give to every optimizer: no settings."""

RUN = ("steps", "variations", "task_description")
"""Settings of the adapters' own: steps, paraphrases of the seed prompt to begin with, and what the optimizer's model is
told that the task is (the seed prompt)."""

STEPS = 10
"""Steps where the budget is not given in calls: the library's default."""

_VALIDATION = "validation row "
"""Before the id of a row of validation, where the library holds an input."""

_OPEN_EXAMPLE = "\n\nInput:"
"""How the library ends a prompt with examples, for an input that follows at once; in the task's messages it need not."""


def deployed(prompt):
    """The text of the library's prompt as it is asked and returned."""
    return str(prompt).removesuffix(_OPEN_EXAMPLE)


class Library:
    """The package with what is built upon it.

    Attributes:
        optimizer: its class, which keeps the error that its loop swallows as `failure`.
        predictor, model: the task's model as the library sees it, and the optimizer's.
        task: the base of the tasks.
        settings: of the optimizer's class.
        shows: whether the arm tells the labels of training rows.
        shown: training rows by their input, none where it does not.
    """

    def __init__(self, worker, name, takes, own_settings=RUN):
        self.worker = worker
        worker.package("promptolution")
        splits(worker)
        try:
            import numpy
            import pandas
            from promptolution import optimizers
            from promptolution.llms.base_llm import BaseLLM
            from promptolution.predictors.base_predictor import BasePredictor
            from promptolution.tasks.base_task import BaseTask
            from promptolution.utils.prompt_creation import create_prompt_variation

            own = getattr(optimizers, name)
            known = inspect.signature(own).parameters
        except (ImportError, AttributeError, ValueError) as error:
            raise AdapterError("interface", str(error)) from None
        lost = [one for one in (*GIVEN, *takes) if one not in known]
        lost += [one for one in ("_step", "optimize") if not hasattr(own, one)]
        lost += [one for one in ("subsample", "evaluate", "_evaluate") if not hasattr(BaseTask, one)]
        if lost:
            raise AdapterError("interface", f"{name} has no {', '.join(lost)}")
        unknown = [
            one for one in worker.settings if one not in own_settings and (one not in known or one in GIVEN)
        ]
        if unknown:
            raise AdapterError("setting", f"{name} takes no setting {', '.join(unknown)}")
        self.frame, self._vary = pandas.DataFrame, create_prompt_variation
        self.settings = {one: value for one, value in worker.settings.items() if one in known}
        self.shows = all(row["shown"] is not None for row in worker.train)
        # Those of the same input are one to the library.
        self.shown = {row["input"]: row for row in reversed(worker.train)} if self.shows else {}
        self.optimizer = _watched(own)
        self.model = _model(BaseLLM, worker)
        self.predictor = _predictor(BasePredictor, self)
        self.task = _task(BaseTask, numpy, self)
        self.emitted = set()
        random.seed(worker.seed)
        # The optimizers draw from both global streams.
        numpy.random.seed(worker.seed % 2**32)

    def default(self, name):
        """A setting of the optimizer's, its own default where it is not given."""
        return self.settings.get(name, inspect.signature(self.optimizer).parameters[name].default)

    def setting(self, name, default):
        """A setting of the adapter's own."""
        return self.worker.settings.get(name, default)

    def report(self, prompt, score):
        """A candidate, once."""
        text = deployed(prompt)
        if text not in self.emitted:
            self.emitted.add(text)
            self.worker.emit("candidate", prompt=text, score=score, parents=[])

    def initial(self, variations):
        """The seed prompt and paraphrases of it, by the library's own request to the optimizer's model."""
        seed = self.worker.seed_prompt
        made = self._vary([seed] * variations, self.model) if variations else []
        return [seed, *(one or seed for one in made)]

    def steps(self, first, each, smaller):
        """How many fit the budget, unless they are set; see `steps_for`."""
        given = self.worker.settings.get("steps")
        return steps_for(self.worker, first, each, smaller, STEPS) if given is None else whole("steps", given)

    def run(self, optimizer, steps):
        """Optimize; (prompt, score on validation, counters). What the loop swallowed is raised."""
        optimizer.optimize(steps)
        failure = self.worker.refused or optimizer.failure
        if failure is not None:
            raise failure
        best = max(range(len(optimizer.scores)), key=lambda one: (optimizer.scores[one], -one))
        counters = {
            "steps": optimizer.done,
            "prompts": len(optimizer.prompts),
            "untagged_replies": self.model.untagged,
        }
        return deployed(optimizer.prompts[best]), optimizer.scores[best], counters


def _watched(own):
    class Watched(own):
        """The optimizer; its loop ends at any exception, and says nothing of it to its caller."""

        failure = None
        done = 0

        def _step(self):
            try:
                prompts = super()._step()
            except Exception as error:
                self.failure = error
                raise
            self.done += 1
            return prompts

    return Watched


def _model(base, worker):
    class Model(base):
        """The optimizer's model; one call after the other, since equal ones are told apart by their order."""

        untagged = 0

        def _get_response(self, prompts, system_prompts):
            return [self._reply(*pair) for pair in zip(system_prompts, prompts, strict=True)]

        def _reply(self, system, prompt):
            text = worker.ask(
                "optimizer", [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
            )
            # The library then takes the whole reply for the prompt.
            self.untagged += "<prompt>" not in text
            return text

    return Model()


def _predictor(base, library):
    worker = library.worker
    rows = {_VALIDATION + row["id"]: row for row in worker.validation}

    class Predictor(base):
        """Asks in the task's messages. What it predicts is a score, or on a training row the label that it met."""

        def predict(self, prompts, xs, system_prompts=None):
            """(predictions, texts that begin with the input)."""
            wanted = {}
            for prompt, x in zip(prompts, xs, strict=True):
                wanted.setdefault(deployed(prompt), {})[x] = None
            found = {}
            for prompt, inputs in wanted.items():
                asked = [rows.get(x) or library.shown[x] for x in inputs]
                pairs = worker.run_all(asked, prompt)
                found.update(
                    ((prompt, x), (row, *pair)) for x, row, pair in zip(inputs, asked, pairs, strict=True)
                )
            answers = [found[deployed(prompt), x] for prompt, x in zip(prompts, xs, strict=True)]
            return [self._prediction(*one) for one in answers], [
                f"{x}\n{output}" for x, (_, output, _) in zip(xs, answers, strict=True)
            ]

        def _prediction(self, row, output, score):
            if row["shown"] is None:
                return score
            return row["shown"] if score >= 1.0 else None

        def _extract_preds(self, preds):
            return preds

    # The library asks this model for its way to count tokens, and nothing else.
    return Predictor(library.model)


def _task(base, numpy, library):
    worker = library.worker

    class Task(base):
        """The rows of validation, by which prompts are scored; `xs` and `ys` hold what may be shown."""

        def __init__(self, strategy, block):
            rows = [_VALIDATION + row["id"] for row in worker.validation]
            described = library.setting("task_description", worker.seed_prompt)
            frame = library.frame({"x": rows, "y": [""] * len(rows)})
            super().__init__(frame, "x", "y", described, block, strategy, worker.seed)
            self.task_type = "reward"

        def _evaluate(self, xs, ys, preds):
            return numpy.asarray(preds, dtype=float)

    return Task
