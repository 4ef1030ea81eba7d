"""Writes a commented task file for a data file, guessed from its columns."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nullgrad.edges.tasks.build import default_format
from nullgrad.edges.tasks.datasets import Row, columns, read_rows, separated
from nullgrad.edges.tasks.inference import infer_labels, is_number
from nullgrad.edges.tasks.split import default_sizes
from nullgrad.edges.wholefile import write_whole
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError

_INPUTS = (
    "input",
    "text",
    "question",
    "sentence",
    "review",
    "content",
    "body",
    "message",
    "query",
    "document",
)
_TARGETS = ("target", "label", "answer", "class", "category", "sentiment", "intent", "output", "gold", "y")


def scaffold_task(
    data_path: Path,
    out: Path | None = None,
    input: str | None = None,
    target: str | None = None,
    force: bool = False,
) -> Path:
    """Write a task file for a data file.

    Args:
        data_path: the data.
        out: the task file to write; None for one beside the data and named after it.
        input: the column of the input, guessed where None.
        target: the column of the target, guessed where None.
        force: whether a file that is there may be replaced.

    Returns:
        The task file.

    Raises:
        UserError: the data cannot be read, a column does not exist, there are too few rows, or the file exists.
    """
    rows = read_rows(data_path)
    out = data_path.with_suffix(".yaml") if out is None else out
    if out.is_dir():
        raise UserError(f"{out} is a directory.", "Nothing was written.", "Name a file in it with --out.")
    if out.exists() and not force:
        raise UserError(
            f"{out} exists already.", "It was left as it is.", "Name another file with --out, or use --force."
        )
    known = columns(rows)
    for key, column in (("input", input), ("target", target)):
        if column is not None and column not in known:
            raise UserError(
                f"{data_path.name} has no column {column!r} ({key}).",
                "Nothing was written.",
                nearest(column, known),
            )
    if input is not None and input == target:
        raise UserError(
            f"The column {input!r} is given both as the input and as the target.",
            "Nothing was written: the answer would stand in the question.",
            "Name two columns.",
        )
    if len(known) < 2:
        raise UserError(
            f"{data_path.name} has one column only, {known[0]!r}."
            if known
            else f"{data_path.name} has no column.",
            "Nothing was written.",
            separated(known) or "A task needs a column for the input and one for the target.",
        )
    if len(rows) < 3:
        raise UserError(
            f"{data_path.name} holds {len(rows)} rows, too few for three splits.",
            "Nothing was written.",
            "Give more examples.",
        )
    guessed_input, guessed_target = guess_columns(rows, input, target)
    text = _text(rows, _relative(data_path, out), guessed_input, guessed_target, data_path.stem)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, text.encode())
    except OSError as error:
        raise UserError(
            f"{out} cannot be written: {error.strerror or error}.",
            "Nothing was written.",
            "Name another file.",
        ) from None
    return out


def guess_columns(
    rows: Sequence[Row], input: str | None = None, target: str | None = None
) -> tuple[str, str]:
    """Which columns look like the input and the target: by their names, else the closed set with the fewest
    labels, and the longest text."""
    known = columns(rows)
    if target is None:
        free = [column for column in known if column != input]
        target = _named(free, _TARGETS) or _most_closed(rows, free) or free[-1]
    if input is None:
        free = [column for column in known if column != target] or [target]
        input = _named(free, _INPUTS) or max(free, key=lambda c: sum(len(row.get(c, "")) for row in rows))
    return input, target


def _named(known: Sequence[str], names: Sequence[str]) -> str | None:
    by_name = {column.strip().lower(): column for column in reversed(known)}
    return next((by_name[name] for name in names if name in by_name), None)


def _most_closed(rows: Sequence[Row], known: Sequence[str]) -> str | None:
    closed = {column: len(infer_labels([row.get(column, "") for row in rows], rare=True)) for column in known}
    closed = {column: count for column, count in closed.items() if count}
    return min(closed, key=lambda column: closed[column]) if closed else None


def _relative(data_path: Path, out: Path) -> str:
    try:
        return Path(os.path.relpath(data_path.resolve(), out.resolve().parent)).as_posix()
    except ValueError:  # Another drive: no relative path exists.
        return str(data_path.resolve())


def _text(rows: Sequence[Row], data: str, input_: str, target: str, name: str) -> str:
    def quoted(value: str) -> str:
        # JSON's strings are YAML's, and so stay right with colons, braces and quotes in them.
        return json.dumps(value, ensure_ascii=False)

    targets = [row.get(target, "").strip() for row in rows]
    # A row without its target is refused later, by its number; it must not hide that the others are closed.
    there = [text for text in targets if text]
    labels = infer_labels(there, rare=True)
    numbers = bool(there) and all(is_number(text) for text in there)
    sizes = default_sizes(len(rows))
    lines = [
        f"# {name}: a task for nullgrad, guessed from {len(rows)} rows. Check every line.",
        f"name: {quoted(name)}",
        "",
        "# Relative to this file. Or one file per split: {train: a.csv, validation: b.csv, test: c.csv}",
        f"data: {quoted(data)}",
        "",
        f"# Columns: {', '.join(' '.join(column.split()) for column in columns(rows))}",
        '# The input may be a template over columns: "Title: {title}\\n{body}"',
        f"input: {quoted(input_)}",
        f"target: {quoted(target)}",
        "",
    ]
    if labels:
        counts = Counter(targets)
        lines += [
            f"# Closed answers; in the data: {', '.join(f'{label} {counts[label]}' for label in labels)}",
            f"labels: [{', '.join(map(quoted, labels))}]",
            "",
        ]
    scorer = "exact" if labels else "number" if numbers else "normalized"
    lines += [
        "# exact, normalized, contains, choice, number, labels, regex, judge, bbeh or module:function;",
        "# with options: {number: {tolerance: 0.01}}",
        f"scorer: {scorer}",
        "",
        "# The prompt that you use now: it is the one to be beaten. Or {file: prompt.md}",
        f"prompt: {quoted('Classify the text.' if labels else 'Answer the question.')}",
        "",
        '# Appended to every prompt and never changed; "" where the prompt says it itself.',
        f"format: {quoted(default_format(scorer, labels) or 'Answer with nothing but the answer.')}",
        "",
        "# Numbers of examples, or shares such as 0.15. The test split is read once, at the end.",
        f"split: {{train: {sizes['train']}, validation: {sizes['validation']}, test: {sizes['test']}, seed: 0}}",
        "",
        "# stratify: true         # each class with its share in every split",
        "# group: COLUMN          # related rows stay in one split",
        "# leaks: error           # exact duplicates across splits: error, warn or allow",
        "# unparsed: wrong        # an answer that cannot be read: wrong or exclude",
        "# layout: system-user    # or user: everything in one message",
        "",
    ]
    return "\n".join(lines)
