"""Prompts out of files of GEPA's, DSPy's and nullgrad's: told by content, nothing is unpickled, and what is not said is asked."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from nullgrad.edges.prompt_files import read_prompt_file
from nullgrad.errors import UserError


def predictor(instructions: str, demos: int = 0) -> dict[str, Any]:
    return {
        "traces": [], "train": [], "demos": [{"x": "1", "y": "2"}] * demos,
        "signature": {"instructions": instructions, "fields": [{"prefix": "X:", "description": "${x}"}]}, "lm": None,
    }  # fmt: skip


METADATA = {"dependency_versions": {"python": "3.11", "dspy": "3.4.1", "cloudpickle": "3.1"}}


def gepa(*candidates: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "candidates": list(candidates),
        "parents": [[None]],
        "val_aggregate_scores": [0.0] * len(candidates),
        **more,
    }


def write(folder: Path, value: Any, name: str = "prompt.md") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def refusal(path: Path, component: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read_prompt_file(path, "after", component)
    return str(caught.value)


def test_text_is_the_prompt_whatever_its_name(tmp_path: Path) -> None:
    assert read_prompt_file(write(tmp_path, " Say yes.\n", "x.json"), "after").text == "Say yes."
    # Braces alone make no JSON, and no program of it.
    for text in ('{"a": 1} is the form. Say yes.', "[1, 2", "{instructions}"):
        found = read_prompt_file(write(tmp_path, text), "after")
        assert (found.text, found.notes) == (text, ())


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_bytes("\ufeffSay yes.".encode())
    assert read_prompt_file(tmp_path / "p.md", "before").text == "Say yes."


def test_json_of_no_known_kind_is_taken_as_it_stands_and_says_so(tmp_path: Path) -> None:
    for value in (
        {"role": "You are a judge."},
        [1, 2],
        {"signature": "x -> y"},
        {"candidates": []},
        {"candidates": ["a"]},
    ):
        found = read_prompt_file(write(tmp_path, value), "after")
        assert json.loads(found.text) == value
        assert len(found.notes) == 1 and "no kind" in found.notes[0]


def test_a_single_predictor_of_dspy(tmp_path: Path) -> None:
    path = write(tmp_path, {**predictor(" Say yes. "), "metadata": METADATA}, "program.txt")
    found = read_prompt_file(path, "after")
    assert (found.name, found.text) == ("program.txt", "Say yes.")
    assert len(found.notes) == 1 and "layout" in found.notes[0]


def test_demonstrations_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    one = read_prompt_file(write(tmp_path, {**predictor("Say yes.", 1), "metadata": METADATA}), "after")
    three = read_prompt_file(write(tmp_path, {**predictor("Say yes.", 3), "metadata": METADATA}), "after")
    assert "holds 1 demonstration beside" in one.notes[1]
    assert "holds 3 demonstrations beside" in three.notes[1]
    assert "prompt alone is audited" in one.notes[1]


def test_of_several_predictors_one_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"a.predict": predictor("First."), "b": predictor("Second."), "metadata": METADATA}
    )
    said = refusal(path)
    assert "2 prompts" in said and "--component" in said and "a.predict, b" in said
    assert "no component 'c'" in refusal(path, "c")
    found = read_prompt_file(path, "after", "b")
    assert (found.text, found.component, found.name) == ("Second.", "b", "prompt.md (predictor b)")


def test_the_only_part_is_taken_under_another_sides_name(tmp_path: Path) -> None:
    path = write(tmp_path, {"predict": predictor("Only."), "metadata": METADATA})
    assert read_prompt_file(path, "before", "other").component == "predict"


def test_a_result_of_gepa_is_its_seed_or_its_best(tmp_path: Path) -> None:
    three = gepa({"p": "seed"}, {"p": "good"}, {"p": "bad"}, best_idx=1, val_aggregate_scores=[0.1, 0.5, 0.9])
    path = write(tmp_path, three, "result.json")
    assert read_prompt_file(path, "before").text == "seed"
    best = read_prompt_file(path, "after")
    assert (best.text, best.name) == ("good", "result.json (candidate 1 of 3, GEPA's best)")
    # What GEPA calls the best goes before what its scores say; without it the scores decide.
    del three["best_idx"]
    assert read_prompt_file(write(tmp_path, three), "after").text == "bad"


@pytest.mark.parametrize("wrong", [7, -1, True, "1", None])
def test_a_number_that_names_no_candidate_is_not_followed(tmp_path: Path, wrong: object) -> None:
    value = gepa({"p": "seed"}, {"p": "good"}, best_idx=wrong, val_aggregate_scores=[0.5, 0.1])
    assert read_prompt_file(write(tmp_path, value), "after").text == "seed"


def test_a_result_that_does_not_say_the_best_is_refused(tmp_path: Path) -> None:
    value = gepa({"p": "seed"}, {"p": "good"}, val_aggregate_scores=None)
    assert "is the best" in refusal(write(tmp_path, value))
    assert read_prompt_file(write(tmp_path, value), "before").text == "seed"


def test_of_several_components_one_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, gepa({"classify": "A", "explain": "B"}, {"classify": "C", "explain": "D"}, best_idx=1)
    )
    assert "classify, explain" in refusal(path)
    found = read_prompt_file(path, "after", "explain")
    assert found.text == "D" and "component explain" in found.name
    assert read_prompt_file(path, "before", "explain").text == "B"


def run_dir(folder: Path, *candidates: dict[str, str], log: str = "") -> Path:
    place = folder / "run"
    place.mkdir()
    (place / "candidates.json").write_text(json.dumps(candidates))
    (place / "gepa_state.bin").write_bytes(pickle.dumps(Trap()))
    if log:
        (place / "run_log.txt").write_text(log)
    return place


class Trap:
    """Whoever unpickles it runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def test_a_run_dir_without_its_log_needs_what_only_the_pickle_says(tmp_path: Path) -> None:
    place = run_dir(tmp_path, {"p": "seed"}, {"p": "good"})
    said = refusal(place)
    assert "gepa_state.bin" in said and "not loaded" in said and "to_dict" in said
    assert read_prompt_file(place, "before").text == "seed"


