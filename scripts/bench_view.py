"""How fast `nullgrad view` answers over a large ledger: `python scripts/bench_view.py [--replies N] [--folder DIR]`.

Builds a synthetic study (ten arms, thirty trials, ten steps; replies through the ledger's own append path), takes it up into the
view's index, and asks the server for every kind of page, each time with other parameters. Prints percentiles in milliseconds, and
the processor's time of server and client, which other work on the machine lengthens less; exits with 1 where the 95th percentile of
a page is over 200 ms. With `--folder` the ledger is kept and found again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from nullgrad.api import open_view
from nullgrad.core.candidate import Candidate
from nullgrad.core.chat import Failed, Message, Reply, Request, Sampling, Usage
from nullgrad.core.effects import About
from nullgrad.core.events import (
    BatchRun,
    CandidateScored,
    Event,
    Proposed,
    StepDone,
    TestOpened,
    TestScored,
    TrialDone,
    TrialStarted,
)
from nullgrad.edges.ledger.store import open_ledger
from nullgrad.ports import Record
from nullgrad.surfaces.web.guard import Guard, new_secret
from nullgrad.surfaces.web.serve import bind
from nullgrad.surfaces.web.view_app import view_app

MODEL = "script:bench"
ARMS = [f"{update}/{evaluation}/{selection}" for update in ("gradient", "one-step") for evaluation in ("correct", "wrong")
        for selection in ("naive", "validated@3")] + ["improve/none/naive", "rewrite/none/naive"]  # fmt: skip
TRIALS, STEPS, EXAMPLES = 30, 10, 2_000
LIMIT = 200.0
"""Milliseconds that a page may take."""


def prompt_of(arm: str, trial: int, step: int) -> Candidate:
    """A prompt of about 900 characters."""
    words = random.Random(f"{arm}{trial}{step}")
    return Candidate.of(
        f"Decide whether the review is positive or negative ({arm}, {trial}, {step}). "
        + " ".join(
            words.choice(("weigh", "the", "words", "before", "answering", "never", "guess"))
            for _ in range(140)
        )
    )


def events_of(arm: str, trial: int) -> list[Event]:
    """Everything that one trial states."""
    scope, seed, stream = (
        f"{arm}#{trial}@reviews",
        Candidate.of("Is it positive or negative?"),
        random.Random(trial),
    )
    found: list[Event] = [TrialStarted(scope, seed.digest, seed.texts)]
    row = tuple(float(stream.random() < 0.7) for _ in range(50))
    for step in range(1, STEPS + 1):
        own = prompt_of(arm, trial, step)
        found += [
            BatchRun(scope, step, ("1", "2", "3"), (1.0, 0.0, 1.0), 0, 0, (1.0, 0.0, 1.0)),
            Proposed(scope, step, 0, own.digest, own.texts),
            CandidateScored(
                scope,
                step,
                0,
                own.digest,
                row,
                row,
                0,
                tuple("positive" if one else "negative" for one in row),
            ),
            StepDone(scope, step, 0, own.digest),
        ]
    last = prompt_of(arm, trial, STEPS)
    test = tuple(float(stream.random() < 0.7) for _ in range(120))
    answers = tuple("positive" if one else "negative" for one in test)
    return [
        *found, TrialDone(scope, last.digest, STEPS), TestOpened(scope, "final", last.digest),
        TestScored(scope, "final", last.digest, test, 0, answers),
    ]  # fmt: skip


def build(path: Path, replies: int) -> None:
    """A study's ledger with that many replies."""
    stream, began = random.Random(0), time.perf_counter()
    spec = {
        "verb": "study", "name": "bench", "steps": STEPS, "seed": 0,
        "cells": {"reviews": {"task": {"name": "reviews", "digest": "d"}, "cast": {"generator": {"model": MODEL}}}},
    }  # fmt: skip
    trials = [(arm, trial) for trial in range(TRIALS) for arm in ARMS]
    share = -(-replies // len(trials))
    written = 0
    with open_ledger(path) as book:
        book.begin_run("bench", json.dumps(spec))
        for arm, trial in trials:
            book.append((), [("bench", event) for event in events_of(arm, trial)])
            prompts = [prompt_of(arm, trial, step) for step in range(STEPS + 1)]
            records = []
            for number in range(min(share, replies - written)):
                step = number * STEPS // share + 1
                example = stream.randrange(EXAMPLES)
                text = f"review {example}: " + "the plot was thin and the cast was fine " * (1 + example % 12)
                if number % 20 == 19:
                    messages: tuple[Message, ...] = (
                        Message("user", f"How should the instruction change? {number} {arm} {trial}"),
                    )
                    about = About(
                        "optimizer", "gradient-prompt", arm, trial, "train", str(example), step, 0, "reviews"
                    )
                    said = f"It should weigh the plot against the cast in point {number}. " * 8
                else:
                    messages = (
                        Message("system", prompts[step].prompt + "\n\nAnswer with one word."),
                        Message("user", text),
                    )
                    split = ("train", "validation", "test")[number % 3]
                    about = About("generator", "forward", arm, trial, split, str(example), step, 0, "reviews")
                    said = ("positive", "negative")[number % 2]
                request = Request(MODEL, messages, Sampling(0.5, None, 64), draw=written + number)
                failed = number % 5_000 == 4_999
                answer = (
                    Failed("timeout", "no answer in 120 s", None, 3)
                    if failed
                    else Reply(said, "stop", Usage(210, 4), "bench")
                )
                records.append(Record(request.identity(), request, answer, about, 1, 0.4))
            for start in range(0, len(records), 4_000):
                book.append(records[start : start + 4_000], ())
            written += len(records)
            if not written % 100 and sys.stderr.isatty():
                print(f"\r{written:,} replies", end="", file=sys.stderr)
    print(
        f"built: {written:,} replies, {path.stat().st_size / 2**20:,.0f} MiB, {time.perf_counter() - began:,.0f} s"
    )


class Server:
    """The view's own application behind its guard, on a thread."""

    def __init__(self, view: object) -> None:
        import uvicorn

        bound = bind(0)
        self.port, token = bound.getsockname()[1], new_secret()
        config = uvicorn.Config(
            Guard(view_app(view), token, self.port),
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port)
        self._cookie = ""
        self._cookie = self.get(f"/?token={token}")[1].split(";")[0]

    def get(self, path: str) -> tuple[float, str, int]:
        """Milliseconds, the cookie set, and the page's size."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"Cookie": self._cookie} if self._cookie else {})
        answer = self._connection.getresponse()
        size = len(answer.read())
        took = 1000 * (time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        return took, answer.getheader("set-cookie") or "", size

    def end(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()


def main() -> int:
    """Build, index, ask; 1 where a page is too slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replies", type=int, default=200_000, help="replies in the ledger (default 200000)")
    parser.add_argument("--folder", type=Path, help="where the ledger is kept")
    parser.add_argument("--times", type=int, default=30, help="requests of each kind of page (default 30)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        path = (options.folder or Path(made)) / f"bench-{options.replies}.db"
        if not path.exists():
            build(path, options.replies)
        return measure(path, options.replies, options.times)


def measure(path: Path, replies: int, times: int) -> int:
    """Ask for every kind of page."""
    began = time.perf_counter()
    view = open_view(path)
    print(f"first page may be asked for after {time.perf_counter() - began:.2f} s")
    while view.state["taken"] < view.state["total"]:
        time.sleep(0.05)
    print(
        f"index: all taken up after {time.perf_counter() - began:.1f} s, {view._indexer.path.stat().st_size / 2**20:,.0f} MiB"
    )
    server, stream = Server(view), random.Random(1)
    ends = view.ends("bench")
    keys = [one["key"] for one in ends if one["step"] > 0]

    def arm() -> str:
        return stream.choice(ARMS)

    pages = {
        "runs": lambda: "/",
        "progress": lambda: "/run/bench/progress",
        "trajectories": lambda: "/run/bench/course",
        "prompts": lambda: f"/run/bench/prompts?arm={arm()}",
        "prompts, text": lambda: f"/run/bench/prompts?q=guess+{stream.choice(('weigh', 'never', 'nowhere'))}",
        "prompt": lambda: f"/run/bench/prompt/{stream.choice(keys)}",
        "compare": lambda: f"/run/bench/compare?first={stream.choice(keys)}&second={stream.choice(keys)}",
        "examples": lambda: f"/run/bench/examples?split=test&q={stream.randrange(10, 99)}",
        "transcripts, newest": lambda: "/replies?run=bench",
        "transcripts, far back": lambda: f"/replies?run=bench&before={stream.randrange(2, replies)}",
        "transcripts, arm and split": lambda: (
            f"/replies?run=bench&arm={arm()}&split=validation&before={stream.randrange(2, replies)}"
        ),
        "transcripts, one trial": lambda: (
            f"/replies?run=bench&arm={arm()}&trial={stream.randrange(TRIALS)}&role=optimizer"
        ),
        "transcripts, one example": lambda: (
            f"/replies?run=bench&example={stream.randrange(EXAMPLES)}&split=test"
        ),
        "transcripts, nothing meets it": lambda: f"/replies?run=bench&role=optimizer&split=test&arm={arm()}",
        "transcripts, failed": lambda: "/replies?run=bench&failed=1",
        "transcripts, text found": lambda: "/replies?q=weigh+the+plot",
        "transcripts, text nowhere": lambda: f"/replies?q=zebra{stream.random()}",
        "transcripts, sent text nowhere": lambda: f"/replies?q=zebra{stream.random()}&where=messages",
        "one transcript": lambda: f"/reply/{stream.randrange(1, replies)}",
    }
    worst = 0.0
    print(f"{'page':32} {'first':>7} {'median':>7} {'95 %':>7} {'most':>7} {'CPU':>7} {'KiB':>6}   (ms)")
    for name, path_of in pages.items():
        first = server.get(path_of())[0]
        busy = time.process_time()
        found = [server.get(path_of()) for _ in range(times)]
        busy = 1000 * (time.process_time() - busy) / times
        took = sorted(one[0] for one in found)
        high = statistics.quantiles(took, n=20)[-1] if len(took) > 1 else took[0]
        worst = max(worst, high)
        size = max(one[2] for one in found) / 1024
        print(
            f"{name:32} {first:7.1f} {statistics.median(took):7.1f} {high:7.1f} {took[-1]:7.1f} {busy:7.1f} {size:6.0f}"
        )
    server.end()
    view.close()
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    print(f"slowest 95th percentile: {worst:.0f} ms, of {LIMIT:.0f} allowed")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
