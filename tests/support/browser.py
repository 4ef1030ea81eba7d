"""Debian's Chromium, driven by Playwright, for pages that are opened from disk without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000
"""Milliseconds until a page counts as broken; a busy machine needs some."""


def chromium() -> str:
    """Path of the browser; skips the test, with the reason, where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return found


class Opened:
    """A page with everything that went wrong on it.

    Attributes:
        page: Playwright's.
        errors: uncaught errors, and what the console was told as errors or warnings.
        requests: every request but that for the file itself.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []

    def drawn(self) -> None:
        """Wait until every chart is drawn."""
        self.page.wait_for_selector("html[data-drawn]", state="attached", timeout=PATIENCE)


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, to be shared by the tests of a file."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox.
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Any, path: Path, **options: Any) -> Iterator[Opened]:
    """A file opened from disk, the network off; `options` are those of a context of Playwright."""
    context = started.new_context(offline=True, **options)
    context.set_default_timeout(PATIENCE / 4)
    try:
        found = Opened(context.new_page())
        url = path.resolve().as_uri()

        def heard(message: Any) -> None:
            if message.type in ("error", "warning"):
                found.errors.append(message.text)

        def asked(request: Any) -> None:
            if request.url != url and not request.url.startswith("data:"):
                found.requests.append(request.url)

        found.page.on("console", heard)
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("request", asked)
        found.page.goto(url)
        yield found
    finally:
        context.close()
