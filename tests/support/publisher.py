"""A publisher of data sets on a free port of this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Publisher:
    """A running server.

    Attributes:
        url: its base address; paths below it are those of the publishers.
        requests: paths asked for, in order, with the Authorization header ("" for none).
        truncate: paths whose body breaks off half-way although its whole length was announced.
        redirect: from a path to the address that it has moved to.
        status: from a path to the status that it is refused with.
    """

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    truncate: set[str] = field(default_factory=set)
    redirect: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)


@contextmanager
def publisher(root: Path) -> Iterator[Publisher]:
    """Serve a directory laid out as the publishers' addresses are: `root/google-deepmind/bbeh/main/…`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers.get("Authorization", "")))
            if self.path in server.redirect:
                self.send_response(302)
                self.send_header("Location", server.redirect[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            file = root / self.path.lstrip("/")
            if self.path in server.status or not file.is_file():
                self.send_error(server.status.get(self.path, 404))
                return
            body = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path in server.truncate else body)

        def log_message(self, *args: Any) -> None:
            """Tests print what they need."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Publisher(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
