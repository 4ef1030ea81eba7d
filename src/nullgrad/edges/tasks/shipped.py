"""From what a user names to a task: a file, a data set, a generated, shipped or published task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, Unpack, cast

from nullgrad.core import procedural
from nullgrad.core.task import Task
from nullgrad.edges.tasks.datasets import SUFFIXES, columns, read_rows, read_text
from nullgrad.edges.tasks.file import load_task, procedural_task, task_from_data
from nullgrad.edges.tasks.publisher_tasks import load_named
from nullgrad.edges.tasks.publishers import is_fetched, published_names
from nullgrad.edges.tasks.scaffold import guess_columns, scaffold_task
from nullgrad.edges.tasks.spec import KEYS, FurtherKeys, Overrides, continued, is_hub, needs_no_target
from nullgrad.edges.tasks.values import filled, replacements
from nullgrad.edges.yamlread import nearest, read_yaml
from nullgrad.errors import UserError

__all__ = ["TaskInfo", "list_tasks", "resolve_task", "scaffold_task", "shipped_tasks"]

TaskKind = Literal["shipped", "generated", "published", "simulated"]

SIMULATED = "sim/"
"""How the tasks of simulated worlds begin."""

_PUBLISHED = re.compile(r"(bbeh|bbh)/\w+")
"""A task of a collection that may have grown: one that is unknown here is used once it was fetched."""

_GENERATED = {
    "web-of-lies": "Who tells the truth? Three answers a puzzle: yes, no or unknown. Every example is new.",
    "multistep-arithmetic": "Long sums with operations defined in the question. Every example is new.",
}

_DESCRIPTIONS = {
    "bbeh": "BIG-Bench Extra Hard, 120 to 200 examples (Apache-2.0).",
    "bbh": "BIG-Bench Hard, 146 to 250 examples (MIT).",
    "banking77": "Bank customers' questions with 77 intents, 13,000 examples (CC-BY-4.0).",
    "gpqa": "Graduate-level questions, multiple choice, 198 examples (gated, needs HF_TOKEN).",
}


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task that can be named.

    Attributes:
        name: what to write for it.
        kind: `shipped` with the package, `generated`, `published` elsewhere, or `simulated` for a world `sim:NAME`.
        description: one line.
        available: whether it can be used now; a published one must be fetched first.
    """

    name: str
    kind: TaskKind
    description: str
    available: bool


def resolve_task(ref: str, **overrides: Unpack[Overrides]) -> Task:
    """The task that a user names.

    Args:
        ref: a task file (`.yaml`), a directory with a `task.yaml`, a data file or `hf:` reference (needs the
            overrides input, target and prompt), or a name that `list_tasks` knows.
        overrides: keys of a task file to replace.

    Raises:
        UserError: there is no such task, it was not fetched, or it cannot be used as given.
    """
    path = Path(ref)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _based(path, overrides) or load_task(path, **overrides)
    if is_hub(ref) or path.suffix.lower() in SUFFIXES:
        return _from_data(ref, overrides)
    shipped = shipped_tasks()
    if ref in shipped:
        return load_task(shipped[ref], **overrides)
    if ref in procedural.names():
        return procedural_task(ref, **overrides)
    if ref.startswith(SIMULATED):
        from nullgrad.edges.sim.task import sim_task

        return sim_task(ref, **overrides)
    if ref in published_names() or (_PUBLISHED.fullmatch(ref) and is_fetched(ref)):
        return load_named(ref, **overrides)
    if ref and (path / "task.yaml").is_file():
        return load_task(path / "task.yaml", **overrides)
    raise _no_task(ref, path, [*shipped, *procedural.names(), *published_names()])


