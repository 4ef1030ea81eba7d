"""The published results that a preset prints beside its own: arXiv 2512.13598 (Melcer, Chen, Chiang, S. Garg, P. Garg, Bock).

Claude 3.7 Sonnet in every role, 30 trials of naive arms and 5 of validated ones (variants: 40 and 15), permutation
t-tests with 100,000 permutations, Bonferroni within a family. Where the paper names a result significant without its p, so
does the table; families marked as a reading are reconstructed from its thresholds and counts.

A key is `PRESET/FAMILY/UPDATE/SELECTION`, such as `main/chain/gradient/naive`; the task is added at look-up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TASKS = ("gpqa_diamond", "web_of_lies", "multistep_arithmetic")


@dataclass(frozen=True, slots=True)
class Published:
    """One published comparison on one task.

    Attributes:
        preset, family, update, selection: the parts of its key.
        task: `gpqa_diamond`, `web_of_lies` or `multistep_arithmetic`.
        contrast: what was compared, in the declared direction.
        m: size of the family; the corrected level is 0.05 / m.
        outcome: `p` as published ("0.0037", "< 0.0001"), "" where none was given.
        significant: whether it was, at the corrected level and in the declared direction.
        remark: what else the paper says of it, "" for nothing.
        reading: whether the family's size is reconstructed.
    """

    preset: str
    family: str
    update: str
    selection: str
    task: str
    contrast: str
    m: int
    outcome: str = ""
    significant: bool = False
    remark: str = ""
    reading: bool = True

    @property
    def alpha(self) -> float:
        """The corrected level."""
        return 0.05 / self.m

    @property
    def text(self) -> str:
        """In words, to stand beside a result of one's own."""
        level = f"(α {self.alpha:g})"
        remark = f"{self.remark}, " if self.remark else ""
        if self.outcome:
            sign = "" if self.outcome.startswith("<") else "= "
            return f"published: {remark}p {sign}{self.outcome} {level}"
        if self.remark:
            return f"published: {self.remark}"
        return f"published: {'significant' if self.significant else 'n.s.'} {level}"


_WOL, _ARITHMETIC, _GPQA = "web_of_lies", "multistep_arithmetic", "gpqa_diamond"

_SELECTIONS = ("naive", "validated@3")

_FAMILIES: tuple[tuple[str, str, int, bool, tuple[tuple[str, str], ...], tuple[str, ...]], ...] = (
    ("main", "chain", 2, False, (("gradient", "gradient/correct > one-step/correct"),), _SELECTIONS),
    (
        "main", "wrong labels", 4, True,
        (("one-step", "one-step/correct > one-step/wrong"), ("gradient", "gradient/correct > gradient/wrong")),
        _SELECTIONS,
    ),
    (
        "main", "no evaluation", 4, True,
        (("one-step", "one-step/correct > one-step/none"), ("gradient", "gradient/correct > gradient/none")),
        _SELECTIONS,
    ),
    (
        "main", "prompt-only", 4, True,
        (("rewrite", "rewrite > seed"), ("improve", "improve > seed")), _SELECTIONS,
    ),
    ("main", "feedback", 2, True, (("gradient", "gradient/correct > improve"),), _SELECTIONS),
    (
        "main", "validation", 8, False,
        tuple(
            (update, f"{update}: validated@3 > naive")
            for update in (
                "rewrite", "improve", "one-step/correct", "one-step/wrong", "one-step/none", "gradient/correct",
                "gradient/wrong", "gradient/none",
            )
        ),
        ("validated@3",),
    ),
    (
        "critic", "wrong labels", 4, True,
        tuple((k, f"gradient/{k} > gradient/{k}-wrong") for k in ("critic-binary", "critic-smooth")), _SELECTIONS,
    ),
    (
        "critic", "against direct", 4, True,
        tuple((k, f"gradient/correct > gradient/{k}") for k in ("critic-binary", "critic-smooth")), _SELECTIONS,
    ),
    (
        "critic", "validation", 4, True,
        tuple(
            (k, f"gradient/{k}: validated@3 > naive")
            for k in ("critic-binary", "critic-binary-wrong", "critic-smooth", "critic-smooth-wrong")
        ),
        ("validated@3",),
    ),
    (
        "longrun", "fit", 2, True,
        tuple((f"gradient/{k}", "train accuracy: epoch 10 > epoch 1") for k in ("correct", "wrong")), ("naive",),
    ),
)  # fmt: skip
"""Preset, family, m, whether that is a reading, (update, contrast), selections."""

