"""Pages: nothing that a model wrote is markup, one policy lets only our scripts run, and the first line is the answer."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from nullgrad.surfaces.html import build_page
from nullgrad.surfaces.html.diff import word_diff
from nullgrad.surfaces.html.headline import of_optimization, of_study
from nullgrad.surfaces.html.page import json_in_html
from nullgrad.surfaces.html.scrub import HIDDEN, scrubbed
from tests.support import reports
from tests.support.reports import BREAKOUT, IMAGE, KEY, LINK, MEGABYTE, SCRIPT_TAG, Found
from tests.support.study_facts import a_contrast, a_study, analysed, of_scores

MARKUP = (SCRIPT_TAG, IMAGE, LINK)
MOST = 3_000_000


class Read(HTMLParser):
    """Elements with their attributes, and the text of scripts, styles and everything else."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self._open: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open = {"script": self.scripts, "style": self.styles}.get(tag)
        if self._open is not None:
            self._open.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.words.append(data)
        else:
            self._open[-1] += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return reports.optimize_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(found: Found) -> str:
    return build_page(found.report, found.history)


@pytest.fixture(scope="module")
def study() -> Mapping[str, Any]:
    arms = {"seed": [20] * 5, "gradient/correct/naive": [22, 25, 24, 23, 26], "improve": [20, 21, 22, 20, 19]}
    contrasts = [
        a_contrast("gradient/correct/naive", "improve", bundle=True),
        a_contrast("improve", "seed", margin=0.05),
    ]
    return analysed(
        a_study({"gradient/correct/naive": 5, "improve": 5}, contrasts), of_scores(arms)
    ).to_dict()


def data_of(page: str) -> dict[str, Any]:
    (script,) = [text for text in Read(page).scripts if text.startswith("{")]
    value: dict[str, Any] = json.loads(script)
    return value


def test_what_models_write_is_text(page: str, found: Found) -> None:
    read = Read(page)
    assert len(read.scripts) == 3, "the data, Vega, ours"
    assert not read.named("img")
    assert not [one for one in read.named("a") if not one.get("href", "#").startswith("#")]
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    words = "".join(read.words)
    for hostile in MARKUP:
        assert hostile in words
    assert "{{ 7 * 7 }}" in words


def test_only_our_scripts_may_run(page: str) -> None:
    read = Read(page)
    (policy,) = [
        one["content"] for one in read.named("meta") if one.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    running = [text for text in read.scripts if not text.startswith("{")]
    assert rules["script-src"] == [hashed(text) for text in running]
    assert rules["style-src"] == [hashed(text) for text in read.styles]
    assert rules["default-src"] == ["'none'"]
    assert "unsafe" not in policy
    assert not [attributes for _, attributes in read.elements if "style" in attributes]
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)


