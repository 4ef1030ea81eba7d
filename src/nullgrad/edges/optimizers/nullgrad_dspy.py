"""What the adapters of DSPy share: its models, the task's messages, its metric, and an end that it cannot swallow.

DSPy catches every `Exception` of a model's and goes on, with zeros in the place of scores. So what goes wrong on the way
to a reply or a score is raised as `Stopped`, which is none, and the trial ends with what went wrong first.

A prompt is asked and scored in the task's own messages, through DSPy's own extension point, an adapter: so the prompt
that it returns is deployable as it is. Proposers keep DSPy's format.
"""

from __future__ import annotations

import inspect
import os
import threading
from types import SimpleNamespace

from nullgrad_worker import AdapterError

INPUT, OUTPUT = "input", "answer"
"""The fields of the program that is optimized."""

NAMES = (
    "BaseLM", "ChatAdapter", "Example", "Predict", "Prediction", "Signature", "configure", "configure_cache",
)  # fmt: skip
"""What `dspy` must have, beside the optimizer."""

IDLE = 15.0
"""Seconds that calls in flight get to arrive once a trial has stopped, so that they are counted."""


class Stopped(BaseException):
    """A call or a score is missing: no `Exception`, or DSPy would go on."""


class Program:
    """One prompt as a DSPy program, with the models behind it.

    Args:
        worker: of the job.
        optimizer: its class in `dspy`, such as `GEPA`.
        takes: what its constructor must take.
        compiles: what its `compile` must take.

    Attributes:
        dspy: the package.
        student: the program, `input -> answer`, with the seed prompt as its instructions.
        optimizer: the class.
        task, proposer: DSPy's models that ask under the roles `generator` and `optimizer`.
        threads: calls in flight at most.
    """

    def __init__(self, worker, optimizer, takes, compiles):
        # DSPy and what it imports would write into the user's home.
        os.environ["DSPY_CACHEDIR"] = os.path.join(os.getcwd(), "dspy-cache")
        self.worker = worker
        self.dspy = dspy = worker.package("dspy")
        self.optimizer = self._checked(optimizer, takes, compiles)
        self.threads = max(1, worker.job.get("concurrency", 8))
        self._trouble, self._flying = None, 0
        self._turn = threading.Condition()
        self._scores = {}
        rows = (*worker.train, *worker.validation)
        self._rows = {row["id"]: row for row in rows}
        self._by_input = {row["input"]: row for row in rows}
        if not worker.seed_prompt.strip():
            raise AdapterError(
                "setting",
                "DSPy puts a text of its own in the place of an empty prompt; give the task a prompt",
            )
        self.student = dspy.Predict(dspy.Signature(f"{INPUT} -> {OUTPUT}", worker.seed_prompt))
        self.task, self.proposer = (_model(dspy, self, role) for role in ("generator", "optimizer"))
        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        dspy.configure(lm=self.task, adapter=_adapter(dspy, self), num_threads=self.threads)

    def _checked(self, optimizer, takes, compiles):
        lost = [name for name in (*NAMES, optimizer) if not hasattr(self.dspy, name)]
        if lost:
            raise AdapterError("interface", f"dspy has no {', '.join(lost)}")
        found = getattr(self.dspy, optimizer)
        for what, wanted in ((found, takes), (found.compile, compiles)):
            lost = [name for name in wanted if name not in inspect.signature(what).parameters]
            if lost:
                raise AdapterError("interface", f"dspy.{what.__qualname__} takes no {', '.join(lost)}")
        return found

    def settings(self, *reserved):
        """(of the constructor, of `compile`): the job's settings.

        Raises:
            AdapterError: the optimizer takes no such setting, or the adapter gives it itself.
        """
        knobs = [
            {
                name: value
                for name, value in self.worker.settings.items()
                if name in inspect.signature(what).parameters and name not in ("self", *reserved)
            }
            for what in (self.optimizer, self.optimizer.compile)
        ]
        unknown = [name for name in self.worker.settings if not any(name in one for one in knobs)]
        if unknown:
            raise AdapterError(
                "setting", f"dspy.{self.optimizer.__name__} takes no setting {', '.join(unknown)}"
            )
        return knobs

    def build(self, **arguments):
        """The optimizer; what its constructor refuses is a setting.

        Raises:
            AdapterError: it refuses its arguments.
        """
        try:
            return self.optimizer(**arguments)
        except (TypeError, ValueError, AssertionError) as error:
            raise AdapterError("setting", " ".join(str(error).split()) or repr(error)) from None

    def examples(self, rows, labelled=False):
        """DSPy's examples of rows; `labelled` ones hold the label, where the arm shows one."""
        made = []
        for row in rows:
            label = {OUTPUT: row["shown"]} if labelled and row["shown"] is not None else {}
            # A name that begins so is in no text that DSPy makes of an example.
            example = self.dspy.Example(**{INPUT: row["input"]}, **label, dspy_id=row["id"])
            made.append(example.with_inputs(INPUT))
        return made

    def row(self, example):
        """The row of an example."""
        return self._rows[example.dspy_id]

    def score(self, row, prediction):
        """The task's score of a prediction by the row's target; the same output is scored once."""
        key = (row["id"], prediction[OUTPUT])
        if key not in self._scores:
            self._scores[key] = self.reached(lambda: self.worker.score(row, prediction[OUTPUT]))
        return self._scores[key]

    def messages(self, instructions, text):
        """The task's own messages of an input."""
        return self.worker.messages(self._by_input[text], self.prompt(instructions))

    def prompt(self, instructions):
        """The prompt that instructions mean: DSPy strips and dedents them, the seed prompt's own form excepted here."""
        shown, seed = inspect.cleandoc(instructions), self.worker.seed_prompt
        return seed if shown == inspect.cleandoc(seed) else shown

    def reached(self, work):
        """What `work` gives that cannot be done without.

        Raises:
            Stopped: it failed, or something else did before.
        """
        with self._turn:
            if self._trouble is not None:
                raise Stopped
            self._flying += 1
        try:
            return work()
        except Exception as error:
            with self._turn:
                self._trouble = self._trouble or error
            raise Stopped from error
        finally:
            with self._turn:
                self._flying -= 1
                self._turn.notify_all()

    def run(self, compiling):
        """What `compiling` returns, unless a call or a score was missing on the way.

        Raises:
            Exception: what went wrong first, though DSPy may have returned.
        """
        done = None
        try:
            done = compiling()
        except (Stopped, Exception):
            if self._trouble is None:
                raise
            with self._turn:
                self._turn.wait_for(lambda: not self._flying, IDLE)
        if self._trouble is not None:
            raise self._trouble
        return done


