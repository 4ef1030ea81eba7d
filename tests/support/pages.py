"""A local page as its user has it: the command in a process of its own, and a browser that notes all that goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.browser import PATIENCE
from tests.support.workload import environment

STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """`nullgrad …` until the block ends; the address that it printed."""
    line = [sys.executable, "-m", "nullgrad", *arguments, "--no-browser"]
    process = subprocess.Popen(
        line, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://127.0.0.1:" in said, said + (
            process.stderr.read() if process.stderr and not said else ""
        )
        yield said.partition(": ")[2].strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Visitor:
    """A page in a context of its own.

    Attributes:
        page: Playwright's.
        errors: uncaught errors and what the console was told as errors or warnings.
        elsewhere: requests to any other place than the server.
        base: the server's address.
    """

    def __init__(self, page: Any, address: str) -> None:
        parts = urlsplit(address)
        self.page, self.address, self.base = page, address, f"{parts.scheme}://{parts.netloc}"
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on(
            "console",
            lambda message: (
                self.errors.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on(
            "response",
            lambda answer: (
                self.errors.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
            ),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: self.elsewhere.append(request.url) if self._is_elsewhere(request.url) else None,
        )

    def _is_elsewhere(self, url: str) -> bool:
        return not url.startswith((self.base + "/", "data:", "blob:"))

    def enter(self) -> None:
        """Open the address with the token, and wait until the page goes on by itself."""
        self.page.goto(self.address)
        self.page.wait_for_selector("main")
        assert "token" not in self.page.url

    def see(self, path: str, selector: str = "main h1") -> None:
        """Go to a page of the server."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector(selector)

    def serious(self) -> list[str]:
        """Serious and critical violations that axe-core finds on the page as it is."""
        from axe_playwright_python.sync_playwright import Axe

        # The page's policy keeps scripts from elsewhere out, also those of the test, so that it goes in by the debugger.
        script = Path(sys.modules[Axe.__module__].__file__ or "").parent / "axe.min.js"
        self.page.evaluate(script.read_text("utf-8") + "; undefined")
        found = self.page.evaluate(
            "options => axe.run(document, options)", {"runOnly": {"type": "tag", "values": STANDARD}}
        )
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def visiting(started: Any, address: str, **options: Any) -> Iterator[Visitor]:
    """A visitor at the address."""
    context = started.new_context(**options)
    context.set_default_timeout(PATIENCE)
    try:
        found = Visitor(context.new_page(), address)
        found.enter()
        yield found
    finally:
        context.close()
