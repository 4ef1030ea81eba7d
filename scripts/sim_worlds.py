"""What is true in the simulated worlds: true scores of arms by world, and the executor's cost per trial.

    python scripts/sim_worlds.py [--trials 400] [--classes 2]

Prints the table of docs/simulated-worlds.md. Gains are in points over the seed prompt, exact up to the number of trials.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

from nullgrad.edges.sim import WORLDS, parse_world, sim_study, simulate_study, true_means

ARMS = {
    "rewrite": "rewrite/none/naive",
    "improve": "improve/none/naive",
    "correct": "gradient/correct/naive",
    "wrong": "gradient/wrong/naive",
    "none": "gradient/none/naive",
    "one-step": "one-step/correct/naive",
    "best@3": "gradient/correct/best@3",
    "validated@3": "gradient/correct/validated@3",
}
TIMED = ("rewrite/none/naive", "improve/none/naive", "one-step/correct/naive", "gradient/correct/naive",
         "gradient/wrong/naive", "gradient/correct/validated@1")  # fmt: skip


def gains(trials: int, classes: int) -> None:
    """The table of true gains."""
    print(f"| world | seed | {' | '.join(ARMS)} |")
    print("| --- " * (len(ARMS) + 2) + "|")
    for name in WORLDS:
        world = parse_world(f"{name}?classes={classes}")
        means = true_means(sim_study(world, tuple(ARMS.values())), world, trials=trials)
        seed = means["seed"].mean
        shown = [f"{100 * (means[arm].mean - seed):+.1f}" for arm in ARMS.values()]
        print(f"| `{name}` | {100 * seed:.1f} % | {' | '.join(shown)} |")


def cost() -> None:
    """CPU of one trial of 5 steps, batch 3, 40 validation and 100 test examples, over six arms."""
    for name in WORLDS:
        world = parse_world(name)
        study = sim_study(world, TIMED, train=30, validation=40, test=100)
        simulate_study(study, world)
        start, trials = time.process_time(), 0
        for seed in range(1, 16):
            trials += len(simulate_study(dataclasses.replace(study, seed=seed), world)) - 10
        print(f"{name}: {1000 * (time.process_time() - start) / trials:.2f} ms of CPU a trial")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--classes", type=int, default=2)
    options = parser.parse_args()
    gains(options.trials, options.classes)
    cost()
