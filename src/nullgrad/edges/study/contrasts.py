"""Reads the contrasts of a study file, and holds them to the rules of `core.study`, each at its own line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nullgrad.core.arms import SEED, Arm
from nullgrad.core.study import Cell, ContrastKind, ContrastSpec, Study
from nullgrad.edges.study.spec import StudySpec, located
from nullgrad.edges.study.values import arm, known, margin
from nullgrad.edges.tasks.values import filled
from nullgrad.edges.yamlread import Value, nearest
from nullgrad.errors import UserError

KEYS = (
    "family", "name", "better", "than", "trend", "fit", "plateau", "arm", "models", "tasks", "margin",
    "equivalence", "bundle", "published",
)  # fmt: skip

FORMS: Mapping[ContrastKind, tuple[frozenset[str], str]] = {
    "arms": (frozenset({"better", "than"}), "{better: ARM, than: ARM}"),
    "interaction": (frozenset({"better", "than"}), "{better: ARM, than: ARM, tasks: [A, B]}"),
    "models": (frozenset({"arm", "models"}), "{arm: ARM, models: [BETTER, WORSE]}"),
    "trend": (frozenset({"trend"}), "{trend: [ARM, ARM, ARM]}"),
    "fit": (frozenset({"fit"}), "{fit: ARM}"),
    "plateau": (frozenset({"plateau"}), "{plateau: ARM}"),
}
"""Keys by which a contrast of each kind is known, and how it is written."""

_DECIDING = frozenset({"better", "than", "trend", "fit", "plateau", "arm"})
PLATEAU_STEP = 2
"""The step that a plateau is measured from."""


def read_contrasts(
    value: Value, spec: StudySpec, default: Value | None
) -> tuple[tuple[ContrastSpec, ...], dict[str, str]]:
    """The contrasts, and the place of each by `contrast:NAME`.

    Args:
        value: the list.
        spec: the study without its contrasts.
        default: the margin of contrasts that say none of their own.

    Raises:
        UserError: a contrast cannot be read, or the study cannot be run with it.
    """
    common = margin(default) if default is not None else None
    found: list[ContrastSpec] = []
    places: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for item in value.items("a list of contrasts"):
        one = _contrast(item, spec, common)
        key = (one.family, one.kind, one.arms, one.models, one.tasks)
        if key in seen:
            raise item.error(
                f"the family {one.family!r} has one contrast twice (the other at {seen[key]})",
                "Drop one: the correction would count it twice.",
            )
        seen[key] = item.place
        if f"contrast:{one.name}" in places:
            raise item.error(
                f"two contrasts are called {one.name!r} (the other at {places[f'contrast:{one.name}']})",
                "Give one of them another name.",
            )
        places[f"contrast:{one.name}"] = item.place
        found.append(one)
    check_contrasts(lambda declared: probe(replace(spec, contrasts=declared)), found, places)
    return tuple(found), places


def check_contrasts(
    make: Callable[[tuple[ContrastSpec, ...]], Any],
    contrasts: Sequence[ContrastSpec],
    places: Mapping[str, str],
) -> None:
    """Declare contrasts one after another, so that what a study refuses is told at the line of the one refused."""
    for number, one in enumerate(contrasts, 1):
        try:
            make(tuple(contrasts[:number]))
        except UserError as error:
            raise located(error, places.get(f"contrast:{one.name}", "")) from None


def probe(spec: StudySpec) -> Study:
    """The study of a file with empty cells: its rules need the names of tasks and models, and nothing in them.

    Raises:
        UserError: as `core.study.Study`.
    """
    named = [entry.name for entry in spec.models]
    if not named:
        # The user gives the models later; until then the contrasts say which there are.
        named = list(dict.fromkeys(name for one in spec.contrasts for name in one.models)) or ["model"]
    nothing: Any = None
    cells = tuple(
        Cell(f"{task.name} · {model}", nothing, nothing, nothing, task.name, model)
        for task in spec.tasks
        for model in named
    )
    return Study(
        spec.name,
        cells,
        spec.arms,
        spec.steps,
        spec.batch_size,
        spec.seed,
        spec.design,
        spec.contrasts,
        spec.alpha,
        spec.curve,
        spec.sequential,
        spec.preset,
    )


def _contrast(value: Value, spec: StudySpec, common: float | None) -> ContrastSpec:
    fields = value.mapping(KEYS, "a mapping such as {family: chain, better: ARM, than: ARM}")
    if "family" not in fields:
        raise value.error(
            "a contrast names no 'family'", "Name one: contrasts of one family are corrected together."
        )
    kind = _kind(value, fields)
    if kind == "trend":
        arms = tuple(_listed(item, spec) for item in fields["trend"].items("a list of arms"))
        _equal_trials(fields["trend"], arms, spec)
    else:
        keys = {"arms": ("better", "than"), "interaction": ("better", "than"), "models": ("arm",)}
        arms = tuple(_listed(fields[key], spec) for key in keys.get(kind, (kind,)))
    models = _pair(fields["models"], [m.name for m in spec.models], "model") if "models" in fields else ()
    tasks = _pair(fields["tasks"], [t.name for t in spec.tasks], "task") if "tasks" in fields else ()
    if kind == "plateau" and PLATEAU_STEP not in spec.curve:
        raise value.error(
            f"a plateau compares with the prompt after step {PLATEAU_STEP}, which the curve does not read",
            f"Write curve: [{PLATEAU_STEP}], with any further steps.",
        )
    family = filled(fields["family"], "the name of a family").strip()
    name = (
        filled(fields["name"]).strip()
        if "name" in fields
        else f"{family}: {_said(kind, arms, models, tasks)}"
    )
    return ContrastSpec(
        name,
        family,
        kind,
        arms,
        models,
        _margin(value, fields, common),
        _bundle(fields, kind),
        filled(fields["published"]).strip() if "published" in fields else "",
        tasks,
    )


def _kind(value: Value, fields: Mapping[str, Value]) -> ContrastKind:
    """What is compared, by the keys that are there."""
    deciding = _DECIDING & set(fields)
    forms = "; ".join(form for _, form in FORMS.values())
    if deciding == {"better", "than"}:
        across = {"models", "tasks"} & set(fields)
        if len(across) == 2:
            raise value.error("an interaction is over two tasks or two models, not both", "Drop one of them.")
        return "interaction" if across else "arms"
    for kind in ("models", "trend", "fit", "plateau"):
        needed, form = FORMS[kind]
        if deciding == needed & _DECIDING:
            extra = {"models", "tasks"} & set(fields) - needed
            if extra:
                key = sorted(extra)[0]
                raise fields[key].error(f"{key!r} has no meaning in {form}", "Remove it.")
            if needed - set(fields):
                raise value.error("a contrast of one arm names no 'models'", f"Write {form}.")
            return kind
    if not deciding:
        raise value.error("a contrast says nothing to compare", f"Write {forms}.")
    raise value.error(
        f"a contrast cannot have {' and '.join(map(repr, sorted(deciding)))} "
        f"{'alone' if len(deciding) == 1 else 'together'}",
        f"Write {forms}.",
    )


def _listed(value: Value, spec: StudySpec) -> Arm:
    """An arm that the study runs."""
    made = arm(value)
    there = [one.arm for one in spec.arms]
    if made != SEED and made not in there:
        hint = nearest(made.canonical, [one.canonical for one in there])
        raise value.error(f"the arm {made.canonical} does not run", f"{hint} Or add it to the arms.")
    return made


def _equal_trials(value: Value, arms: Sequence[Arm], spec: StudySpec) -> None:
    """A paired trend permutes within blocks, so every block must hold all its arms."""
    trials = {one.arm: one.trials for one in spec.arms}
    counts = {trials.get(one, spec.blocks) for one in arms}
    if spec.design == "paired" and len(counts) > 1:
        raise value.error(
            f"a trend is paired, and its arms have {' and '.join(map(str, sorted(counts)))} trials",
            "Give all as many, or write design: independent.",
        )


def _pair(value: Value, names: Sequence[str], what: str) -> tuple[str, ...]:
    found = tuple(item.text() for item in value.items(f"a list of two {what}s"))
    if len(found) != 2 or found[0] == found[1]:
        raise value.error(f"{value.name!r} must name two {what}s", f"Write [A, B] with two of the {what}s.")
    for item, name in zip(value.items(), found, strict=True):
        if names:
            known(name, names, item, what)
    return found


def _margin(value: Value, fields: Mapping[str, Value], common: float | None) -> float | None:
    own = margin(fields["margin"]) if "margin" in fields else common
    if "equivalence" not in fields:
        return own
    if not fields["equivalence"].boolean():
        return None
    if own is None:
        raise value.error(
            "a contrast asks for equivalence and has no margin",
            "Write margin: 5 points, in the contrast or for all of them.",
        )
    return own


def _bundle(fields: Mapping[str, Value], kind: ContrastKind) -> bool:
    if "bundle" not in fields:
        return False
    if kind not in ("arms", "interaction"):
        raise fields["bundle"].error(
            f"'bundle' has no meaning in a contrast of {kind}, which is over one ingredient", "Remove it."
        )
    return fields["bundle"].boolean()


def _said(kind: ContrastKind, arms: Sequence[Arm], models: Sequence[str], tasks: Sequence[str]) -> str:
    """A contrast in words."""
    if kind == "models":
        return f"{models[0]} > {models[1]} in {arms[0].canonical}"
    if kind in ("arms", "interaction"):
        across = models or tasks
        more = f", more in {across[0]} than in {across[1]}" if across else ""
        return f"{arms[0].canonical} > {arms[1].canonical}{more}"
    if kind == "trend":
        return f"trend of {arms[0].canonical} to {arms[-1].canonical}" if arms else "trend"
    return f"{kind} of {arms[0].canonical}"
