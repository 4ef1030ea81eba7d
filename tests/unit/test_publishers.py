"""Fetching published tasks from a server on this machine, and their built-in definitions."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nullgrad.edges.tasks import publishers
from nullgrad.edges.tasks.publisher_tasks import load_named
from nullgrad.edges.tasks.publishers import fetch_task, is_fetched, published_names, task_directory
from nullgrad.errors import EndpointError, NullgradError
from tests.support.publisher import Publisher, publisher
from tests.support.shared import needs_shared, shared

BBEH = "google-deepmind/bbeh/main/bbeh/benchmark_tasks/bbeh_{}/task.json"
BBH = "suzgunmirac/BIG-Bench-Hard/main/bbh/{}.json"
BANKING = "PolyAI-LDN/task-specific-datasets/master/banking_data/{}.csv"
GPQA = "datasets/Idavidrein/gpqa/resolve/main/{}.csv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What the server serves: made-up tasks under names whose checksum nobody knows."""
    made_up = {
        "examples": [{"input": f"Is {n} even?", "target": ("no", "yes")[n % 2 == 0]} for n in range(100)]
    }
    for path in (BBEH.format("parity"), BBH.format("parity")):
        put(tmp_path / "root" / path, json.dumps(made_up))
    return tmp_path / "root"


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with publisher(root) as running:
        monkeypatch.setenv("NULLGRAD_TASKS_URL", running.url)
        monkeypatch.setenv("NULLGRAD_CACHE", str(root.parent / "cache"))
        yield running


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def refused(call, *fragments: str, kind: type[NullgradError] = NullgradError) -> NullgradError:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert caught.value.what and caught.value.consequence and caught.value.ways_out
    assert "\n" not in message and "Traceback" not in message
    for fragment in fragments:
        assert fragment in message, message
    return caught.value