_FOUND: dict[tuple[str, str, str, str, str], tuple[str, bool, str]] = {
    ("main", "chain", "gradient", "naive", _WOL): ("0.0037", True, ""),
    ("main", "chain", "gradient", "naive", _ARITHMETIC): ("0.030", False, "leans the other way"),
    ("main", "no evaluation", "one-step", "naive", _WOL): ("0.0022", True, ""),
    ("main", "no evaluation", "gradient", "naive", _WOL): ("< 0.0001", True, ""),
    ("main", "prompt-only", "improve", "naive", _GPQA): ("", True, ""),
    ("main", "prompt-only", "improve", "validated@3", _GPQA): ("", True, ""),
    ("main", "prompt-only", "improve", "naive", _ARITHMETIC): ("", True, ""),
    ("main", "prompt-only", "improve", "validated@3", _ARITHMETIC): ("", True, ""),
    ("main", "feedback", "gradient", "naive", _WOL): ("", True, ""),
    ("main", "feedback", "gradient", "naive", _ARITHMETIC): ("", True, ""),
    ("main", "feedback", "gradient", "validated@3", _ARITHMETIC): ("", True, ""),
    ("critic", "against direct", "critic-smooth", "naive", _WOL): ("0.0010", True, ""),
    ("critic", "validation", "critic-smooth", "validated@3", _WOL): ("< 0.0001", True, ""),
    ("critic", "validation", "critic-smooth-wrong", "validated@3", _WOL): ("0.0008", True, ""),
}
"""p, whether significant, remark; whatever of a family is not here was not significant."""


def _table() -> tuple[Published, ...]:
    rows: list[Published] = []
    for preset, family, m, reading, contrasts, selections in _FAMILIES:
        for update, contrast in contrasts:
            for selection in selections:
                for task in TASKS:
                    p, significant, remark = _FOUND.get(
                        (preset, family, update, selection, task), ("", False, "")
                    )
                    if family == "fit":
                        remark = "similar"
                    rows.append(
                        Published(
                            preset,
                            family,
                            update,
                            selection,
                            task,
                            contrast,
                            m,
                            p,
                            significant,
                            remark,
                            reading,
                        )
                    )
    smooth, discovery = "gradient/critic-smooth", "discovery"
    rows += [
        Published(
            "variants", discovery, smooth, "validated@5", _WOL, "validated@5 > naive", 2, "0.0014", True
        ),
        Published("variants", discovery, smooth, "validated@1", _WOL, "validated@1 > naive", 2, "0.44"),
        Published(
            "variants", discovery, smooth, "trend", _WOL, "score rises with n", 2, "0.0025", True, "τ = 0.246"
        ),
    ]
    return tuple(rows)


PUBLISHED = _table()
"""Every published comparison; `remark` alone, without a p, stands for what the paper says in words."""

_BY_KEY = {(one.preset, one.family, one.update, one.selection, one.task): one for one in PUBLISHED}


def published(key: str, task: str) -> Published | None:
    """The published comparison of a contrast's key on a task, None where nothing was published.

    Args:
        key: `PRESET/FAMILY/UPDATE/SELECTION`; a `paper-` before the preset, and spaces or hyphens, make no difference, an
            update may be written with its evaluation (`gradient/correct`).
        task: name of the task, in any of the usual ways (`bbeh/web_of_lies`, `GPQA Diamond`).
    """
    parts = [part.strip() for part in key.split("/")]
    if len(parts) < 4:
        return None
    preset, family, selection = parts[0].removeprefix("paper-"), _plain(parts[1]), parts[-1]
    update = "/".join(parts[2:-1])
    own = _task(task)
    for one in PUBLISHED:
        if one.task != own or one.preset != preset or _plain(one.family) != family:
            continue
        if _same_update(one.update, update) and _same_selection(one, selection):
            return one
    return None


def published_text(key: str, task: str) -> str:
    """`published` in words, "" where nothing was published: "published: p = 0.0037 (α 0.025)"."""
    found = published(key, task) if key else None
    return "" if found is None else found.text


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def _task(name: str) -> str:
    """The paper's task behind a name; a size or a language at its end is another task."""
    words = _plain(name).removeprefix("bbeh ").replace(" ", "_")
    return {"gpqa": _GPQA, "diamond": _GPQA}.get(words, words)


def _same_update(own: str, asked: str) -> bool:
    if own == asked or own == f"gradient/{asked}" or f"gradient/{own}" == asked:
        return True
    # `gradient/correct` is the treatment of families whose contrasts are named by their update alone.
    return asked in (f"{own}/correct", f"{own}/none") and "/" not in own


def _same_selection(own: Published, asked: str) -> bool:
    if own.selection == asked:
        return True
    if own.preset == "variants":
        return own.selection == "trend" and asked in ("trend", "tau", "n", "τ")
    return own.selection == "validated@3" and asked == "validated"
