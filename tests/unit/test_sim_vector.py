"""The vectorized executor establishes what the full path establishes, fact by fact and table by table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nullgrad.analysis.study.result import analyse_study
from nullgrad.core.arms import parse_arm
from nullgrad.core.draws import DrawPath
from nullgrad.core.facts import Spend
from nullgrad.core.setting import RoleModel
from nullgrad.core.study import ContrastSpec
from nullgrad.edges.models.script import ScriptModel
from nullgrad.edges.sim import SimModel, parse_world, sim_study, sim_task, simulate_study
from nullgrad.edges.sim.space import Space
from nullgrad.edges.sim.splits import Draws
from nullgrad.errors import UserError
from tests.support.studies import carry_out, study_over
from tests.support.trials import make_task

LADDER = ("rewrite", "rewrite/best@2", "improve/best@2", "one-step/none/best@2", "one-step/shuffled/best@2",
          "one-step/correct/best@2", "gradient/correct/best@2")  # fmt: skip
LABELS = (
    "gradient/correct/naive",
    "gradient/wrong/naive",
    "gradient/shuffled/naive",
    "gradient/none/naive",
    "improve",
)
GUARDS = ("one-step/correct/naive", "one-step/correct/validated@1", "one-step/correct/validated@2",
          "one-step/correct/best@2", "one-step/correct/random@2")  # fmt: skip
CORRUPTED = ("gradient/correct/validated@2", "gradient/correct/validated@2+wrong", "gradient/correct/best@2+shuffled",
             "one-step/wrong/best@2+wrong")  # fmt: skip

STUDIES = [
    ("gradient", LADDER, {}),
    ("gradient?rho=0&redraw=0", LABELS, {"design": "independent", "steps": 5}),
    ("gradient?classes=3&redraw=0.4", GUARDS, {"pack": "compact"}),
    ("gradient?seed=7&find=1", CORRUPTED, {"design": "independent", "seed": 3}),
    ("discovery", LADDER, {"seed": 1, "pack": "compact"}),
    ("discovery?classes=3", CORRUPTED, {"curve": (1, 3)}),
    ("discovery?rho=1", GUARDS, {"design": "independent"}),
    ("prevalence", GUARDS, {"curve": (2,), "seed": 5}),
    ("prevalence?classes=3&rho=0.9", LABELS, {"seed": 11}),
    ("prevalence?rare=0.1", CORRUPTED, {"pack": "compact"}),
    ("threshold", LADDER, {"design": "independent"}),
    ("threshold?classes=3&redraw=0", GUARDS, {}),
    ("null", LADDER, {"seed": 2}),
    ("null?rho=0&redraw=0", CORRUPTED, {"batch_size": 5}),
    ("overfit", LABELS, {"steps": 9}),
    ("overfit?classes=3", CORRUPTED, {"pack": "compact", "steps": 6}),
    ("chain", LABELS, {"pack": "compact", "curve": (1, 2, 3)}),
    ("chain?classes=3", GUARDS, {"batch_size": 1}),
    ("gradient+prevalence?weight=0.5", LADDER, {"seed": 4}),
    ("overfit+threshold?weight=0.3&classes=3&redraw=0.5", LABELS, {"design": "independent", "steps": 6}),
]


@pytest.mark.parametrize(
    ("spec", "arms", "more"), STUDIES, ids=[f"{n}-{one[0]}" for n, one in enumerate(STUDIES)]
)
def test_facts_and_tables_equal_those_of_the_full_path(
    spec: str, arms: tuple[str, ...], more: dict, tmp_path: Path
) -> None:
    world = parse_world(spec)
    first, second = (parse_arm(arm) for arm in arms[:2])
    contrast = ContrastSpec("one", "f", "arms", (second, first), margin=0.05, bundle=True)
    values = {"steps": 3, "contrasts": (contrast,), "train": 8, "validation": 9, "test": 11, **more}
    study = sim_study(world, dict.fromkeys(arms, 1 if arms == LADDER else 2), **values)
    full = carry_out(study, SimModel(world), tmp_path / "ledger.db")
    fast = simulate_study(study, world)
    assert set(fast) == set(full.trials)
    for key, facts in full.trials.items():
        assert fast[key] == facts, key
    results = [
        analyse_study(
            study,
            trials,
            spend=Spend(),
            version="x",
            models=(("m", world.spec),),
            simulated=(world.spec,),
            stopped="",
        )
        for trials in (full.trials, fast)
    ]
    assert results[0].tables() == results[1].tables()
    assert results[0].canonical() == results[1].canonical()
    assert all(row["simulated"] is True for rows in results[1].tables().values() for row in rows)


def test_rows_of_a_real_models_cell_are_not_marked() -> None:
    world = parse_world("null")
    study = sim_study(world, ("rewrite",), trials=2, steps=1, train=4, validation=4, test=4)
    (cell,) = study.cells
    names = ("a", "a b")
    two = dataclasses.replace(
        study, cells=tuple(dataclasses.replace(cell, name=f"t · {name}", model_name=name) for name in names)
    )
    result = analyse_study(
        two,
        simulate_study(two, world),
        spend=Spend(),
        version="x",
        models=(("a generator", "openai/x"), ("a b generator", "openai/y"), ("a b optimizer", "sim:null")),
        simulated=("sim:null",),
        stopped="",
    )
    marks = {(row["cell"], row["simulated"]) for rows in result.tables().values() for row in rows}
    assert marks == {("t · a", False), ("t · a b", True)}


def test_a_hostile_layout_and_prompt_are_no_exception(tmp_path: Path) -> None:
    world = parse_world("gradient+discovery?redraw=0.5")
    prompts = (
        "  Lean slightly more towards “praise”.\n\n# Then\nFor messages about\nbilling, go by what has happened to the customer. ",
        "Here is the prompt: say it.",
    )
    layout = [{"system": "Be brief. {format}"}, {"user": "{prompt}\nText: {input}\nAnswer:"}]
    for pack in ("standard", "compact"):
        for prompt in prompts:
            task = sim_task(
                "sim/gradient", prompt=prompt, layout=layout, split={"train": 6, "validation": 5, "test": 6}
            )
            arms = ("improve/best@2", "gradient/correct/validated@1", "rewrite")
            study = sim_study(world, arms, trials=2, steps=3, task=task, pack=pack)
            full = carry_out(study, SimModel(world), tmp_path / f"{pack}{len(prompt)}.db")
            assert dict(full.trials) == dict(simulate_study(study, world))
            lost = [
                step.unparsed for one in full.trials.values() for step in one.steps.values() if step.unparsed
            ]
            # The second one begins like talk about a prompt: on a line of its own it is not read as one.
            assert bool(lost) == (pack == "compact" and prompt == prompts[1])


def test_draws_are_those_of_the_draw_path() -> None:
    world = parse_world("null")
    task = sim_task("sim/null", split={"train": 5, "validation": 5, "test": 5})
    study = sim_study(world, ("rewrite",), task=task)
    space = Space(study.cells[0], world)
    for path in (DrawPath(3, 4), DrawPath(0, 0, "rewrite/none/naive"), DrawPath(2**40, 10, 'a "quoted" ä')):
        draws = Draws(path)
        for split in (space.train, space.validation, space.test):
            expected = [path.forward(split.name, one.id, 0) for one in split.examples]
            assert draws.of_split(split).tolist() == expected
        assert draws.forward(space.train, 2, 7) == path.forward("train", space.train.examples[2].id, 7)
        for example in (None, "train-1", 'ä"{}'):
            assert draws.proposal(3, "one-step", example, 2) == path.proposal(3, "one-step", example, 2)


def test_what_cannot_be_simulated_is_refused_in_one_line() -> None:
    world = parse_world("gradient")
    task = sim_task("sim/gradient", split={"train": 5, "validation": 5, "test": 5})
    study = sim_study(world, ("rewrite",), task=task)
    critic = sim_study(world, ("gradient/critic-binary/naive",), task=task)
    with pytest.raises(UserError, match="has no critic"):
        simulate_study(critic, world)
    failing = parse_world("gradient?fail=0.1")
    with pytest.raises(UserError, match="may fail"):
        simulate_study(sim_study(failing, ("rewrite",), task=task), failing)
    with pytest.raises(UserError, match="another model"):
        simulate_study(study, parse_world("null"))
    other = study_over(ScriptModel([{"match": ".", "reply": "yes"}]), {"rewrite": 1})
    with pytest.raises(UserError, match="another model"):
        simulate_study(other, world)
    cell = study.cells[0]
    player = RoleModel(world.identity)
    cast = dataclasses.replace(cell.cast, generator=player, optimizer=player)
    alien = dataclasses.replace(cell, cast=cast, task=make_task())
    with pytest.raises(UserError, match="not one of its own"):
        simulate_study(dataclasses.replace(study, cells=(alien,)), world)
