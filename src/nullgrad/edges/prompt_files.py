"""Prompts out of files: plain text, a result of nullgrad, what GEPA saves, what DSPy saves. Nothing that could run code is loaded.

What a file is, is decided by what it holds and not by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nullgrad.errors import UserError

Side = Literal["before", "after"]
"""Side of an audit: before is what an optimizer began from, after is the best that it found."""

PICKLES = ("gepa_state.bin", "program.pkl")
"""Files by which a directory is known to hold a pickle of GEPA's or DSPy's."""

_NOTHING = "Nothing was run."
_BEST = re.compile(r"Best program as per aggregate score on valset: (\d+)")
_FRAMED = (
    "{name}: the instructions are audited in the task's own layout; DSPy frames them with its fields' names, which are part of "
    "what it sends."
)
_DEMOS = (
    "{name} holds {count} demonstration{s} beside the instructions, with which DSPy's score was reached: the prompt alone is "
    "audited, without them."
)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt that was read.

    Attributes:
        name: where it stands, for display.
        text: the prompt.
        notes: what a reader of its audit has to know.
        component: the part of the program that it is, "" where the file holds one prompt.
        task: the task that it was made for, "" where the file does not say.
        seed, trial: of the draws that found it; None where the file does not say.
    """

    name: str
    text: str
    notes: tuple[str, ...] = ()
    component: str = ""
    task: str = ""
    seed: int | None = None
    trial: int | None = None


def read_prompt_file(path: Path, which: Side, component: str | None = None) -> PromptFile:
    """The prompt in a file, or in a directory that GEPA kept its run in.

    Args:
        path: text in UTF-8; JSON of `nullgrad optimize --out`, of `GEPAResult.to_dict`, of DSPy's `program.save`; a `run_dir`.
        which: of a result, `before` means what the optimizer began from and `after` the best that it found.
        component: part of a program with several prompts, by its name.

    Raises:
        UserError: there is no such file, it is no text, it is a pickle, it does not say which candidate is the best, or it
            holds several prompts and none of them is named.
    """
    if path.is_dir():
        return _directory(path, which, component)
    text = _text(path, which)
    if text.lstrip()[:1] not in ("{", "["):
        return PromptFile(path.name, text.strip())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return PromptFile(path.name, text.strip())
    return _of_json(path, value, which, component) or PromptFile(
        path.name,
        text.strip(),
        (f"{path.name} is JSON of no kind that nullgrad knows; it is audited as the prompt itself.",),
    )


