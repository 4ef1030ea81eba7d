"""Carries out, or resumes, the studies that docs/measured.md shows, and writes it from their results.

    scripts/studies.py                  # all of them: hours on two cores; the same command goes on after a stop
    scripts/studies.py main shared      # some of them; the page keeps what it says of the others
    scripts/studies.py audits           # the audits that docs/audit.md shows; --recorded asks nothing

Each is an ordinary `nullgrad run` or `nullgrad audit`, printed before it runs; replies are kept in `--ledgers`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from audits import transcripts

from nullgrad.analysis.study.published import TASKS, published

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "measured.md"
MODEL = "local:smollm2-135m"
PRESETS = ROOT / "src" / "nullgrad" / "presets"

HEAD = """# Measured studies

Made by `make studies`, on two cores with the embedded model of 135 million parameters, in pieces that its ledger joins.
Whatever came out is shown.
"""


@dataclass(frozen=True)
class Study:
    """One study of the page.

    Attributes:
        title: its heading.
        arguments: of `nullgrad run`.
        about: what is to be said before its numbers.
    """

    title: str
    arguments: tuple[str, ...]
    about: str


STUDIES = {
    "main": Study(
        "The paper's main runs, on support tickets",
        ("paper-main", "--task", "studies/tickets.yaml", "--model", MODEL, "--trials", "15", "--steps", "5"),
        "The paper's sixteen arms (arXiv 2512.13598), independent draws, 5 trials of validated selection as published; of naive "
        "selection 15 instead of 30 trials, and 5 steps instead of 10. Without `--trials` and `--steps` the same command goes on "
        "to the published size. The task is the shipped one, on a test of 60; the paper's were GPQA Diamond and two tasks of "
        "BBEH under Claude 3.7 Sonnet, of which the last three columns tell.",
    ),
    "balanced": Study(
        "Labels, balanced and at 80 to 20",
        ("studies/balanced-tickets.yaml", "--model", MODEL, "--trials", "6", "--steps", "3"),
        "The preset `balanced-check` on the shipped task. An interaction above zero says that the labels bring more at 80 to 20, "
        "where they tell the frequency of the answers.",
    ),
    "puzzles": Study(
        "Published puzzles, for the count of calls",
        (
            "paper-main", "--task", "studies/web-of-lies.yaml", "--model", MODEL,
            "--trials", "1", "--steps", "1", "--max-completion", "48",
        ),
        "`paper-main` on BBEH Web of Lies, which is beyond this model: what counts is that the calls asked are those of the plan.",
    ),
}  # fmt: skip


def nullgrad(arguments: Sequence[str]) -> str:
    """A command's standard output; its progress goes to the terminal."""
    print(f"\n$ nullgrad {shlex.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "nullgrad", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        sys.exit(f"It ended with {done.returncode}; the same command goes on.")
    return done.stdout


def run(arguments: Sequence[str], ledger: Path) -> dict[str, Any]:
    """The result of a study, as `--json` prints it."""
    return json.loads(nullgrad(["run", *arguments, "--ledger", str(ledger), "--json"]))


def section(name: str, ledger: Path) -> list[str]:
    """One study of `STUDIES` in Markdown."""
    study = STUDIES[name]
    arguments = study.arguments
    plan = json.loads(nullgrad(["plan", *arguments, "--ledger", str(ledger), "--json"]))
    result = run(arguments, ledger)
    asked, planned = result["calls"]["asked"], plan["calls"]["asked"]
    roles = [role for role in ("generator", "optimizer", "critic", "judge") if planned[role]]
    lines = [study.about, "", f"    nullgrad run {shlex.join(arguments)}", ""]
    unread = sum(row["unparsed_proposals"] for row in result["tables"]["arms"])
    lines.append(
        f"{sum(asked.values()):,} calls asked, {planned['total']:,} planned"
        + _by_role(roles, asked, planned, unread)
    )
    for cell in result["cells"]:
        if len(result["cells"]) > 1:
            lines += ["", f"### {cell['cell']}"]
        lines += [
            "",
            *_verdicts(result, cell["cell"]),
            "",
            *_contrasts(result, cell["cell"]),
            "",
            *_arms(result, cell["cell"]),
        ]
    lines.append("")
    for one in result["signatures"]:
        lines.append(f"- Seen in {one['cell']}: {one['signature']} ({'; '.join(one['evidence'])}).")
    lines += [f"- Note: {note}" for note in result["notes"]]
    return lines


def _by_role(roles: Sequence[str], asked: dict[str, int], planned: dict[str, int], unread: int) -> str:
    parts = ", ".join(f"{role} {asked.get(role, 0):,} of {planned[role]:,}" for role in roles)
    if all(asked.get(role, 0) == planned[role] for role in roles):
        return f" ({parts}): equal."
    return f" ({parts}): the plan is exact when every proposal can be read; of {unread} that could not, no score was asked."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)] if rows else []