def test_no_data_ends_its_element() -> None:
    value = {"a": [BREAKOUT, "</SCRIPT>", "<!--", "]]>", "\u2028\u2029", "\ud800"], "b": None}
    text = json_in_html(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value
    text.encode("utf-8")


def test_the_data_stand_there_once(study: Mapping[str, Any]) -> None:
    data = data_of(build_page(study))
    assert set(data["specs"]) <= set(data["tables"])
    assert "datasets" not in json.dumps(data["specs"])
    forest = data["tables"]["forest-0"]
    names = [column["name"] for column in forest["columns"]]
    differences = [row[names.index("difference")] for row in forest["rows"]]
    assert differences == [row["difference_points"] for row in study["tables"]["contrasts"]]


def test_keys_are_hidden(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEY not in page
    assert HIDDEN in page
    monkeypatch.setenv("OWN_API_KEY", "correct-horse-battery")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    value = {"a": ["so correct-horse-battery it is", 3, None], "https://me:pass@host/v1": "abc"}
    assert scrubbed(value) == {"a": [f"so {HIDDEN} it is", 3, None], f"https://{HIDDEN}@host/v1": "abc"}


def test_a_megabyte_is_bounded_and_said_so(found: Found) -> None:
    report = {**found.report, "best_prompt": MEGABYTE, "unparsed_replies": [MEGABYTE]}
    page = build_page(report, found.history)
    assert len(page.encode()) < MOST
    words = "".join(Read(page).words)
    assert "y" * 4_000 in words
    assert re.search(r"\[…, 9\d\d,\d{3} characters more\]", words)


def test_the_answer_of_an_optimization(found: Found, page: str) -> None:
    head = of_optimization(found.report)
    gain = found.report["test"]["gain"]
    assert head.word == found.report["recommendation"]
    assert head.value == f"{gain['points']:+.1f} points".replace("-", "−")
    assert head.interval == f"95 %: {gain['ci95'][0]:.1f} to {gain['ci95'][1]:.1f}".replace("-", "−")
    assert head.value in "".join(Read(page).words)
    none = {**found.report, "test": {**found.report["test"], "gain": {**gain, "points": None, "ci95": None}}}
    assert (of_optimization(none).value, of_optimization(none).interval) == ("not estimable", "no interval")


def test_the_answer_of_a_study(study: Mapping[str, Any]) -> None:
    head = of_study(study)
    (row,) = [row for row in study["tables"]["contrasts"] if row["second"] == "seed"]
    assert head.value == f"{row['difference_points']:+.1f} points".replace("-", "−")
    assert head.interval.startswith(f"{100 * row['level']:.4g} %")
    assert re.match(r"Of \d predictions? of the gradient hypothesis", head.sentence)
    bare = {**study, "tables": {**study["tables"], "contrasts": [], "verdicts": []}}
    assert "tests nothing" in of_study(bare).sentence
    assert of_study(bare).value.endswith(" %")
    empty = {**bare, "tables": {**bare["tables"], "arms": []}}
    assert of_study(empty).value == "no number yet"
    build_page({**empty, "tables": {**empty["tables"], "trials": []}})


def test_simulations_are_named(found: Found, page: str, study: Mapping[str, Any]) -> None:
    banner = "Simulated: script:hostile is no real model."
    assert banner in "".join(Read(page).words)
    assert "Simulated:" not in "".join(Read(build_page(study)).words)


def test_names_of_tasks_and_labels_are_text(found: Found, study: Mapping[str, Any]) -> None:
    classes = {f"{SCRIPT_TAG}{n}": row for n, row in enumerate(found.report["classes"].values())}
    page = build_page({**found.report, "task": IMAGE, "classes": classes, "notes": [LINK]}, found.history)
    read = Read(page)
    assert len(read.scripts) == 3
    assert not read.named("img")
    renamed = json.loads(json.dumps(study).replace('"small"', json.dumps(BREAKOUT)))
    assert len(Read(build_page(renamed)).scripts) == 3


def test_without_a_ledger_the_page_says_what_is_missing(found: Found) -> None:
    words = "".join(Read(build_page(found.report)).words)
    assert "no lineage, no feedback" in words


def test_lineage_shows_what_led_where(found: Found, page: str) -> None:
    (one,) = found.history["lineage"]
    assert one["steps"], "the arm without a guard takes a prompt in every step"
    step = one["steps"][0]
    assert step["texts"][0]["before"] == found.report["seed_prompt"]
    assert {told["stage"] for told in step["feedback"]} == {"gradient-output", "gradient-prompt"}
    assert {told["example"] for told in step["feedback"]} <= set(step["batch"]["examples"])
    assert Read(page).named("ins")
    assert Read(page).named("del")


def test_repeating_takes_version_models_seed_and_specification(found: Found, page: str) -> None:
    words = "".join(Read(page).words)
    for part in (
        found.report["run"],
        "nullgrad optimize moods --model script:hostile",
        '"batch_size": 3',
        "--seed 1",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("", "new words"),
        ("Is it up?", "Is it really up or down?\nSay  so."),
        ("one two three four", "one three four five"),
        ("word " * 3_000, "other " * 3_000),
        (MEGABYTE, "short"),
        ("  lead and trail  ", " lead and trail"),
    ],
)
def test_a_diff_holds_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "ins") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "del") == after


def test_a_diff_finds_the_words_that_stay() -> None:
    pieces = word_diff("Read the text and say up or down.", "Read the whole text and say up or down.")
    assert [piece.text for piece in pieces if piece.kind == "ins"] == ["whole "]
    assert not [piece for piece in pieces if piece.kind == "del"]
    pieces = word_diff("Say what it is.", "Say what it is. Be brief.")
    assert pieces == [("same", "Say what it is."), ("ins", " Be brief.")]


@pytest.mark.parametrize("missing", ["jinja2", "vl_convert"])
def test_what_is_not_installed_is_named(found: Found, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nullgrad.errors import UserError
    from nullgrad.surfaces.html import assets

    assets.vega_script.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"nullgrad\[report\]"):
        build_page(found.report)


def test_the_styles_and_scripts_are_files_of_the_package() -> None:
    import nullgrad.surfaces.html as package

    folder = Path(package.__file__).parent
    assert {path.name for path in (folder / "static").iterdir()} == {"report.css", "report.js"}
    script = (folder / "static" / "report.js").read_text()
    assert "innerHTML" not in script, "text is set as text"
    assert "ast: true" in script