def test_a_run_dir_of_one_candidate_needs_no_log(tmp_path: Path) -> None:
    assert read_prompt_file(run_dir(tmp_path, {"p": "seed"}), "after").text == "seed"


def test_the_log_of_a_run_dir_says_the_best_last(tmp_path: Path) -> None:
    line = "Iteration {}: Best program as per aggregate score on valset: {}\n"
    log = line.format(1, 1) + "Iteration 2: New program candidate index: 2\n" + line.format(2, 2)
    place = run_dir(tmp_path, {"p": "seed"}, {"p": "good"}, {"p": "better"}, log=log)
    assert read_prompt_file(place, "after").text == "better"
    (place / "run_log.txt").write_text(line.format(1, 9))
    assert "is the best" in refusal(place)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_refused_by_what_it_is(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "program.md"
    path.write_bytes(pickle.dumps(Trap(), protocol))
    said = refusal(path)
    assert "pickle" in said and "not loaded" in said and "program.json" in said


def test_a_whole_program_of_dspy_is_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA))
    (tmp_path / "program.pkl").write_bytes(pickle.dumps(Trap()))
    assert "program.pkl is a Python pickle" in refusal(tmp_path)


def test_a_result_of_nullgrad_is_its_seed_or_its_best(tmp_path: Path) -> None:
    value = {
        "nullgrad": "0", "task": "moods", "seed_prompt": "Seed.", "best_prompt": "Best.", "seed": 3, "trial": 1,
        "candidates": [{"x": "y"}],
    }  # fmt: skip
    path = write(tmp_path, value, "r.json")
    before, after = read_prompt_file(path, "before"), read_prompt_file(path, "after")
    assert (before.text, after.text, after.task, after.seed, after.trial) == ("Seed.", "Best.", "moods", 3, 1)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "none.md")
    (tmp_path / "latin.md").write_bytes("Größe".encode("latin-1"))
    assert "UTF-8" in refusal(tmp_path / "latin.md")
    assert "candidates.json" in refusal(tmp_path)
    (tmp_path / "candidates.json").write_text("{}")
    assert "no candidates" in refusal(tmp_path)
    deep = write(tmp_path, "[" * 100_000 + "]" * 100_000)
    assert read_prompt_file(deep, "after").text.startswith("[[")
