"""Naming a task, and writing a first task file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nullgrad.edges.tasks.file import load_task
from nullgrad.edges.tasks.shipped import list_tasks, resolve_task, scaffold_task, shipped_tasks
from nullgrad.errors import UserError


def refused(call, *fragments: str) -> UserError:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert caught.value.what and caught.value.consequence and caught.value.ways_out
    assert "\n" not in message and "Traceback" not in message
    for fragment in fragments:
        assert fragment in message, message
    return caught.value


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULLGRAD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    lines = ["id,sentiment,review"]
    lines += [
        f'{n},{("good", "bad")[n % 2]},"Film {n}: {"xyzuvw"[n % 6] * (n + 3)}, it {{was}} ""{n}"""'
        for n in range(40)
    ]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_every_listed_task_resolves_or_says_how():
    tasks = list_tasks()
    names = [info.name for info in tasks]
    assert len(set(names)) == len(names) and all(info.description for info in tasks)
    assert {"web-of-lies", "multistep-arithmetic", "bbeh/web_of_lies", "banking77"} <= set(names)
    for info in tasks:
        if info.available:
            task = resolve_task(info.name)
            assert task.view.name == info.name and task.test
        else:
            assert info.kind == "published"
            refused(lambda name=info.name: resolve_task(name), f"nullgrad tasks fetch {info.name}")


@pytest.mark.parametrize("name", ["web-of-lies", "multistep-arithmetic"])
def test_generated_tasks_have_the_papers_split(name):
    task = resolve_task(name)
    assert (len(task.view.train), len(task.view.validation), len(task.test)) == (30, 50, 120)
    assert resolve_task(name).digest == task.digest
    small = resolve_task(name, split={"train": 2, "validation": 3, "test": 4})
    assert len(small.test) == 4


def test_shipped_tasks_load():
    for name, path in shipped_tasks().items():
        task = resolve_task(name)
        assert load_task(path).digest == task.digest


def test_files_and_directories(data, tmp_path):
    out = scaffold_task(data, tmp_path / "mine" / "task.yaml")
    assert resolve_task(str(out)).digest == resolve_task(str(out.parent)).digest
    task = resolve_task(str(data), input="review", target="sentiment", prompt="Good or bad?")
    assert task.view.labels == ("bad", "good")


def test_unknown_names():
    refused(lambda: resolve_task("web-of-lie"), "'web-of-lie'", "'web-of-lies'")
    refused(lambda: resolve_task("bbeh/web-of-lies"), "bbeh/web")
    refused(lambda: resolve_task("none.yaml"), "none.yaml")
    refused(lambda: resolve_task("none.csv", input="a", target="b", prompt="c"), "none.csv")


def test_data_without_its_columns(data):
    refused(
        lambda: resolve_task(str(data)), "--input and --target and --prompt", "'review'", "--target sentiment"
    )
    refused(lambda: resolve_task(str(data), input="review", target="sentiment"), "--prompt")


def test_a_scaffold_loads_as_it_is(data, tmp_path):
    out = scaffold_task(data, tmp_path / "deep" / "er" / "reviews.yaml")
    text = out.read_text("utf-8")
    assert 'data: "../../reviews.csv"' in text and 'input: "review"' in text and 'target: "sentiment"' in text
    task = load_task(out)
    assert task.view.labels == ("bad", "good")
    assert (len(task.view.train), len(task.view.validation), len(task.test)) == (6, 10, 24)
    assert task.test[0].input.startswith("Film ") and "{was}" in task.test[0].input


def test_a_scaffold_is_never_overwritten_unasked(data, tmp_path):
    out = tmp_path / "task.yaml"
    out.write_text("mine", "utf-8")
    refused(lambda: scaffold_task(data, out), "exists", "--force")
    assert out.read_text("utf-8") == "mine"
    scaffold_task(data, out, force=True)
    assert load_task(out).test


def test_scaffold_with_columns_given_and_odd_names(tmp_path):
    path = tmp_path / "a: b#.tsv"
    lines = ['what: "is" {it}\t# value'] + [
        f"thing number {n} {'abcdefg'[n % 7] * 9}\t{n * 7}" for n in range(30)
    ]
    path.write_text("\n".join(line.replace('"is"', "'is'") for line in lines), "utf-8")
    task = load_task(scaffold_task(path, tmp_path / "t.yaml"))
    assert task.view.labels == () and task.view.name == "a: b#"
    assert task.view.wrong == "number"
    task = load_task(scaffold_task(path, tmp_path / "u.yaml", input="# value", target="what: 'is' {it}"))
    assert task.test[0].target.startswith("thing")


