"""CPU of the permutation tests: 100,000 rearrangements × 60 contrasts × 30 trials an arm, and of a whole family."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np

from nullgrad.analysis.stats.contrast import Contrast, Declared, contrast_family
from nullgrad.analysis.stats.permutation import RESAMPLES, independent_permutations, paired_permutations

CONTRASTS, TRIALS, FEWER = 60, 30, 5


def timed(name: str, work: Callable[[], object]) -> None:
    """Print the CPU seconds, of all threads, of one piece of work."""
    start = time.process_time()
    work()
    print(f"{name:<60}{time.process_time() - start:>8.2f} s")


def main() -> None:
    stream = np.random.default_rng(0)
    scores = stream.integers(0, 121, (CONTRASTS, 2, TRIALS)) / 120
    pairs = [(arms[0], arms[1]) for arms in scores]
    unequal = [(arms[0], arms[1][:FEWER]) for arms in scores]
    family = [Contrast(str(place), a[:, None], b[:, None]) for place, (a, b) in enumerate(pairs)]
    # Imports of SciPy's parts are no part of the analysis.
    contrast_family(family[:1], Declared("independent", margin=0.05, resamples=99))
    size = f"{RESAMPLES:,} × {CONTRASTS} contrasts"
    timed(f"paired, {size} × {TRIALS} blocks", lambda: paired_permutations(pairs, seed=1))
    timed(f"Welch, {size} × {TRIALS} + {TRIALS} trials", lambda: independent_permutations(pairs, seed=1))
    timed(
        f"pooled t, {size} × {TRIALS} + {TRIALS} trials",
        lambda: independent_permutations(pairs, seed=1, statistic="pooled"),
    )
    timed(
        f"Welch, all 324,632 splits × {CONTRASTS} contrasts × {TRIALS} + {FEWER} trials",
        lambda: independent_permutations(unequal, seed=1),
    )
    timed(
        f"independent family of {CONTRASTS}, every number and verdict",
        lambda: contrast_family(family, Declared("independent", margin=0.05)),
    )
    timed(
        f"paired family of {CONTRASTS}, every number and verdict",
        lambda: contrast_family(family, Declared("paired", margin=0.05)),
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
