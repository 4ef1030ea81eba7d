"""CPU of an audit of predictions: 77 classes × 3,000 examples, 1,000 bootstrap resamples, 1,000 permutations."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np

from nullgrad import audit_predictions

CLASSES, EXAMPLES, RESAMPLES = 77, 3_000, 1_000


def timed(name: str, work: Callable[[], object]) -> None:
    """Print the CPU seconds, of all threads, of one piece of work."""
    start = time.process_time()
    work()
    print(f"{name:<64}{time.process_time() - start:>8.2f} s")


def main() -> None:
    stream = np.random.default_rng(0)
    truth = stream.integers(0, CLASSES, EXAMPLES)

    def prompt(strength: float) -> tuple[np.ndarray, np.ndarray]:
        signal = stream.normal(size=(EXAMPLES, CLASSES))
        signal[np.arange(EXAMPLES), truth] += strength
        return signal.argmax(axis=1), signal - np.log(np.exp(signal).sum(axis=1, keepdims=True))

    (before, before_scores), (after, after_scores) = prompt(2.5), prompt(3.0)
    labels = range(CLASSES)
    # Imports of SciPy's parts are no part of the audit.
    audit_predictions([0, 1] * 9, [0, 0] * 9, [0, 1] * 9, resamples=9)
    size = f"{CLASSES} classes × {EXAMPLES:,} examples, {RESAMPLES:,} resamples"
    timed(size, lambda: audit_predictions(truth, before, after, labels=labels, resamples=RESAMPLES))
    timed(
        "  and the bias-fitted benchmark of the before prompt",
        lambda: audit_predictions(
            truth, before, after, labels=labels, before_scores=before_scores, resamples=RESAMPLES
        ),
    )
    timed(
        "  and of both prompts",
        lambda: audit_predictions(
            truth,
            before,
            after,
            labels=labels,
            before_scores=before_scores,
            after_scores=after_scores,
            resamples=RESAMPLES,
        ),
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
