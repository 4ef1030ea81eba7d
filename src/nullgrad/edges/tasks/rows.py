"""From rows of text to examples: the input filled in, the target checked, ids and groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nullgrad.core.task import Example
from nullgrad.core.words import Template, TemplateError
from nullgrad.edges.tasks import choices
from nullgrad.edges.tasks.datasets import Row, columns, separated
from nullgrad.edges.tasks.spec import TaskSpec, continued, needs_no_target
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import UserError

_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows of one source.

    Attributes:
        split: the split that they belong to, "" where all splits are taken from them.
        source: the file's name or the reference, for messages.
        rows: at least one.
    """

    split: str
    source: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Read:
    """Examples of one pool.

    Attributes:
        pool: where they come from.
        examples: one per row, in order.
        classes: by example id, what stratification goes by.
    """

    pool: Pool
    examples: tuple[Example, ...]
    classes: Mapping[str, str]


def read_examples(spec: TaskSpec, pool: Pool, canonical: Callable[[str], str]) -> Read:
    """The examples of a pool.

    An id is the number of the row, 1 for the first, behind the split's name where splits have files of
    their own: a person finds the row by it, two equal rows keep different ids, and mending a text leaves
    the draws of all other examples as they were, which a hash of the content would not do.

    Args:
        spec: the task file.
        pool: rows.
        canonical: brings a target into the scorer's form; raises `UserError` outside the label set.

    Raises:
        UserError: a column does not exist; a row lacks its input or target, repeats an id, has a target
            outside the label set, or holds what cannot be sent.
    """
    known = columns(pool.rows)
    template = _input_template(spec, pool, known)
    for key, column in (("target", spec.target), ("id", spec.id or ""), ("group", spec.group or "")):
        if column:
            _check_column(spec, key, column, pool, known)
    if isinstance(spec.stratify, str):
        _check_column(spec, "stratify", spec.stratify, pool, known)
    for column in choices.missing(spec.choices, known) if spec.choices else ():
        _check_column(spec, "choices", column, pool, known)
    _need_input(pool, tuple(dict.fromkeys(template.names)))
    needed = [spec.target] if spec.target and not needs_no_target(spec.scorer or "") else []
    if spec.choices:
        needed += [spec.choices.correct, *spec.choices.incorrect]
    for name in needed:
        _need(pool, "target" if spec.target else "choices", name)
    if spec.id:
        _need(pool, "id", spec.id)
    prefix = f"{pool.split}-" if pool.split else ""
    examples: list[Example] = []
    classes: dict[str, str] = {}
    for number, row in enumerate(pool.rows, 1):
        identity = row[spec.id] if spec.id else f"{prefix}{number}"
        text = template.render(row)
        if spec.choices:
            try:
                text, target = choices.with_options(text, identity, spec.choices, row)
            except ValueError as error:
                raise _row_error(pool, number, str(error), "Mend or remove the row.") from None
        else:
            target = row.get(spec.target, "")
        try:
            target = canonical(target)
        except UserError as error:
            raise UserError(
                f"{pool.source}, row {number}: {continued(error.what)}", error.consequence, error.ways_out
            ) from None
        for part in (identity, text, target):
            if found := _UNSENDABLE.search(part):
                raise _row_error(
                    pool,
                    number,
                    f"it holds the character U+{ord(found[0]):04X}, which no endpoint takes",
                    "Remove the character.",
                )
        examples.append(Example(identity, text, target, row.get(spec.group, "") if spec.group else ""))
        classes[identity] = row.get(spec.stratify, "") if isinstance(spec.stratify, str) else target
    _check_ids(spec, pool, examples)
    return Read(pool, tuple(examples), classes)


def _row_error(pool: Pool, number: int, problem: str, ways_out: str) -> UserError:
    return UserError(f"{pool.source}, row {number}: {problem}.", "Nothing was run.", ways_out)


def _input_template(spec: TaskSpec, pool: Pool, known: Sequence[str]) -> Template:
    """The input as a template; a bare column becomes one, whatever characters its name holds."""
    if spec.input in known:
        return Template(spec.input, ("", spec.input, ""))
    if "{" not in spec.input:
        raise _no_column(spec, "input", spec.input, pool, known)
    try:
        template = Template.parse(spec.input)
    except TemplateError as error:
        raise spec.error("input", f"the template of 'input' has {error}", "Mend the template.") from None
    for name in template.names:
        if name not in known:
            raise spec.error(
                "input",
                f"the template of 'input' uses {{{name}}}, and {pool.source} has no such column",
                nearest(name, known),
            )
    if not template.names:
        raise spec.error("input", "the template of 'input' uses no column", "Write {column} in it.")
    return template


def _check_column(spec: TaskSpec, key: str, column: str, pool: Pool, known: Sequence[str]) -> None:
    if column not in known:
        raise _no_column(spec, key, column, pool, known)


def _no_column(spec: TaskSpec, key: str, column: str, pool: Pool, known: Sequence[str]) -> UserError:
    return spec.error(
        key,
        f"{key!r} is {column!r}, and {pool.source} has no such column",
        separated(known) or nearest(column, known),
    )


def _need(pool: Pool, key: str, column: str) -> None:
    """Every row must have something in a column."""
    _refuse(pool, key, repr(column), [n for n, row in _numbered(pool) if not row.get(column, "").strip()])


def _need_input(pool: Pool, names: Sequence[str]) -> None:
    """No column of the input may be null; an empty text may stand beside another that is not empty."""
    for name in names:
        _refuse(pool, "input", repr(name), [n for n, row in _numbered(pool) if name not in row])
    empty = [n for n, row in _numbered(pool) if not any(row[name].strip() for name in names)]
    _refuse(pool, "input", " and ".join(map(repr, names)), empty)


def _numbered(pool: Pool) -> Iterable[tuple[int, Row]]:
    return enumerate(pool.rows, 1)


def _refuse(pool: Pool, key: str, column: str, lacking: Sequence[int]) -> None:
    if lacking:
        verb = "has" if len(lacking) == 1 else "have"
        raise UserError(
            f"{pool.source}: {_numbers(lacking)} {verb} nothing in the column {column} ({key!r}).",
            "An example without it cannot be scored; nothing was run.",
            "Fill it in, or remove the rows.",
        )


def _numbers(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    shown = ", ".join(map(str, numbers[:5]))
    return f"rows {shown}" + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def _check_ids(spec: TaskSpec, pool: Pool, examples: Iterable[Example]) -> None:
    repeated = [identity for identity, count in Counter(e.id for e in examples).items() if count > 1]
    if repeated:
        raise spec.error(
            "id",
            f"the id {repeated[0]!r} occurs more than once in {pool.source}"
            + (f" (and {len(repeated) - 1} others do)" if len(repeated) > 1 else ""),
            "Give every row an id of its own, or leave 'id' out for row numbers.",
        )
