"""The demo over ten study seeds: every sealed-test gain as it came, and their mean. Writes docs/demo-seeds.md."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from demo import MODEL, OPTIONS, TASK

DOCS = Path(__file__).resolve().parent.parent / "docs" / "demo-seeds.md"


def main() -> None:
    """Run every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    rest = OPTIONS[: OPTIONS.index("--seed")] + OPTIONS[OPTIONS.index("--seed") + 2 :]
    rows: list[tuple[int, dict]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            done = subprocess.run(
                [
                    sys.executable, "-m", "nullgrad", "optimize", TASK, "--model", MODEL, *rest,
                    "--seed", str(seed), "--ledger", str(Path(folder) / f"{seed}.db"), "--json", "--quiet",
                ],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            result = json.loads(done.stdout)
            rows.append((seed, result))
            gain = result["test"]["gain"]
            print(
                f"seed {seed}: {gain['points']:+.1f} points {gain['ci95']} {result['seconds']:.0f} s",
                flush=True,
            )
    points = [row["test"]["gain"]["points"] for _, row in rows]
    labels = list(rows[0][1]["classes"])
    lines = [
        "# The demo over ten study seeds",
        "",
        "Made by `make bench-demo`: the demo's command with `--seed 0` to `--seed 9`, each with a ledger of its own, as they came.",
        "",
        f"`nullgrad optimize {TASK} --model {MODEL} {' '.join(rest)} --seed N`",
        "",
        "| seed | seed prompt | best prompt | gain, points | 95 % | "
        + " | ".join(f"recall of {one}" for one in labels)
        + " | recommendation | seconds |",
        "| --- | --- | --- | --- | --- | " + " | ".join("---" for _ in labels) + " | --- | --- |",
    ]
    for seed, row in rows:
        test, classes = row["test"], row["classes"]
        low, high = test["gain"]["ci95"]
        recalls = " | ".join(
            f"{classes[one]['seed']['recall']:.2f} → {classes[one]['best']['recall']:.2f}" for one in labels
        )
        lines.append(
            f"| {seed} | {test['seed']['score']:.1%} | {test['best']['score']:.1%} | {test['gain']['points']:+.1f} | "
            f"{low:.1f} to {high:.1f} | {recalls} | {row['recommendation']} | {row['seconds']:.0f} |"
        )
    spread = statistics.stdev(points) if len(points) > 1 else float("nan")
    summary = f"Mean gain over {len(points)} seeds: {statistics.fmean(points):+.1f} points (standard deviation {spread:.1f})."
    lines += ["", summary, "", "The prompts that won:", ""]
    lines += [f"- seed {seed}: {json.dumps(row['best_prompt'])}" for seed, row in rows]
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text("\n".join(lines) + "\n", "utf-8")
    print(summary)
    print(f"Wrote {DOCS.name}.")


if __name__ == "__main__":
    main()
