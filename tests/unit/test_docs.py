"""Docs that cannot rot unseen: transcripts are filled, pages that are linked exist, help pages are the commands' own."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
TRANSCRIPT = re.compile(r"<!-- run: (?P<command>.+?) -->\n```text\n(?P<shown>.*?)```\n", re.DOTALL)


def script(name: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_transcripts_show_the_command_and_its_output(page: Path) -> None:
    for match in TRANSCRIPT.finditer(page.read_text("utf-8")):
        lines = match["shown"].splitlines()
        assert lines[:1] == [f"$ {match['command']}"], f"{page.name}: make docs"
        assert len(lines) > 1, f"{page.name}: nothing is shown of {match['command']}"


def test_the_readme_shows_what_make_demo_runs() -> None:
    demo = script("demo")
    command = shlex.join(["nullgrad", "optimize", demo.TASK, "--model", demo.MODEL, *demo.OPTIONS])
    assert f"<!-- run: {command} -->" in (ROOT / "README.md").read_text("utf-8")
    seeds = (ROOT / "docs" / "demo-seeds.md").read_text("utf-8")
    rest = demo.OPTIONS[: demo.OPTIONS.index("--seed")]
    assert shlex.join(["nullgrad", "optimize", demo.TASK, "--model", demo.MODEL, *rest]) in seeds


def test_the_page_of_commands_is_the_commands_own_help() -> None:
    assert (ROOT / "docs" / "commands.md").read_text("utf-8") == script("docs").commands_page(), "make docs"