def _text(path: Path, which: Side) -> str:
    hint = f"Give --{which} a file, run:ID, last, best or seed."
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {path} for --{which}.", _NOTHING, hint) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.", _NOTHING, hint) from None
    # A pickle of protocol 2 or later begins so; no text in UTF-8 does.
    if data[:1] == b"\x80":
        raise _pickled(path.name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8.", _NOTHING, hint) from None


def _pickled(name: str) -> UserError:
    return UserError(
        f"{name} is a Python pickle: loading it would run whatever code stands in it.",
        "It was not loaded, and nothing was run.",
        'Save as JSON instead: program.save("program.json") of DSPy, or json.dump(result.to_dict(), file) of GEPA.',
    )


def _of_json(path: Path, value: Any, which: Side, component: str | None) -> PromptFile | None:
    """What a JSON value holds, None where it is none of the known kinds."""
    if isinstance(value, list):
        candidates = _candidates(value)
        return None if candidates is None else _of_candidates(path.name, candidates, None, which, component)
    if not isinstance(value, dict):
        return None
    if {"nullgrad", "seed_prompt", "best_prompt"} <= value.keys():
        return _of_result(path.name, value, which)
    if "candidates" in value and (candidates := _candidates(value["candidates"])) is not None:
        return _of_candidates(path.name, candidates, _best_of(value, len(candidates)), which, component)
    return _of_program(path.name, value, component)


def _of_result(name: str, value: Mapping[str, Any], which: Side) -> PromptFile:
    kind: Literal["seed", "best"] = "seed" if which == "before" else "best"
    numbers = [one if isinstance(one := value.get(key), int) else None for key in ("seed", "trial")]
    return PromptFile(
        f"the {kind} prompt of {name}",
        str(value[f"{kind}_prompt"]),
        task=str(value.get("task", "")),
        seed=numbers[0],
        trial=numbers[1],
    )


def _candidates(value: Any) -> list[dict[str, str]] | None:
    """GEPA's candidates: from the name of a component to its text; None if it is something else."""
    if not isinstance(value, list) or not value:
        return None
    fits = all(
        isinstance(one, dict) and one and all(isinstance(text, str) for text in one.values()) for one in value
    )
    return value if fits else None


def _best_of(value: Mapping[str, Any], count: int) -> int | None:
    """Number of the candidate that a `GEPAResult` calls the best, None where it does not say."""
    given = value.get("best_idx")
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < count:
        return given
    scores = value.get("val_aggregate_scores")
    if (
        isinstance(scores, list)
        and len(scores) == count
        and all(isinstance(one, int | float) for one in scores)
    ):
        return scores.index(max(scores))
    return None


def _directory(path: Path, which: Side, component: str | None) -> PromptFile:
    """GEPA's `run_dir`: its candidates stand in JSON, which of them is the best in its log."""
    listed = path / "candidates.json"
    if not listed.is_file():
        for name in PICKLES:
            if (path / name).is_file():
                raise _pickled(f"{path.name}/{name}")
        raise UserError(
            f"The directory {path} cannot be read as a prompt: there is no candidates.json in it.",
            _NOTHING,
            f"Give --{which} a file, or the run_dir of a run of GEPA's.",
        )
    try:
        candidates = _candidates(json.loads(_text(listed, which)))
    except (ValueError, RecursionError):
        candidates = None
    if candidates is None:
        raise UserError(f"{listed} holds no candidates of GEPA's.", _NOTHING, "Give the prompt in a file.")
    return _of_candidates(path.name, candidates, _logged_best(path, len(candidates)), which, component)


def _logged_best(path: Path, count: int) -> int | None:
    """The candidate that GEPA's own log last called the best, None where it does not say."""
    try:
        found = _BEST.findall((path / "run_log.txt").read_text("utf-8", "replace"))
    except OSError:
        return None
    number = int(found[-1]) if found else count
    return number if number < count else None


def _of_candidates(
    name: str, candidates: Sequence[Mapping[str, str]], best: int | None, which: Side, component: str | None
) -> PromptFile:
    if which == "before" or len(candidates) == 1:
        number = 0
    elif best is not None:
        number = best
    else:
        raise UserError(
            f"Which of the {len(candidates)} candidates in {name} is the best is not said there in text; GEPA keeps it in "
            "gepa_state.bin, a pickle, which is not loaded because that could run any code.",
            _NOTHING,
            "Save json.dump(result.to_dict(), file) and give that file, or write the candidate's prompt into a file.",
        )
    own = candidates[number]
    chosen = _component(name, list(own), component)
    kind = "the seed" if number == 0 else "GEPA's best"
    part = f", component {chosen}" if len(own) > 1 else ""
    return PromptFile(
        f"{name} (candidate {number} of {len(candidates)}, {kind}{part})",
        own[chosen].strip(),
        component=chosen,
    )


def _of_program(name: str, value: Mapping[str, Any], component: str | None) -> PromptFile | None:
    """The state of a DSPy program: one predictor at the top, or predictors by their names."""
    parts = (
        {"self": value}
        if _is_predictor(value)
        else {key: one for key, one in value.items() if _is_predictor(one)}
    )
    if not parts:
        return None
    chosen = _component(name, list(parts), component)
    text = parts[chosen]["signature"]["instructions"].strip()
    demos = len(parts[chosen].get("demos") or ())
    shown = f"{name} (predictor {chosen})" if chosen != "self" else name
    notes = [_FRAMED.format(name=shown)]
    if demos:
        notes.append(_DEMOS.format(name=shown, count=demos, s="" if demos == 1 else "s"))
    return PromptFile(shown, text, tuple(notes), chosen)


def _is_predictor(value: Any) -> bool:
    signature = value.get("signature") if isinstance(value, dict) else None
    return isinstance(signature, dict) and isinstance(signature.get("instructions"), str)


def _component(name: str, names: Sequence[str], wanted: str | None) -> str:
    """The part that is meant; where there is only one, it is that one whatever the other side's parts are called."""
    if len(names) == 1:
        return names[0]
    if wanted is None:
        raise UserError(
            f"{name} holds {len(names)} prompts.", _NOTHING, f"Name one with --component: {', '.join(names)}."
        )
    if wanted not in names:
        raise UserError(
            f"{name} has no component {wanted!r}.", _NOTHING, f"Its components are {', '.join(names)}."
        )
    return wanted