def _model(dspy, program, role):
    class Model(dspy.BaseLM):
        """A role's model; each of `n` replies is a call of its own, and nothing is cached."""

        def forward(self, prompt=None, messages=None, **given):
            asked = {**self.kwargs, **given}
            # What DSPy sets apart from these, such as rollout_id, only keeps its cache from answering.
            known = ("temperature", "max_tokens", "top_p", "stop")
            sampling = {name: asked[name] for name in known if asked.get(name) is not None}
            messages = messages or [{"role": "user", "content": prompt}]
            texts = program.reached(
                lambda: program.worker.replies(role, messages, asked.get("n") or 1, **sampling)
            )
            choices = [
                SimpleNamespace(message=SimpleNamespace(content=text, tool_calls=None), finish_reason="stop")
                for text in texts
            ]
            # Counted by the gateway, not here.
            usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            return SimpleNamespace(choices=choices, usage=usage, model=self.model)

    return Model(program.worker.job["models"][role], cache=False)


def _adapter(dspy, program):
    class Adapter(dspy.ChatAdapter):
        """The task's messages for the program that is optimized, DSPy's for all others."""

        def __call__(self, lm, lm_kwargs, signature, demos, inputs):
            if not _is_student(signature):
                return super().__call__(lm, lm_kwargs, signature, demos, inputs)
            # An empty reply is the model's own answer and scored as one; DSPy would ask again in another format.
            messages = self.format(signature, demos, inputs)
            return [
                self.parse(signature, reply)
                for reply in program.reached(lambda: lm(messages=messages, **lm_kwargs))
            ]

        def format(self, signature, demos, inputs):
            if not _is_student(signature):
                return super().format(signature, demos, inputs)
            return program.reached(lambda: program.messages(signature.instructions, inputs[INPUT]))

        def parse(self, signature, completion):
            if not _is_student(signature):
                return super().parse(signature, completion)
            return {OUTPUT: completion}

    return Adapter()


def _is_student(signature):
    return (tuple(signature.input_fields), tuple(signature.output_fields)) == ((INPUT,), (OUTPUT,))


def report_evaluations(program):
    """Report every prompt that DSPy scores on all of its selection set, and again where the score rises.

    Where the optimizer evaluates one prompt repeatedly it keeps the best of the scores, and so do the reports.

    Raises:
        AdapterError: DSPy tells of no evaluations.
    """
    try:
        from dspy.utils.callback import BaseCallback
    except ImportError as error:
        raise AdapterError("interface", str(error)) from None
    if not hasattr(BaseCallback, "on_evaluate_start") or not hasattr(BaseCallback, "on_evaluate_end"):
        raise AdapterError("interface", "dspy.utils.callback.BaseCallback tells of no evaluations")

    class Hook(BaseCallback):
        """Remembers what is evaluated until its score is there."""

        def __init__(self):
            self.open, self.known = {}, {}

        def on_evaluate_start(self, call_id, instance, inputs):
            """What is evaluated, taken now: the program may be changed afterwards."""
            metadata = inputs.get("callback_metadata") or {}
            if metadata.get("metric_key", "eval_full") == "eval_full":
                self.open[call_id] = program.prompt(inputs["program"].signature.instructions)

        def on_evaluate_end(self, call_id, outputs, exception=None):
            """Its score, a percentage."""
            prompt = self.open.pop(call_id, None)
            if prompt is None or outputs is None or outputs.score / 100 <= self.known.get(prompt, -1.0):
                return
            self.known[prompt] = outputs.score / 100
            program.worker.emit("candidate", prompt=prompt, score=self.known[prompt])

    program.dspy.configure(callbacks=[Hook()])