def _verdicts(result: dict[str, Any], cell: str) -> list[str]:
    rows = [row for row in result["tables"]["verdicts"] if row["cell"] == cell]
    return _table(
        ["prediction of the gradient hypothesis", "selection", "verdict"],
        [[row["prediction"], row["selection"], f"**{row['verdict']}**"] for row in rows],
    )


def _contrasts(result: dict[str, Any], cell: str) -> list[str]:
    keys = _published_keys(result["preset"])
    rows = []
    for row in result["tables"]["contrasts"]:
        if row["cell"] != cell or row["role"] != "declared":
            continue
        key = keys.get(row["name"], "")
        found = [published(key, task) for task in TASKS] if key else []
        said = ["–" if one is None else one.text.removeprefix("published: ") for one in found]
        rows.append([*_numbers(row), *(said if keys else [])])
    papers = ["paper: GPQA", "paper: Web of Lies", "paper: arithmetic"] if keys else []
    return _table(
        ["contrast", "trials", "points", "interval", "p", "α", "detectable", "verdict", *papers], rows
    )


def _numbers(row: dict[str, Any]) -> list[str]:
    first, second = row["n_first"], row["n_second"]
    low, high = row["low_points"], row["high_points"]
    return [
        row["name"],
        str(first) if first == second else f"{first}, {second}",
        "–" if row["difference_points"] is None else f"{row['difference_points']:+.1f}",
        "–" if low is None else f"{low:.1f} to {high:.1f}",
        "–" if row["p"] is None else f"{row['p']:.2g}",
        f"{row['alpha']:.4g}",
        "–" if row["detectable_points"] is None else f"{row['detectable_points']:.1f}",
        f"**{row['verdict']}**",
    ]


def _arms(result: dict[str, Any], cell: str) -> list[str]:
    rows = [
        [
            row["arm"],
            str(row["n"]) if row["n"] == row["declared"] else f"{row['n']} of {row['declared']}",
            "–" if row["mean"] is None else f"{row['mean']:.1%}",
            "–" if row["low"] is None else f"{row['low']:.1%} to {row['high']:.1%}",
            "–" if row["sd"] is None else f"{row['sd']:.1%}",
            f"{row['unparsed_proposals']} of {row['proposals']}" if row["proposals"] else "",
        ]
        for row in result["tables"]["arms"]
        if row["cell"] == cell
    ]
    return _table(["arm", "trials", "mean test score", "95 %", "SD", "proposals that gave no prompt"], rows)


def _published_keys(preset: str) -> dict[str, str]:
    """Keys of published values by the name of the contrast that they stand beside."""
    if not preset:
        return {}
    spec = yaml.safe_load((PRESETS / f"{preset}.yaml").read_text("utf-8"))
    return {
        f"{one['family']}: {one['better']} > {one['than']}": one["published"]
        for one in spec["contrasts"]
        if "published" in one and "better" in one
    }


SHARED_TASK = {"task": "support-tickets", "split": {"train": 30, "validation": 6, "test": 12}}


