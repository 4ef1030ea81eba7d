"""Tasks from a task file, or from a data file and a few options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from nullgrad.core.task import Task
from nullgrad.edges.tasks.build import build_task, read_pools
from nullgrad.edges.tasks.generated import generated_task
from nullgrad.edges.tasks.inference import infer_labels
from nullgrad.edges.tasks.spec import KEYS, FurtherKeys, Overrides, TaskSpec, read_spec
from nullgrad.edges.yamlread import Value, nearest, read_yaml


def load_task(path: Path, **overrides: Unpack[Overrides]) -> Task:
    """The task of a task file (YAML).

    Args:
        path: the file; paths in it are relative to it.
        overrides: keys of the file to replace, as plain Python values.

    Raises:
        UserError: a file cannot be read; a key is unknown or of the wrong type; a column does not exist;
            a row lacks its input or target, or its target is outside the label set; ids repeat; a split is
            empty or larger than the data; there is one class only; examples stand in two splits.
        TypeError: an override is no key of a task file.
    """
    root = read_yaml(path)
    values = root.mapping(KEYS, "a mapping of keys such as data, input, target and prompt")
    name = path.parent.resolve().name if path.stem == "task" else path.stem
    return _task(read_spec(values | given(overrides), name, path.parent, path.name))


def task_from_data(
    path: Path | str,
    *,
    input: str,
    target: str | None,
    prompt: str | Mapping[str, str],
    **overrides: Unpack[FurtherKeys],
) -> Task:
    """The task of a data file without a task file.

    Labels are inferred where none are given and the targets look like a closed set (see `inference.infer_labels`);
    `Task.notes` says so, as it says which format, scorer and split sizes were chosen.

    Args:
        path: the data, or a reference to the Hugging Face Hub (`hf:owner/name`).
        input: a column, or a template over columns.
        target: the column of the target; None beside `choices` and for a judge that needs none.
        prompt: the seed prompt, or `{file: …}`.
        overrides: further keys of a task file.

    Raises:
        UserError, TypeError: as `load_task`.
    """
    written = str(path)
    values = given({"data": written, "input": input, "target": target, "prompt": prompt} | dict(overrides))
    name = Path(written.partition("@")[0].replace(":", "/")).stem
    spec = read_spec(values, name, Path(), name)
    pools = read_pools(spec)
    if spec.labels is not None or spec.choices is not None or (spec.slots or 1) != 1:
        return build_task(spec, pools)
    labels = infer_labels([row.get(spec.target, "") for pool in pools for row in pool.rows], rare=True)
    if not labels:
        return build_task(spec, pools)
    note = f"Labels were inferred from the targets: {', '.join(labels)}."
    return build_task(replace(spec, labels=labels), pools, [note])


def procedural_task(name: str, /, **overrides: Unpack[Overrides]) -> Task:
    """A task whose examples are generated, with the paper's split sizes where none are given.

    Raises:
        UserError: there is no such generator, or it has no such dial.
    """
    values = given({"procedural": name} | dict(overrides))
    return _task(read_spec(values, name, Path(), name))


def given(overrides: Mapping[str, Any]) -> dict[str, Value]:
    """Plain Python values as values of a task file; None means not given.

    Raises:
        TypeError: a name is no key of a task file.
    """
    for key in overrides:
        if key not in KEYS:
            raise TypeError(f"{key!r} is no key of a task file. {nearest(key, KEYS)}")
    return {key: Value.given(key, _yaml(value)) for key, value in overrides.items() if value is not None}


def _yaml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _yaml(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_yaml(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _task(spec: TaskSpec) -> Task:
    return generated_task(spec) if spec.procedural else build_task(spec, read_pools(spec))
