"""Results with a ledger behind them, of models that write what no page may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nullgrad
from nullgrad.api import read_run, run_history
from nullgrad.core.chat import Request
from nullgrad.edges.models.script import ScriptModel
from tests.support.workload import write_task

SCRIPT_TAG = "<script>document.title='owned'</script>"
IMAGE = '<img src="x" onerror="document.title=\'owned\'">'
LINK = "<a href=\"javascript:document.title='owned'\">here</a>"
BREAKOUT = "</script><script>document.title='owned'</script><!-- {{ 7 * 7 }} & &lt; \u2028"
LONG = "x" * 20_000
"""Beyond every bound of a page, and still quick to ask with."""
MEGABYTE = "y" * 1_000_000
KEY = "sk-test-0123456789abcdefghijklmn"

STUDY = """\
name: small
tasks: [task.yaml]
arms:
  improve: 3
  gradient/correct/naive: 3
  gradient/wrong/naive: 3
  gradient/correct/best@2: 3
  gradient/correct/best@3: 3
  gradient/correct/best@4: 3
steps: 3
curve: [2, 3]
margin: 5 points
contrasts:
  - {family: prompt-only, better: improve, than: seed}
  - {family: labels, better: gradient/correct/naive, than: gradient/wrong/naive}
  - {family: variants, trend: [gradient/correct/best@2, gradient/correct/best@3, gradient/correct/best@4]}
  - {family: course, plateau: gradient/correct/naive}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A run.

    Attributes:
        report: its result.
        history: what its ledger knows.
        ledger: where.
    """

    report: Mapping[str, Any]
    history: Mapping[str, Any]
    ledger: Path


def hostile(request: Request) -> str:
    """Prompts, feedback and answers with markup, keys and endless lines."""
    text = "\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        number = request.draw % 9_973
        long = f" {LONG}" if number % 7 == 0 else ""
        return f"<prompt>Rule {number}: {SCRIPT_TAG} {IMAGE} {LINK} {BREAKOUT} think of {KEY}.{long}</prompt>"
    if "How should the" in text:
        return f"Point {request.draw % 997}: {SCRIPT_TAG} {IMAGE} {BREAKOUT} {LONG}"
    number = int(request.identity()[:8], 16) % 7
    return f"{IMAGE}{SCRIPT_TAG} {LONG[:9_000]}" if number == 0 else ("up", "down", "up")[number % 3]


def model() -> ScriptModel:
    """The hostile model."""
    return ScriptModel(hostile, "script:hostile", "hostile")


def study_run(folder: Path) -> Found:
    """A study with a trend, a plateau and curves, in a ledger of its own."""
    write_task(folder)
    (folder / "study.yaml").write_text(STUDY)
    ledger = folder / "study.db"
    result = nullgrad.Study.from_file(folder / "study.yaml", model=model()).run(ledger=ledger)
    report = result.to_dict()
    return Found(report, run_history(report, ledger) or {}, ledger)


def optimize_run(folder: Path, **options: Any) -> Found:
    """An optimization."""
    task = write_task(folder)
    ledger = folder / "optimize.db"
    values: dict[str, Any] = {"arm": "gradient/correct/best@2", "steps": 2, "seed": 1, **options}
    result = nullgrad.optimize(task, model=model(), ledger=ledger, **values)
    report = read_run(result.run, ledger)
    return Found(report, run_history(report, ledger) or {}, ledger)