def shared(ledgers: Path) -> list[str]:
    """Calls paid by `paper-main` with shared draws against the same study without."""
    spec = yaml.safe_load((PRESETS / "paper-main.yaml").read_text("utf-8"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "scripted.py"
        script.write_text(SCRIPT, "utf-8")
        for model, say in ((f"script:{script}", "a scripted model"), (MODEL, f"`{MODEL}`")):
            paid = {}
            for design in ("paired", "independent"):
                file = Path(folder) / f"shared-{design}.yaml"
                arms = dict.fromkeys(spec["arms"], 2)
                own = spec | {
                    "tasks": [{"name": "support-tickets", **SHARED_TASK}],
                    "arms": arms,
                    "design": design,
                    "steps": 3,
                }
                file.write_text(yaml.safe_dump(own | {"name": f"shared-{design}", "contrasts": []}), "utf-8")
                scripted = model.startswith("script:")
                kept = Path(folder) / f"{design}.db" if scripted else ledgers / f"shared-{design}.db"
                result = run([str(file), "--model", model], kept)
                # Whatever was paid at any time, for a resumed run pays the rest only.
                paid[design] = (replies(kept), sum(result["calls"]["asked"].values()))
            (one, asked), (two, _) = paid["paired"], paid["independent"]
            rows.append([say, f"{asked:,}", f"{one:,}", f"{two:,}", f"{one / two:.2f}"])
    return [
        "`paper-main`'s sixteen arms with 2 trials each, 3 steps, 6 validation and 12 test examples: arms of a block that ask "
        "the same thing in the same trial share the reply in the paired design, and nothing in the independent one.",
        "",
        *_table(["model", "calls asked", "paid, paired", "paid, independent", "ratio"], rows),
    ]


def replies(ledger: Path) -> int:
    """How many replies a ledger holds."""
    return int(json.loads(nullgrad(["verify", "--ledger", str(ledger), "--json"]))["checked"]["replies"])


SCRIPT = '''"""Proposes one of a few prompts and answers by a hash: every rewrite parses, and prompts recur as real ones do."""


def reply(request):
    text = "\\n".join(message.content for message in request.messages)
    if "between <prompt> and </prompt>" in text:
        return f"<prompt>Think first; rule number {request.draw % 40}.</prompt>"
    if "How should the" in text:
        return f"It should be clearer in point {request.draw % 40}."
    return ("good", "bad")[int(request.identity()[:8], 16) % 2]
'''


def parts(text: str) -> dict[str, str]:
    """Sections of the page by their titles."""
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], (part.strip() for part in found[2::2]), strict=True))


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", nargs="*", choices=[*STUDIES, "shared", "audits", []])
    parser.add_argument(
        "--ledgers", type=Path, default=Path(".nullgrad") / "studies", help="Folder of the ledgers."
    )
    parser.add_argument(
        "--recorded", action="store_true", help="Of audits: ask nothing, show what is recorded."
    )
    options = parser.parse_args()
    options.ledgers.mkdir(parents=True, exist_ok=True)
    ledgers = options.ledgers.resolve()
    titles = {**{name: study.title for name, study in STUDIES.items()}, "shared": "What shared draws save"}
    kept = parts(PAGE.read_text("utf-8")) if PAGE.exists() else {}
    for name in options.which or [*STUDIES, "shared", "audits"]:
        if name == "audits":
            transcripts(ledgers / "audits.db", recorded=options.recorded)
            print("Wrote audit.md.")
            continue
        lines = shared(ledgers) if name == "shared" else section(name, ledgers / f"{name}.db")
        kept[titles[name]] = "\n".join(lines).strip()
        ordered = [(title, kept[title]) for title in titles.values() if title in kept]
        PAGE.write_text(HEAD + "".join(f"\n## {title}\n\n{text}\n" for title, text in ordered), "utf-8")
        print(f"Wrote {PAGE.name}: {titles[name]}.")


if __name__ == "__main__":
    main()
