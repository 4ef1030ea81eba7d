"""The published results: every key of a preset finds its own, and every number is the paper's."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml

from nullgrad.analysis.study.published import PUBLISHED, TASKS, published, published_text

WOL = "bbeh/web_of_lies"


@pytest.mark.parametrize(
    ("key", "task", "text"),
    [
        ("main/chain/gradient/naive", WOL, "published: p = 0.0037 (α 0.025)"),
        ("paper-main/chain/gradient/naive", "web_of_lies", "published: p = 0.0037 (α 0.025)"),
        ("main/chain/gradient/naive", "bbeh/multistep_arithmetic", "published: leans the other way, p = 0.030 (α 0.025)"),
        ("main/chain/gradient/naive", "gpqa/diamond", "published: n.s. (α 0.025)"),
        ("main/chain/gradient/validated@3", WOL, "published: n.s. (α 0.025)"),
        ("main/wrong-labels/gradient/naive", WOL, "published: n.s. (α 0.0125)"),
        ("main/no-evaluation/one-step/naive", WOL, "published: p = 0.0022 (α 0.0125)"),
        ("main/no-evaluation/gradient/naive", WOL, "published: p < 0.0001 (α 0.0125)"),
        ("main/no-evaluation/gradient/naive", "gpqa/diamond", "published: n.s. (α 0.0125)"),
        ("main/prompt-only/improve/validated@3", "GPQA Diamond", "published: significant (α 0.0125)"),
        ("main/prompt-only/improve/naive", WOL, "published: n.s. (α 0.0125)"),
        ("main/prompt-only/rewrite/naive", "gpqa_diamond", "published: n.s. (α 0.0125)"),
        ("main/feedback/gradient/validated@3", "multistep_arithmetic", "published: significant (α 0.025)"),
        ("main/feedback/gradient/validated@3", WOL, "published: n.s. (α 0.025)"),
        ("main/validation/one-step/wrong/validated@3", WOL, "published: n.s. (α 0.00625)"),
        ("critic/against-direct/critic-smooth/naive", WOL, "published: p = 0.0010 (α 0.0125)"),
        ("critic/against-direct/critic-binary/naive", WOL, "published: n.s. (α 0.0125)"),
        ("critic/validation/critic-smooth/validated@3", WOL, "published: p < 0.0001 (α 0.0125)"),
        ("critic/validation/critic-smooth-wrong/validated@3", WOL, "published: p = 0.0008 (α 0.0125)"),
        ("longrun/fit/gradient/wrong/naive", "gpqa/diamond", "published: similar"),
        ("variants/discovery/gradient/critic-smooth/validated@5", WOL, "published: p = 0.0014 (α 0.025)"),
        ("variants/discovery/gradient/critic-smooth/validated@1", WOL, "published: p = 0.44 (α 0.025)"),
        ("variants/discovery/gradient/critic-smooth/trend", WOL, "published: τ = 0.246, p = 0.0025 (α 0.025)"),
        ("variants/discovery/gradient/critic-smooth/validated@5", "gpqa/diamond", ""),
        ("main/chain/gradient/naive", "support-tickets", ""),
        ("main/chain/gradient/naive", "web_of_lies_small", ""),
        ("main/nothing/gradient/naive", WOL, ""),
        ("main", WOL, ""),
        ("", WOL, ""),
    ],
)  # fmt: skip
def test_the_published_result_of_a_key(key: str, task: str, text: str) -> None:
    assert published_text(key, task) == text


def test_families_have_their_published_sizes() -> None:
    """m contrasts on each task: what is listed adds up to what the levels were corrected for."""
    for preset, family in {(one.preset, one.family) for one in PUBLISHED}:
        own = [one for one in PUBLISHED if (one.preset, one.family) == (preset, family)]
        for task in {one.task for one in own}:
            here = [one for one in own if one.task == task and one.selection != "trend"]
            assert len(here) == here[0].m, (preset, family, task)
    assert {one.task for one in PUBLISHED} == set(TASKS)


def test_what_is_significant_is_below_its_level() -> None:
    for one in PUBLISHED:
        if one.outcome and not one.outcome.startswith("<"):
            assert (float(one.outcome) <= one.alpha) == one.significant, one


def test_every_key_of_every_preset_is_published() -> None:
    found = set()
    for file in resources.files("nullgrad").joinpath("presets").iterdir():
        if not file.name.endswith(".yaml"):
            continue
        study = yaml.safe_load(file.read_text(encoding="utf-8"))
        for contrast in study["contrasts"]:
            if key := contrast.get("published"):
                one = published(key, WOL)
                assert one is not None, key
                found.add((file.name, key, one))
    # No two contrasts of a preset print the same published value.
    assert len({(name, one) for name, _, one in found}) == len(found)
    assert len(found) >= 40