def files_in(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*") if path.is_file()}


def test_a_cached_task_is_not_asked_for_again(server, root):
    said: list[str] = []
    directory = fetch_task("bbeh/parity", on_notice=said.append)
    assert directory == root.parent / "cache" / "tasks" / "bbeh" / "parity"
    assert (directory / "task.json").read_bytes() == (root / BBEH.format("parity")).read_bytes()
    assert [path for path, _ in server.requests] == ["/" + BBEH.format("parity")]
    assert said == [f"Fetching {server.url}/{BBEH.format('parity')}"]
    fetch_task("bbeh/parity", on_notice=said.append)
    assert len(server.requests) == 1 and len(said) == 1
    assert files_in(directory) == {"task.json", "task.json.sha256"}


def test_an_unknown_checksum_is_recorded_and_compared_later(server, root):
    directory = fetch_task("bbh/parity")
    before = (directory / "task.json").read_bytes()
    recorded = hashlib.sha256(before).hexdigest()
    assert (directory / "task.json.sha256").read_text() == recorded + "\n"
    (directory / "task.json").unlink()
    put(root / BBH.format("parity"), '{"examples": []}')
    changed = hashlib.sha256(b'{"examples": []}').hexdigest()
    refused(lambda: fetch_task("bbh/parity"), recorded, changed, "sha256")
    assert not (directory / "task.json").exists()
    assert not is_fetched("bbh/parity")


def test_a_harmed_cached_file_is_fetched_again(server):
    directory = fetch_task("bbh/parity")
    whole = (directory / "task.json").read_bytes()
    (directory / "task.json").write_bytes(whole[:10])
    said: list[str] = []
    fetch_task("bbh/parity", on_notice=said.append)
    assert (directory / "task.json").read_bytes() == whole
    assert "not what was fetched" in said[0]


def test_a_known_checksum_that_differs_is_an_error_naming_both(server, root):
    put(root / BBEH.format("web_of_lies"), '{"examples": []}')
    wrong = hashlib.sha256(b'{"examples": []}').hexdigest()
    known = publishers.BBEH["web_of_lies"]
    refused(lambda: fetch_task("bbeh/web_of_lies"), wrong, known)
    assert files_in(task_directory("bbeh/web_of_lies")) == set()


def test_a_transfer_that_breaks_off_leaves_nothing(server):
    server.truncate.add("/" + BBEH.format("parity"))
    refused(lambda: fetch_task("bbeh/parity"), "broke off", kind=EndpointError)
    assert files_in(task_directory("bbeh/parity")) == set()
    server.truncate.clear()
    fetch_task("bbeh/parity")


def test_refusals(server):
    refused(lambda: fetch_task("bbeh/no_such"), "404", "bbeh_no_such", "nullgrad tasks")
    server.status["/" + BBEH.format("parity")] = 503
    refused(lambda: fetch_task("bbeh/parity"), "503", "later", kind=EndpointError)
    server.status["/" + BBEH.format("parity")] = 403
    refused(lambda: fetch_task("bbeh/parity"), "403", "HF_TOKEN")
    refused(lambda: fetch_task("bbhe/navigate"), "'bbhe/navigate'", "'bbh/navigate'")
    refused(lambda: fetch_task("bbh/../../etc"), "No publisher")
    refused(lambda: fetch_task("bbh/parity", base_url="file:///tmp"), "http://")


def test_nobody_there(server, monkeypatch):
    with publisher(Path()) as gone:
        pass
    refused(lambda: fetch_task("bbh/parity", base_url=gone.url), "cannot be reached", kind=EndpointError)


def test_an_unwritable_cache(server, root, tmp_path):
    put(tmp_path / "file", "")
    refused(lambda: fetch_task("bbh/parity", cache=tmp_path / "file"), "cannot be written", "NULLGRAD_CACHE")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NULLGRAD_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert publishers.cache_directory(tmp_path) == tmp_path
    assert publishers.cache_directory() == Path("/a")
    monkeypatch.delenv("NULLGRAD_CACHE")
    assert publishers.cache_directory() == Path("/b/nullgrad")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert publishers.cache_directory().parts[-2:] == (".cache", "nullgrad")


def gated(monkeypatch: pytest.MonkeyPatch, server: Publisher, root: Path) -> None:
    """The gated publisher itself, not a mirror, is this server."""
    monkeypatch.setattr(publishers, "HUGGING_FACE", server.url)
    monkeypatch.delenv("NULLGRAD_TASKS_URL")
    for name, records in (("gpqa_diamond", range(6)), ("gpqa_main", range(96))):
        path = root / GPQA.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            wrong = [f"Incorrect Answer {n}" for n in (1, 2, 3)]
            writer.writerow(["Record ID", "Question", "Correct Answer", *wrong])
            for n in records:
                writer.writerow([f"rec{n}", f"Made-up question {n}?", f"right {n}", "x", "y", "z"])


def test_a_gated_task_needs_a_token(server, monkeypatch, root):
    gated(monkeypatch, server, root)
    refused(lambda: fetch_task("gpqa/diamond"), "gated", "HF_TOKEN", "/datasets/Idavidrein/gpqa")
    assert server.requests == []
    monkeypatch.setenv("HF_TOKEN", "made-up")
    fetch_task("gpqa/diamond")
    assert {token for _, token in server.requests} == {"Bearer made-up"}


def test_the_token_stays_with_the_publisher(server, monkeypatch, root, tmp_path):
    gated(monkeypatch, server, root)
    monkeypatch.setenv("HF_TOKEN", "made-up")
    here, elsewhere = "/" + GPQA.format("gpqa_main"), "/" + GPQA.format("gpqa_diamond")
    shutil.copytree(root / "datasets", tmp_path / "other" / "datasets")
    (root / "cached.csv").write_bytes((root / here[1:]).read_bytes())
    with publisher(tmp_path / "other") as other:
        server.redirect[elsewhere] = other.url + elsewhere
        server.redirect[here] = "/cached.csv"
        fetch_task("gpqa/diamond")
        assert other.requests == [(elsewhere, "")]
    assert ("/cached.csv", "Bearer made-up") in server.requests


def test_a_mirror_gets_no_token(server, monkeypatch, root):
    gated(monkeypatch, server, root)
    monkeypatch.setenv("HF_TOKEN", "made-up")
    fetch_task("gpqa/diamond", base_url=server.url)
    assert {token for _, token in server.requests} == {""}


def test_gpqa_trains_on_what_is_not_in_diamond(server, monkeypatch, root):
    gated(monkeypatch, server, root)
    fetch_task("gpqa/diamond", base_url=server.url)
    task = load_named("gpqa/diamond")
    view = task.view
    assert (len(view.train), len(view.validation), len(task.test)) == (30, 50, 6)
    assert view.labels == ("A", "B", "C", "D") and view.wrong == "choice"
    assert {example.id for example in task.test} == {f"rec{n}" for n in range(6)}
    assert not {example.id for example in (*view.train, *view.validation)} & {e.id for e in task.test}
    one = task.test[0]
    assert f"({one.target}) right {one.id[3:]}" in one.input.splitlines()


def test_a_task_must_be_fetched_first(server):
    refused(lambda: load_named("bbeh/web_of_lies"), "nullgrad tasks fetch bbeh/web_of_lies")
    refused(lambda: load_named("bbeh_web_of_lies"), "'bbeh/web_of_lies'")


def test_a_published_task_with_overrides(server):
    fetch_task("bbh/parity")
    task = load_named("bbh/parity")
    assert task.view.labels == ("no", "yes")
    assert (len(task.view.train), len(task.view.validation), len(task.test)) == (30, 50, 20)
    other = load_named(
        "bbh/parity", prompt="Say whether it is even.", split={"train": 5, "validation": 5, "test": 9}
    )
    assert other.view.seed_prompt == "Say whether it is even."
    assert (len(other.view.train), len(other.test)) == (5, 9)
    assert other.digest != task.digest
    refused(lambda: load_named("bbh/parity", data="other.csv"), "'data'", "task file")


def test_equal_inputs_of_a_published_task_stay_together(server, root):
    rows = [
        {"input": f"Is {n // 2}  {'EVEN' if n % 2 else 'even'}?", "target": ("no", "yes")[n // 2 % 2]}
        for n in range(100)
    ]
    rows += [{"input": f"Is {n} odd or even?", "target": "no way"} for n in range(2)]
    put(root / BBH.format("parity"), json.dumps({"examples": rows}))
    fetch_task("bbh/parity")
    task = load_named("bbh/parity", split={"train": 20, "validation": 30, "test": 50})
    homes = [{e.group for e in part} for part in (task.view.train, task.view.validation, task.test)]
    assert sum(map(len, homes)) == len(set.union(*homes))


def test_rows_whose_target_is_no_option_are_left_out(server, root):
    rows = [{"input": f"Pick {n}: (A) or (B)?", "target": ("(A)", "(B)", "B")[n % 3]} for n in range(100)]
    rows[41]["target"] = "neither"
    put(root / BBH.format("parity"), json.dumps({"examples": rows}))
    fetch_task("bbh/parity")
    task = load_named("bbh/parity")
    assert task.view.labels == ("A", "B") and len(task.test) == 19
    assert any("row 42" in note for note in task.notes)
    assert "42" not in {e.id for e in (*task.view.train, *task.view.validation, *task.test)}


@pytest.fixture
def real(server: Publisher, root: Path) -> Publisher:
    for path in shared("data", "bbeh").glob("*.json"):
        put(root / BBEH.format(path.stem), path.read_text("utf-8"))
    for path in shared("data", "bbh").glob("*.json"):
        put(root / BBH.format(path.stem), path.read_text("utf-8"))
    return server


@needs_shared
def test_web_of_lies_as_the_paper_has_it(real):
    fetch_task("bbeh/web_of_lies")
    task = load_named("bbeh/web_of_lies")
    view = task.view
    assert (len(view.train), len(view.validation), len(task.test)) == (30, 50, 120)
    assert (view.slots, set(view.labels), view.wrong) == (3, {"yes", "no", "unknown"}, "slots")
    targets = {part for e in task.test for part in e.target.split(", ")}
    assert targets == {"yes", "no", "unknown"}
    assert (
        view.scorer.score(answer(view, "I think. The answer is: yes, no, unknown"), "yes, no, unknown") == 1.0
    )
    assert view.scorer.score(answer(view, "The answer is: yes, no, no"), "yes, no, unknown") == 0.0
    assert load_named("bbeh/web_of_lies").digest == task.digest


def answer(view, text: str) -> str:
    read = view.scorer.read(text)
    assert isinstance(read, str), read
    return read


@needs_shared
@pytest.mark.parametrize(
    ("name", "labels", "wrong", "sizes"),
    [
        ("bbeh/multistep_arithmetic", (), "number", (30, 50, 120)),
        ("bbh/hyperbaton", ("A", "B"), "choice", (30, 50, 170)),
        ("bbh/navigate", ("No", "Yes"), "label", (30, 50, 170)),
        ("bbh/sports_understanding", ("no", "yes"), "label", (30, 50, 170)),
        ("bbh/web_of_lies", ("No", "Yes"), "label", (30, 50, 170)),
    ],
)
def test_real_tasks_load(real, name, labels, wrong, sizes):
    fetch_task(name)
    task = load_named(name)
    view = task.view
    assert (view.labels, view.wrong) == (labels, wrong)
    assert (len(view.train), len(view.validation), len(task.test)) == sizes
    assert view.seed_prompt and view.format
    for example in task.test:
        assert view.scorer.score(answer(view, f"The answer is: {example.target}"), example.target) == 1.0


@needs_shared
def test_banking77_takes_its_test_from_the_test_part(real, root, monkeypatch):
    rows = list(csv.DictReader(shared("data", "banking77", "test.csv").open(encoding="utf-8")))
    path = root / BANKING.format("train")
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "category"])
        writer.writeheader()
        # Made-up training rows, and one that is also in the test part and must be left out.
        writer.writerows(
            {"text": f"{row['text']} ({n})", "category": row["category"]} for n, row in enumerate(rows)
        )
        writer.writerow(rows[0])
    shutil.copy(shared("data", "banking77", "test.csv"), root / BANKING.format("test"))
    monkeypatch.setitem(publishers.BANKING77, "train", hashlib.sha256(path.read_bytes()).hexdigest())
    fetch_task("banking77")
    task = load_named("banking77", leaks="allow")
    assert len(task.view.labels) == 77
    assert Counter(Counter(e.target for e in task.test).values()) == {10: 77}
    assert any("same text: 1." in note for note in task.notes)


def test_every_published_name_has_files():
    names = published_names()
    assert len(names) == len(set(names)) == 52
    for name in names:
        for file in publishers.published_files(name):
            assert file.gated or len(file.sha256 or "") == 64
