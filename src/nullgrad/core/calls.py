"""How many calls a trial asks, by role: exact when every rewrite parses and no call fails.

With b_s examples in the batch of step s, V validation examples, n variants (1 for naive) and S steps:

| part | generator | optimizer |
| --- | --- | --- |
| `rewrite`, `improve` | 0 | S n |
| `one-step` | Σ b_s | S n |
| `gradient` | Σ b_s | Σ n (2 b_s + 1) |
| `validated@n` | V (1 + S n), 0 if S = 0 | |
| `best@n` | V S n | |
| `naive`, `random@n` | 0 | |

A critic adds Σ b_s calls of its own role, and the update of its prompt doubles the optimizer's; a frozen one
doubles nothing. A scorer that asks adds one judge call for each output that it grades: each of the batch unless the
evaluation is `none` or a frozen critic, and each on validation. A test reading of T examples adds T (and T judge calls).
"""

from __future__ import annotations

from dataclasses import dataclass

from nullgrad.core.arms import Arm
from nullgrad.core.batches import batch_place
from nullgrad.core.chat import Role


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls asked, by role; replays and joined requests included."""

    generator: int = 0
    optimizer: int = 0
    critic: int = 0
    judge: int = 0

    @property
    def by_role(self) -> dict[Role, int]:
        """By role, in the order in which a call is passed on."""
        return {
            "generator": self.generator,
            "optimizer": self.optimizer,
            "critic": self.critic,
            "judge": self.judge,
        }

    @property
    def total(self) -> int:
        """All roles."""
        return self.generator + self.optimizer + self.critic + self.judge

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.generator + other.generator,
            self.optimizer + other.optimizer,
            self.critic + other.critic,
            self.judge + other.judge,
        )

    def __mul__(self, times: int) -> Calls:
        return Calls(self.generator * times, self.optimizer * times, self.critic * times, self.judge * times)


def trial_calls(
    arm: Arm, *, steps: int, batch_size: int, train: int, validation: int, judged: bool = False
) -> Calls:
    """Calls that one trial of `arm` asks.

    Args:
        steps: S, 0 or more.
        batch_size: 1 or more.
        train: number of training examples.
        validation: V.
        judged: whether the scorer asks a model.
    """
    if arm.update == "seed" or steps == 0:
        return Calls()
    sizes = (
        [len(batch_place(step, train, batch_size)) for step in range(1, steps + 1)]
        if arm.uses_examples
        else []
    )
    forward = sum(sizes)
    if arm.update == "gradient":
        optimizer = sum(arm.n * (2 * size + 1) for size in sizes)
    else:
        optimizer = steps * arm.n
    optimizer *= len(arm.optimized)
    scored = 0
    if arm.selection == "validated":
        scored = validation * (1 + steps * arm.n)
    elif arm.selection == "best":
        scored = validation * steps * arm.n
    graded = scored + (forward if arm.evaluates and not arm.frozen else 0)
    critic = forward if arm.critic else 0
    return Calls(forward + scored, optimizer, critic, graded if judged else 0)


def test_calls(test: int, judged: bool = False) -> Calls:
    """Calls of one reading of the test split."""
    return Calls(test, judge=test if judged else 0)
