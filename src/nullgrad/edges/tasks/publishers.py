"""Fetches published data sets from where their publishers keep them, into a cache, checked by checksum."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nullgrad.edges.tasks.publisher_checksums import BANKING77, BBEH, BBH
from nullgrad.edges.wholefile import write_whole
from nullgrad.edges.yamlread import nearest
from nullgrad.errors import EndpointError, NullgradError, UserError

GITHUB = "https://raw.githubusercontent.com"
HUGGING_FACE = "https://huggingface.co"

TIMEOUT = 60.0
"""Seconds without a byte before a publisher is given up."""

_TOKEN = "HF_TOKEN"
_BASE = "NULLGRAD_TASKS_URL"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a publisher.

    Attributes:
        name: its name in the cache.
        host: scheme and host.
        path: what follows, beginning with a slash; a mirror serves the same path below its own base.
        sha256: the known checksum, None where none is known.
        gated: whether the publisher wants a token.
    """

    name: str
    host: str
    path: str
    sha256: str | None
    gated: bool = False


def published_files(name: str) -> tuple[PublishedFile, ...]:
    """The files of a published task.

    A BBEH or BBH task that is unknown here is looked for where the publisher would keep it.

    Raises:
        UserError: no publisher is known for the name.
    """
    family, _, task = name.partition("/")
    if task and not task.replace("_", "").isalnum():
        family = ""
    if family == "bbeh" and task:
        path = f"/google-deepmind/bbeh/main/bbeh/benchmark_tasks/bbeh_{task}/task.json"
        return (PublishedFile("task.json", GITHUB, path, BBEH.get(task)),)
    if family == "bbh" and task:
        path = f"/suzgunmirac/BIG-Bench-Hard/main/bbh/{task}.json"
        return (PublishedFile("task.json", GITHUB, path, BBH.get(task)),)
    if name == "banking77":
        path = "/PolyAI-LDN/task-specific-datasets/master/banking_data/"
        return tuple(
            PublishedFile(f"{part}.csv", GITHUB, f"{path}{part}.csv", BANKING77[part])
            for part in ("train", "test")
        )
    if name == "gpqa/diamond":
        path = "/datasets/Idavidrein/gpqa/resolve/main/"
        return tuple(
            PublishedFile(part, HUGGING_FACE, path + part, None, gated=True)
            for part in ("gpqa_diamond.csv", "gpqa_main.csv")
        )
    raise UserError(
        f"No publisher of a task {name!r} is known.", "Nothing was fetched.", nearest(name, published_names())
    )


def published_names() -> tuple[str, ...]:
    """Every published task that is known by name."""
    return (
        *(f"bbeh/{task}" for task in BBEH),
        *(f"bbh/{task}" for task in BBH),
        "banking77",
        "gpqa/diamond",
    )


def cache_directory(cache: Path | None = None) -> Path:
    """Where fetched files are kept: `$NULLGRAD_CACHE`, `$XDG_CACHE_HOME/nullgrad` or `~/.cache/nullgrad`."""
    if cache is not None:
        return cache
    if own := os.environ.get("NULLGRAD_CACHE"):
        return Path(own)
    if common := os.environ.get("XDG_CACHE_HOME"):
        return Path(common) / "nullgrad"
    return Path.home() / ".cache" / "nullgrad"


def task_directory(name: str, cache: Path | None = None) -> Path:
    """Where the files of a published task are kept once fetched."""
    return cache_directory(cache) / "tasks" / name


def is_fetched(name: str, cache: Path | None = None) -> bool:
    """Whether every file of a published task is in the cache."""
    directory = task_directory(name, cache)
    return all((directory / file.name).is_file() for file in published_files(name))


