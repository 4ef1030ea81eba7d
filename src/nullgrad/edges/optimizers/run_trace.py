"""Trace (OptoPrime), its package unchanged: https://github.com/microsoft/Trace.

F reaches the text through the feedback on a batch of training rows, one line for each; S through the scores on validation,
by which each step is kept or reverted. The library has no loop of its own; it is that of its prompt scripts.
"""

from __future__ import annotations

import inspect
import os
import random
from types import SimpleNamespace

from nullgrad_steps import climb, told
from nullgrad_worker import AdapterError, main

OWN = ("parameters", "llm", "propagator", "log", "args", "kwargs")
"""What we give to the optimizer: no settings."""

LOOP = ("steps", "batch_size")


def optimize(worker):
    """The prompt that was kept last, with its score on validation."""
    random.seed(worker.seed)
    # Another backend would look for a configuration of its own at import.
    os.environ["TRACE_DEFAULT_LLM_BACKEND"] = "LiteLLM"
    worker.package("opto", "trace-opt")
    try:
        from opto.optimizers import OptoPrime
        from opto.trace import bundle, node
        from opto.trace.propagators import GraphPropagator

        known = inspect.signature(OptoPrime.__init__).parameters
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError("interface", str(error)) from None
    lost = [name for name in OWN[:3] if name not in known]
    lost += [
        name for name in ("zero_feedback", "backward", "propose", "update") if not hasattr(OptoPrime, name)
    ]
    if lost:
        raise AdapterError("interface", f"OptoPrime has no {', '.join(lost)}")
    unknown = [
        name
        for name in worker.settings
        if name not in LOOP and (name not in known or name in OWN or name == "self")
    ]
    if unknown:
        raise AdapterError("setting", f"OptoPrime takes no setting {', '.join(unknown)}")

    replies = []

    def llm(messages, **more):
        # It asks a second time where the first raised, which a failed call must not get.
        if worker.refused is not None:
            raise worker.refused
        replies.append(worker.ask("optimizer", messages))
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=replies[-1]))])

    def concat(*answers):
        return "\n".join(f"ID {number}: {one}" for number, one in enumerate(answers))

    joined = bundle(
        description="[concat] Joins the answers of a batch into one text.", catch_execution_error=False
    )(_named(concat, "concat"))
    prompt = node(
        worker.seed_prompt,
        name="prompt",
        trainable=True,
        description="[ParameterNode] The instruction that a language model gets beside every input.",
    )
    settings = {name: value for name, value in worker.settings.items() if name not in LOOP}

    class Ordered(GraphPropagator):
        """Takes what comes back to a node in the order of the nodes' numbers: the library's own goes by addresses."""

        def aggregate(self, feedback):
            """As the library has it."""
            return super().aggregate(dict(sorted(feedback.items(), key=lambda pair: int(pair[0].id))))

    optimizer = OptoPrime([prompt], llm=llm, propagator=Ordered(), **settings)
    stops = 0

    def answered(row, output):
        def answer(prompt, x):
            return output

        wrapped = bundle(
            description="[answer] Asks a language model to answer the input x as the prompt says.",
            catch_execution_error=False,
        )(_named(answer, "answer"))
        return wrapped(prompt, node(row["input"], name="x"))

    def propose(current, batch):
        nonlocal stops
        prompt._data = current
        pairs = worker.run_all(batch, current)
        answers = [answered(row, output) for row, (output, _) in zip(batch, pairs, strict=True)]
        feedback = [
            f"ID {number}: {told(worker, row, score)}"
            for number, (row, (_, score)) in enumerate(zip(batch, pairs, strict=True))
        ]
        optimizer.zero_feedback()
        optimizer.backward(joined(*answers), "\n".join(feedback))
        before = len(replies)
        try:
            update = optimizer.propose()
        except Exception:
            # With a reply in hand the library only reads it; some it cannot.
            if worker.refused is not None or len(replies) == before:
                raise
            return None
        optimizer.update(update)
        if prompt in update:
            return prompt.data
        # Its word for no change; any other reply without the variable cannot be used.
        if "TERMINATE" in replies[-1]:
            stops += 1
            return current
        return None

    best, score, counters = climb(worker, propose, lambda size: 1)
    return best, score, {**counters, "terminated": stops}


def _named(function, name):
    """The function under the name by which the optimizer reads of it."""
    function.__qualname__ = function.__name__ = name
    return function


if __name__ == "__main__":
    main(optimize)
