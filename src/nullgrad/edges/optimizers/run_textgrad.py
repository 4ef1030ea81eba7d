"""TextGrad (textual gradient descent), its package unchanged: https://github.com/zou-group/textgrad.

F reaches the text through the loss: the output of a string-based function on training rows, which the gradients are made
from. S through the scores on validation, by which each step is kept or reverted, as in the library's prompt scripts.
"""

from __future__ import annotations

import inspect
import os
import random

from nullgrad_steps import climb, told
from nullgrad_worker import AdapterError, main

OWN = ("parameters", "engine", "verbose", "new_variable_tags", "optimizer_system_prompt")
"""What we give to the optimizer, or what its replies are read by: no settings."""

LOOP = ("steps", "batch_size")


def optimize(worker):
    """The prompt that was kept last, with its score on validation."""
    random.seed(worker.seed)
    # Imported, the package makes its log's folder.
    os.environ["TEXTGRAD_LOG_DIR"] = os.path.join(os.getcwd(), "logs")
    tg = worker.package("textgrad")
    try:
        from textgrad.autograd.string_based_ops import StringBasedFunction
        from textgrad.defaults import SYSTEM_PROMPT_DEFAULT_ROLE, VARIABLE_INPUT_DEFAULT_ROLE

        known = inspect.signature(tg.TextualGradientDescent).parameters
        base, variable, model = tg.EngineLM, tg.Variable, tg.BlackboxLLM
        total, set_engine = tg.sum, tg.set_backward_engine
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterError("interface", str(error)) from None
    lost = [name for name in OWN[:2] if name not in known]
    if lost:
        raise AdapterError("interface", f"TextualGradientDescent takes no {', '.join(lost)}")
    unknown = [name for name in worker.settings if name not in LOOP and (name not in known or name in OWN)]
    if unknown:
        raise AdapterError("setting", f"TextualGradientDescent takes no setting {', '.join(unknown)}")

    class Engine(base):
        """The optimizer's model as the library sees it."""

        model_string = "optimizer"

        def generate(self, prompt, system_prompt=None, **more):
            """A reply."""
            if worker.refused is not None:
                raise worker.refused
            system = [{"role": "system", "content": system_prompt}] if system_prompt else []
            return worker.ask("optimizer", [*system, {"role": "user", "content": prompt}])

        def __call__(self, prompt, system_prompt=None, **more):
            return self.generate(prompt, system_prompt)

    class Given(base):
        """The task's model on one row, which was asked in the task's own messages."""

        model_string = "generator"

        def __init__(self, output):
            self.output = output

        def generate(self, prompt, system_prompt=None, **more):
            """The output."""
            return self.output

        def __call__(self, prompt, system_prompt=None, **more):
            return self.output

    engine = Engine()
    set_engine(engine, override=True)
    prompt = variable(worker.seed_prompt, requires_grad=True, role_description=SYSTEM_PROMPT_DEFAULT_ROLE)
    settings = {name: value for name, value in worker.settings.items() if name not in LOOP}
    descent = tg.TextualGradientDescent(parameters=[prompt], engine=engine, **settings)

    def loss(row, output, score):
        query = variable(row["input"], requires_grad=False, role_description=VARIABLE_INPUT_DEFAULT_ROLE)
        answer = model(Given(output), prompt)(query)
        evaluation = StringBasedFunction(
            lambda prediction: told(worker, row, score), "evaluates the response"
        )
        return evaluation(inputs={"prediction": answer})

    def propose(current, batch):
        prompt.set_value(current)
        descent.zero_grad()
        pairs = worker.run_all(batch, current)
        total([loss(row, *pair) for row, pair in zip(batch, pairs, strict=True)]).backward()
        # A set goes by the addresses of its members; in an order of their own the same seed gives the same request.
        prompt.gradients = sorted(
            prompt.gradients, key=lambda one: (prompt.gradients_context[one]["context"], one.value)
        )
        try:
            descent.step()
        except IndexError:
            # It looks for its tags in the reply.
            return None
        return prompt.value

    return climb(worker, propose, lambda size: 2 * size + 1)


if __name__ == "__main__":
    main(optimize)