def _based(path: Path, overrides: Overrides) -> Task | None:
    """The task of a file that says `task: NAME` and what it replaces of it, None for a file of its own data."""
    root = read_yaml(path)
    fields = root.mapping() if root.kind == "mapping" else {}
    if "task" not in fields:
        return None
    fields = root.mapping(("task", *KEYS))
    base = fields.pop("task")
    ref = filled(base, "the name of a task").strip()
    for key in ("data", "procedural"):
        if key in fields and ref not in procedural.names():
            raise fields[key].error(
                f"{key!r} has no meaning beside 'task', whose examples are taken", "Remove one of the two."
            )
    said = {"name": path.stem, **replacements(fields)}
    if isinstance(prompt := said.get("prompt"), dict) and "file" in prompt:
        said["prompt"] = {"file": str((path.parent / str(prompt["file"])).resolve())}
    found = path.parent / ref
    if found.resolve() == path.resolve():
        raise base.error("the task is built on itself", "Name another one.")
    is_file = found.suffix.lower() in (".yaml", ".yml") or (found / "task.yaml").is_file()
    try:
        return resolve_task(str(found) if is_file else ref, **{**said, **overrides})
    except UserError as error:
        place = f"{base.place}: "
        raise (
            error
            if error.what.startswith(path.name)
            else UserError(place + continued(error.what), error.consequence, error.ways_out)
        ) from None


def _no_task(ref: str, path: Path, known: Sequence[str]) -> UserError:
    files = f"a task file (.yaml) or a data file ({', '.join(SUFFIXES)})"
    if ref and path.is_dir():
        return UserError(
            f"The directory {ref} holds no task.yaml.", "Nothing was run.", f"Name {files} in it."
        )
    if path.is_file():
        return UserError(
            f"The file {ref} is neither a task file nor a data file, by its ending.",
            "Nothing was run.",
            f"Name {files}.",
        )
    beside = path.with_suffix(".yaml") if path.name else path
    hint = f"Did you mean {beside}?" if beside.is_file() else nearest(ref, known)
    if hint.startswith("Known"):
        hint = "nullgrad tasks lists the names."
    return UserError(f"There is no task {ref!r}.", "Nothing was run.", f"{hint} Or name {files}.")


def list_tasks() -> list[TaskInfo]:
    """Every task that can be named: shipped, generated, published, simulated."""
    from nullgrad.edges.sim.catalogue import CATALOGUE

    shipped = [TaskInfo(name, "shipped", _description(path), True) for name, path in shipped_tasks().items()]
    generated = [
        TaskInfo(name, "generated", _GENERATED.get(name, "Every example is new."), True)
        for name in procedural.names()
    ]
    published = [
        TaskInfo(name, "published", _DESCRIPTIONS[name.partition("/")[0]], is_fetched(name))
        for name in published_names()
    ]
    simulated = [
        TaskInfo(SIMULATED + name, "simulated", f"For --model sim:{name}: {world.about}.", True)
        for name, world in CATALOGUE.items()
    ]
    return [*shipped, *generated, *published, *simulated]


def shipped_tasks() -> dict[str, Path]:
    """The task files that come with the package, by name."""
    root = Path(str(resources.files("nullgrad"))) / "examples"
    return {path.parent.name: path for path in sorted(root.glob("*/task.yaml"))}


def _description(path: Path) -> str:
    """The first line of a task file where it is a comment."""
    first = read_text(path).splitlines()[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _from_data(ref: str, overrides: Overrides) -> Task:
    scorer = overrides.get("scorer") or ""
    kind = scorer if isinstance(scorer, str) else next(iter(scorer), "")
    needed = ["input", "target", "prompt"]
    if overrides.get("choices") is not None or needs_no_target(kind):
        needed.remove("target")
    missing = [key for key in needed if overrides.get(key) is None]
    if missing:
        options = " and ".join(f"--{key}" for key in missing)
        hint = "Name the columns with --input and --target, and give --prompt."
        if not is_hub(ref):
            rows = read_rows(Path(ref))
            input_, target = guess_columns(rows)
            hint = (
                f"Its columns are {', '.join(map(repr, columns(rows)))}; perhaps"
                f' --input {input_} --target {target} --prompt "…".'
            )
        raise UserError(f"{Path(ref).name} needs {options} to become a task.", "Nothing was run.", hint)
    return task_from_data(
        ref if is_hub(ref) else Path(ref),
        input=overrides["input"],
        target=overrides.get("target"),
        prompt=overrides["prompt"],
        **_further(overrides),
    )


def _further(overrides: Overrides) -> FurtherKeys:
    return cast(
        FurtherKeys,
        {key: value for key, value in overrides.items() if key not in ("input", "target", "prompt")},
    )