def test_scaffold_refuses(data, tmp_path):
    refused(lambda: scaffold_task(data, tmp_path / "t.yaml", input="revew"), "'revew'", "'review'")
    (tmp_path / "one.csv").write_text("a\n1\n2\n3\n")
    refused(lambda: scaffold_task(tmp_path / "one.csv", tmp_path / "t.yaml"), "one column")
    (tmp_path / "few.csv").write_text("a,b\n1,2\n")
    refused(lambda: scaffold_task(tmp_path / "few.csv", tmp_path / "t.yaml"), "too few")
    assert not (tmp_path / "t.yaml").exists()


def test_every_override_reaches_every_kind_of_task(data, tmp_path):
    out = scaffold_task(data, tmp_path / "t.yaml")
    for ref in ("web-of-lies", str(out)):
        task = resolve_task(ref, name="mine", prompt="Mine.", unparsed="exclude")
        assert (task.view.name, task.view.seed_prompt, task.view.unparsed) == ("mine", "Mine.", "exclude")


def test_data_for_a_judge_needs_no_target(data):
    task = resolve_task(str(data), input="review", prompt="P", scorer={"judge": {"rubric": "Is it kind?"}})
    assert task.view.scorer.asks
    assert task.test[0].target == ""


def based(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_task_file_may_build_on_a_task(tmp_path):
    path = based(
        tmp_path, "task: support-tickets\nsplit: {train: 6, validation: 4, test: 5}\nprompt: Good?\n"
    )
    task, whole = resolve_task(str(path)), resolve_task("support-tickets")
    assert (task.view.name, task.view.seed_prompt, len(task.test)) == ("mine", "Good?", 5)
    assert task.view.labels == whole.view.labels and task.view.format == whole.view.format
    again = based(
        tmp_path, "task: mine.yaml\nname: other\nsplit: {train: 6, validation: 4, test: 6}\n", "two.yaml"
    )
    assert (resolve_task(str(again)).view.name, resolve_task(str(again)).view.seed_prompt) == (
        "other",
        "Good?",
    )
    assert len(resolve_task(str(again), split={"train": 6, "validation": 4, "test": 7}).test) == 7


def test_paths_of_a_file_that_builds_on_a_task_are_relative_to_it(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "seed.md").write_text("Is it bad?\n", "utf-8")
    path = based(tmp_path / "sub", "task: support-tickets\nprompt: {file: seed.md}\n")
    monkeypatch.chdir(tmp_path)
    assert resolve_task(str(path.relative_to(tmp_path))).view.seed_prompt == "Is it bad?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: suport-tickets\n", ("mine.yaml, line 1", "'support-tickets'")),
        ("task: support-tickets\ndata: x.csv\n", ("mine.yaml, line 2", "'data'", "beside 'task'")),
        ("task: support-tickets\nprompts: x\n", ("mine.yaml, line 2", "'prompts'", "'prompt'")),
        ("task: mine.yaml\n", ("mine.yaml, line 1", "built on itself")),
        ("task: support-tickets\nsplit: {train: 900}\n", ("mine.yaml, line 1",)),
    ],
)  # fmt: skip
def test_mistakes_in_a_file_that_builds_on_a_task(tmp_path, text, said):
    path = based(tmp_path, text)
    refused(lambda: resolve_task(str(path)), *said)


def test_replies_are_held_to_tuples_where_the_task_says_so(tmp_path):
    plain = resolve_task("web-of-lies", split={"train": 1, "validation": 1, "test": 4})
    held = resolve_task("web-of-lies", split={"train": 1, "validation": 1, "test": 4}, constrain=True)
    assert plain.view.constrained == () and len(held.view.constrained) == 27
    assert plain.digest != held.digest
    for one in held.test:
        answers = [held.view.scorer.read(text) for text in held.view.constrained]
        assert sum(held.view.scorer.score(answer, one.target) for answer in answers) == 1.0
    tickets = resolve_task("support-tickets")
    assert tickets.view.constrained == ("good", "bad")
    assert resolve_task("support-tickets", constrain=False).view.constrained == ()