def fetch_task(
    name: str,
    *,
    base_url: str | None = None,
    cache: Path | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> Path:
    """Fetch a published task into the cache; what is there and unharmed is not fetched again.

    Args:
        name: `bbeh/NAME`, `bbh/NAME`, `banking77`, `gpqa/diamond`.
        base_url: of a mirror that serves the publishers' paths; else `$NULLGRAD_TASKS_URL`, else the
            publishers themselves. A token is never sent to a mirror.
        cache: see `cache_directory`.
        on_notice: told of every file that is fetched, and of a cached one that was harmed.

    Returns:
        The directory that holds the files.

    Raises:
        UserError: no such task, no token for a gated one, a checksum that differs, or an unwritable cache.
        EndpointError: the publisher cannot be reached, refuses, or sends less than it announced.
    """
    files = published_files(name)
    directory = task_directory(name, cache)
    base = base_url or os.environ.get(_BASE) or ""
    if base and urllib.parse.urlsplit(base).scheme not in ("http", "https"):
        raise UserError(
            f"The base address {base!r} does not begin with http:// or https://.",
            "Nothing was fetched.",
            f"Mend it (option or {_BASE}).",
        )
    notice = on_notice or (lambda text: None)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            _fetch_file(file, directory, base.rstrip("/"), notice)
    except OSError as error:
        raise UserError(
            f"The cache {directory} cannot be written: {error.strerror or error}.",
            "Nothing was fetched.",
            "Free space there, or set NULLGRAD_CACHE to another directory.",
        ) from None
    return directory


def _fetch_file(file: PublishedFile, directory: Path, base: str, notice: Callable[[str], None]) -> None:
    path = directory / file.name
    sidecar = directory / f"{file.name}.sha256"
    known = file.sha256 or (sidecar.read_text("utf-8").strip() if sidecar.is_file() else None)
    if path.is_file():
        if known is not None and _sha256(path.read_bytes()) == known:
            return
        notice(f"{path} is not what was fetched: it is fetched again.")
    url = f"{base or file.host}{file.path}"
    token = _token(file, base)
    notice(f"Fetching {url}")
    data = _download(url, token)
    found = _sha256(data)
    if known is not None and found != known:
        raise UserError(
            f"The file {url} has the SHA-256 {found}, not {known}.",
            "It was changed on its way or by its publisher, so results would not be comparable;"
            " it was not kept.",
            "Fetch again; if it stays so, look at the publisher's history"
            + ("." if file.sha256 else f", and remove {sidecar} to accept the new file."),
        )
    if file.sha256 is None:
        write_whole(sidecar, f"{found}\n".encode())
    write_whole(path, data)


def _token(file: PublishedFile, base: str) -> str:
    if not file.gated or base:
        return ""
    token = os.environ.get(_TOKEN, "").strip()
    if not token:
        raise UserError(
            f"{file.host}{file.path} is gated and no token is set.",
            "Nothing was fetched.",
            f"Accept the terms at {file.host}{file.path.partition('/resolve/')[0]}, make a read token in the"
            f" account's settings, and set it as {_TOKEN}.",
        )
    return token


class _SameOriginToken(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the token on the publisher's own host alone."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if new is not None and token and _origin(req.full_url) == _origin(new.full_url):
            new.add_unredirected_header("Authorization", token)
        return new


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _download(url: str, token: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "nullgrad", "Accept-Encoding": "identity"})
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(_SameOriginToken())
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            data: bytes = response.read()
            return data
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(url, error.code) from None
    except http.client.IncompleteRead as error:
        raise EndpointError(
            f"The transfer of {url} broke off after {len(error.partial)} bytes.",
            "Nothing was kept.",
            "Fetch again.",
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise EndpointError(
            f"{url} cannot be reached: {' '.join(str(reason).split()) or type(error).__name__}.",
            "Nothing was fetched.",
            f"Check the network (and a proxy's variables), or name a mirror with {_BASE}.",
        ) from None


def _refused(url: str, status: int) -> NullgradError:
    if status == 404:
        return UserError(
            f"{url} does not exist (404).",
            "Nothing was fetched.",
            "Check the task's name with `nullgrad tasks`; a mirror must keep the publishers' paths.",
        )
    if status in (401, 403):
        return UserError(
            f"{url} refuses access ({status}).",
            "Nothing was fetched.",
            f"Accept the publisher's terms with the account whose token is in {_TOKEN}.",
        )
    return EndpointError(
        f"{url} answers with the status {status}.", "Nothing was fetched.", "Try again later."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
