"""Pictures of the report, the live view and the rating page, by Chromium: `python scripts/screenshots.py [--out docs/images]`.

Runs a small study over a scripted model whose answers depend on the prompt, photographs the view while it goes on, then the
report and a rating. The study is made for the pictures: its numbers say nothing about any model.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TASK = """\
name: reviews
data: reviews.csv
input: text
target: label
labels: [good, bad]
scorer: exact
prompt: Is the review good or bad?
format: "Answer with one word: good or bad."
split: {train: 24, validation: 30, test: 80, seed: 0}
"""
STUDY = """\
name: what feedback adds
tasks: [task.yaml]
arms:
  gradient/correct/naive: 6
  gradient/shuffled/naive: 6
  one-step/correct/validated@3: 6
  improve: 6
steps: 5
curve: [1, 2, 3, 5]
margin: 5 points
contrasts:
  - {family: label, better: gradient/correct/naive, than: gradient/shuffled/naive}
  - {family: feedback, better: gradient/correct/naive, than: improve}
  - {family: course, plateau: gradient/correct/naive}
"""
MODEL = """\
import hashlib, time

RULES = ("Read the whole review before you judge it.", "Weigh what the reviewer praises against what is missed.",
         "Never answer bad because of a single complaint.", "Irony counts as the opposite of what is said.",
         "A mixed review is good only if it recommends a visit.", "Name no reasons; give the label alone.")

def reply(request):
    time.sleep(PACE)
    text = "\\n".join(message.content for message in request.messages)
    chance = int(hashlib.sha256(request.identity().encode()).hexdigest()[:8], 16) / 2**32
    if "between <prompt> and </prompt>" in text:
        picked = [rule for place, rule in enumerate(RULES) if (request.draw >> place) & 1] or [RULES[0]]
        return "<prompt>Is the review good or bad?\\n\\n" + "\\n\\n".join(picked) + "</prompt>"
    if "How should the" in text:
        return "It should say how a mixed review is judged: " + RULES[request.draw % len(RULES)].lower()
    right = "good" if "warm" in text.split("Answer with one word")[-1] else "bad"
    known = 0.58 + 0.05 * sum(rule in text for rule in RULES)
    return right if chance < known else {"good": "bad", "bad": "good"}[right]
"""
SIZE = {"width": 1200, "height": 900}


def prepare(folder: Path, pace: float) -> None:
    """The task, the study and the model."""
    rows = [
        f"The room was {('warm', 'cold')[n % 2]} and the soup number {n} came {('soon', 'late', 'in time')[n % 3]}.,{('good', 'bad')[n % 2]}"
        for n in range(160)
    ]
    (folder / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    (folder / "task.yaml").write_text(TASK)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "model.py").write_text(MODEL.replace("PACE", str(pace)))


def nullgrad(*arguments: str) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "nullgrad", *arguments]


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """A page's address while the block runs."""
    process = subprocess.Popen(
        nullgrad(*arguments, "--no-browser"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition(": ")[2].strip()
    finally:
        process.terminate()
        process.wait(timeout=30)


def photograph(browser: Any, folder: Path, out: Path) -> None:
    """All pictures."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    run = subprocess.Popen(
        nullgrad("run", "study.yaml", "--model", "script:model.py", "--ledger", "l.db", "--quiet", "--concurrency", "4"),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (folder / "l.db").exists() and run.poll() is None:
            time.sleep(0.1)
        with served(folder, "view", "--ledger", "l.db", "--task", "task.yaml") as address:
            page.goto(address)
            page.wait_for_selector("tbody a", timeout=60_000)
            page.click("tbody a")
            page.wait_for_selector("#arms")
            deadline = time.monotonic() + 60
            while "%" not in page.inner_text("#done") or float(page.inner_text("#done").rstrip(" %")) < 35:
                if time.monotonic() > deadline or run.poll() is not None:
                    break
                time.sleep(0.2)
            page.screenshot(path=out / "view.png")
            run.wait(timeout=600)
            page.click("nav >> text=Compare")
            page.wait_for_selector("select[name=second]")
            page.select_option("select[name=second]", index=1)
            page.click("main button")
            page.wait_for_selector("#differ")
            page.screenshot(path=out / "view-compare.png")
    finally:
        run.kill()
        run.wait()
    report = folder / "report.html"
    subprocess.run(nullgrad("report", "last", "--ledger", "l.db", "--html", str(report)), cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    page.goto(report.resolve().as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
    page.screenshot(path=out / "report.png")
    dark = browser.new_page(viewport=SIZE, color_scheme="dark")
    dark.goto(report.resolve().as_uri())
    dark.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
    dark.screenshot(path=out / "report-dark.png")
    with served(folder, "rate", "last", "--ledger", "l.db", "--task", "task.yaml", "--pairwise") as address:
        page.goto(address)
        page.wait_for_selector("input[name=rater]")
        page.fill("input[name=rater]", "Anna")
        page.keyboard.press("Enter")
        page.wait_for_selector("#rate")
        page.keyboard.press("2")
        page.screenshot(path=out / "rate.png")


def main() -> None:
    """Make the pictures and say where they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent.parent / "docs" / "images"
    )
    parser.add_argument("--pace", type=float, default=0.002, help="seconds of each scripted reply")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if program is None:
        raise SystemExit("No Chromium: apt-get install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made) / "reviews"
        folder.mkdir()
        prepare(folder, options.pace)
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            photograph(browser, folder, options.out)
        finally:
            browser.close()
    for path in sorted(options.out.glob("*.png")):
        print(f"{path} ({path.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
