"""Sequential looks of a study: which contrasts of a cell have stopped, and so whether the cell ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from nullgrad.analysis.stats.sequential import Look, LookResult, at_look, declared_looks
from nullgrad.analysis.study.rows import CellData, Rows, first_complete, matrix
from nullgrad.core.study import ContrastSpec, Study
from nullgrad.core.study_facts import Key, TrialFacts


def family_size(study: Study, family: str) -> int:
    """Contrasts that are corrected together, within a cell."""
    return sum(contrast.family == family for contrast in study.contrasts)


def study_looks(study: Study, contrast: ContrastSpec) -> tuple[Look, ...]:
    """The looks at one contrast: the study's declared numbers and the end; () for one analysis at the end."""
    if not study.sequential:
        return ()
    planned = min((study.trials(arm) for arm in contrast.arms), default=study.blocks)
    numbers = tuple(sorted({number for number in study.sequential if number < planned} | {planned}))
    return _looks(numbers, study.alpha, family_size(study, contrast.family))


@lru_cache(maxsize=256)
def _looks(numbers: tuple[int, ...], alpha: float, family: int) -> tuple[Look, ...]:
    return declared_looks(numbers, alpha, family)


def walk(
    first: Rows, second: Rows, looks: Sequence[Look], *, margin: float | None, seed: int
) -> tuple[LookResult, tuple[int, ...]] | None:
    """The look at which a contrast stopped, or the last that was taken, and its blocks; None where none was.

    A contrast that stopped at a look stays stopped, whatever came after it.
    """
    last: tuple[LookResult, tuple[int, ...]] | None = None
    for look in looks:
        blocks = first_complete(first, second, look.blocks)
        if blocks is None:
            break
        one, two = (matrix(rows, blocks).mean(axis=1) for rows in (first, second))
        last = at_look(one, two, looks, margin=margin, seed=seed), blocks
        if last[0].stop is not None:
            break
    return last


def make_look(study: Study) -> Callable[[str, int, Mapping[Key, TrialFacts]], bool]:
    """A judge of whether a cell ends at a look: every contrast of its arms has stopped, for efficacy or futility.

    A study that declares any other kind of contrast needs all of its blocks, and no cell of it ends early.

    Returns:
        From a cell's name, its number of complete blocks and the facts to whether it ends there.
    """

    def ends(cell: str, blocks: int, trials: Mapping[Key, TrialFacts]) -> bool:
        if blocks not in study.sequential or not study.contrasts:
            return False
        if any(contrast.kind != "arms" for contrast in study.contrasts):
            return False
        data = CellData(study, study.cell(cell), trials, stopped=True)
        return all(_stopped(data, contrast) for contrast in study.contrasts)

    return ends


def _stopped(data: CellData, contrast: ContrastSpec) -> bool:
    first, second = (data.test_rows(arm) for arm in contrast.arms)
    found = walk(
        first, second, study_looks(data.study, contrast), margin=contrast.margin, seed=data.study.seed
    )
    return found is not None and found[0].stop is not None
