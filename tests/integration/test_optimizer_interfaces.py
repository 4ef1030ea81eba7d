"""Adapters whose package is missing, or is another one than they know: one line with the command that installs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nullgrad.api import run_optimizer
from nullgrad.edges.optimizers import KNOWN
from nullgrad.errors import UserError
from tests.support.workload import write_task


def bare_python(folder: Path, packages: dict[str, str] | None = None, distribution: str = "") -> str:
    """An interpreter with the standard library and these modules alone, of a distribution at release 99."""
    site = folder / "site"
    site.mkdir()
    for name, code in (packages or {}).items():
        path = site.joinpath(*name.split("."))
        path.mkdir(parents=True)
        (path / "__init__.py").write_text(code)
    if distribution:
        info = site / f"{distribution.replace('-', '_')}-99.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 99\n")
    python = folder / "python"
    real = os.path.realpath(sys.executable)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {real} -S "$@"\n')
    python.chmod(0o755)
    return str(python)


def refused(folder: Path, optimizer: str, python: str) -> str:
    """The one line that a run ends with; nothing answers at the endpoint, and nothing is asked there."""
    with pytest.raises(UserError) as caught:
        run_optimizer(
            write_task(folder), optimizer, model="openai/test", base_url="http://127.0.0.1:1/v1", budget="100calls",
            ledger=folder / "l.db", python=python,
        )  # fmt: skip
    line = str(caught.value)
    assert "\n" not in line
    assert KNOWN[optimizer].install(python) in line
    return line


@pytest.mark.parametrize("optimizer", KNOWN)
def test_a_missing_package_is_one_line(tmp_path: Path, optimizer: str) -> None:
    assert "is not installed" in refused(tmp_path, optimizer, bare_python(tmp_path))


TEXTGRAD = """
class TextualGradientDescent:
    def __init__(self, weights, engine): pass
EngineLM = Variable = BlackboxLLM = sum = set_backward_engine = object
"""
OPTOPRIME = """
class OptoPrime:
    def __init__(self, parameters, llm, propagator): pass
    def zero_feedback(self): pass
    def backward(self): pass
"""
PROMPTOLUTION = {
    "promptolution": "",
    "numpy": "",
    "pandas": "",
    "promptolution.llms.base_llm": "class BaseLLM: pass",
    "promptolution.predictors.base_predictor": "class BasePredictor: pass",
    "promptolution.tasks.base_task": "class BaseTask: subsample = evaluate = _evaluate = None",
    "promptolution.utils.prompt_creation": "create_prompt_variation = None",
    "promptolution.optimizers": """
class OPRO:
    _step = optimize = None
    def __init__(self, predictor, task, meta_llm, initial_prompts, callbacks, num_few_shots): pass
""",
}


@pytest.mark.parametrize(
    ("optimizer", "distribution", "packages", "says"),
    [
        (
            "textgrad",
            "textgrad",
            {
                "textgrad": TEXTGRAD,
                "textgrad.autograd.string_based_ops": "StringBasedFunction = None",
                "textgrad.defaults": "SYSTEM_PROMPT_DEFAULT_ROLE = VARIABLE_INPUT_DEFAULT_ROLE = ''",
            },
            "TextualGradientDescent takes no parameters",
        ),
        ("textgrad", "textgrad", {"textgrad": ""}, "No module named 'textgrad.autograd'"),
        (
            "trace",
            "trace-opt",
            {
                "opto.optimizers": OPTOPRIME,
                "opto.trace": "bundle = node = None",
                "opto.trace.propagators": "class GraphPropagator: pass",
            },
            "OptoPrime has no propose, update",
        ),
        ("promptolution-opro", "promptolution", PROMPTOLUTION, "OPRO has no num_instructions_per_step"),
        ("promptolution-capo", "promptolution", PROMPTOLUTION, "no attribute 'CAPO'"),
    ],
)
def test_a_package_that_has_changed_is_one_line(
    tmp_path: Path, optimizer: str, distribution: str, packages: dict[str, str], says: str
) -> None:
    line = refused(tmp_path, optimizer, bare_python(tmp_path, packages, distribution))
    assert "has another interface than the adapter knows" in line
    assert says in line
