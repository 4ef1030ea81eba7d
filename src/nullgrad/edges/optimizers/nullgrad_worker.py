"""What every adapter's process shares: its job, its events, and its way to the models. Standard library only.

It runs in an environment of the user's choice, where nullgrad need not be installed: nothing of nullgrad is imported.
A job is one line of JSON on standard input; events are lines of JSON on what was standard output. Whatever the library
prints goes to standard error. The end of standard input means that nobody listens any more.
"""

from __future__ import annotations

import http.client
import importlib
import importlib.metadata
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

PROTOCOL = 1


class CallRefused(RuntimeError):
    """The gateway gave no reply; `code` is its word for why."""

    def __init__(self, status, code, message):
        super().__init__(f"{message} (HTTP {status}, {code})")
        self.code = code


class AdapterError(Exception):
    """The adapter cannot go on; `kind` is `missing-package`, `interface`, `setting` or `failed`."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Worker:
    """One job."""

    def __init__(self, job, out):
        self.job = job
        self.seed_prompt = job["seed_prompt"]
        self.train, self.validation = job["train"], job["validation"]
        self.seed = job["seed"]
        self.settings = job.get("settings", {})
        self.calls = job["budget"].get("calls")
        self.refused = None
        """The first refusal by the gateway: after it the library's scores cannot be trusted."""
        self._out, self._lock = out, threading.Lock()
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(max(1, job.get("concurrency", 8)))
        self._address = urlsplit(job["base_url"])

    def emit(self, event, **values):
        """Send one event."""
        line = json.dumps({"event": event, **values})
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()

    def package(self, name, distribution=None):
        """Import the package and say its version; `distribution` is its name on the index where that is another one."""
        distribution = distribution or name
        try:
            module = importlib.import_module(name)
            version = importlib.metadata.version(distribution)
        except ImportError as error:
            # Not PackageNotFoundError alone, which is one too: a dependency of the package may be what is missing.
            raise AdapterError("missing-package", str(error)) from None
        self.emit("started", package=distribution, version=version, python=sys.version.split()[0])
        return module

    def messages(self, row, prompt):
        """The messages of a row with a prompt in its place."""
        made = []
        for role, pieces in row["messages"]:
            content = prompt.join(pieces).strip()
            if content:
                made.append({"role": role, "content": content})
        return made

    def ask(self, role, messages):
        """A reply's text; `role` is `generator` or `optimizer`."""
        return self.replies(role, messages)[0]

    def replies(self, role, messages, n=1, **sampling):
        """The texts of `n` independent replies; `sampling` is the library's own, over which the job's parameters go."""
        body = {
            "model": self.job["models"][role],
            "messages": messages,
            **({"n": n} if n > 1 else {}),
            **sampling,
            **self.job.get("parameters", {}).get(role, {}),
        }
        choices = self._post(role, "/v1/chat/completions", body)["choices"]
        return [one["message"]["content"] or "" for one in choices]

    def score(self, row, output):
        """The score of an output by the row's target."""
        asked = {"id": row["id"], "text": output, "target": row["target"]}
        return self._post("generator", "/nullgrad/score", asked)["score"]

    def run(self, row, prompt):
        """(output, score) of a prompt on a row, scored by the row's target."""
        output = self.ask("generator", self.messages(row, prompt))
        return output, self.score(row, output)

    def run_all(self, rows, prompt):
        """`run` of several rows side by side, in their order."""
        return list(self._pool.map(lambda row: self.run(row, prompt), rows))

    def feedback(self, row, score):
        """What the optimizer is told of an output in words; "" where the arm tells it nothing.

        It rests on the label shown alone, by which the score was made, too.
        """
        if row["shown"] is None:
            return ""
        if score >= 1.0:
            return f"The answer is correct: {row['shown']}"
        partly = f" (score {score:.2f} of 1)" if score > 0.0 else ""
        return f"The answer is incorrect{partly}. The correct answer is: {row['shown']}"

    def _post(self, role, path, body):
        if self.job.get("probe"):
            # It would ask now: whatever there was to find out beforehand is found out, and nothing may be asked.
            self._out.flush()
            os._exit(0)
        payload = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + self.job["keys"][role]}
        fresh = getattr(self._local, "connection", None) is None
        if fresh:
            self._local.connection = self._connect()
        try:
            status, answer = self._exchange(path, payload, headers)
        except (http.client.HTTPException, OSError):
            self._local.connection.close()
            self._local.connection = None
            if fresh:
                raise
            # A connection that was kept open may have been closed meanwhile; a new one tells whether anybody is there.
            self._local.connection = self._connect()
            status, answer = self._exchange(path, payload, headers)
        if status == 200:
            return answer
        error = answer.get("error", {})
        refusal = CallRefused(status, error.get("code", ""), error.get("message", ""))
        self.refused = self.refused or refusal
        raise refusal

    def _exchange(self, path, payload, headers):
        connection = self._local.connection
        connection.request("POST", path, payload, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def _connect(self):
        return http.client.HTTPConnection(self._address.hostname, self._address.port, timeout=3600)


def main(optimize):
    """Read the job, run `optimize(worker) -> (prompt, score, counters)`, and report what came of it."""
    # A process of its own for what the library prints: its lines must not mix with the events.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_listener, daemon=True).start()
    worker = Worker(job, out)
    try:
        if job["protocol"] != PROTOCOL:
            raise AdapterError("failed", f"The job has protocol {job['protocol']}, the adapter {PROTOCOL}.")
        prompt, score, counters = optimize(worker)
        worker.emit("result", prompt=prompt, score=score, counters=counters)
        code = 0
    except AdapterError as error:
        worker.emit("error", kind=error.kind, type=type(error).__name__, message=str(error))
        code = 1
    except Exception as error:
        # Whatever the library raised: the refusal behind it says more.
        shown = worker.refused or error
        worker.emit(
            "error", kind="failed", type=type(error).__name__, message=f"{type(shown).__name__}: {shown}"
        )
        code = 1
    out.flush()
    # Threads of the library may still wait for replies that nobody needs.
    os._exit(code)


def _end_with_the_listener():
    while sys.stdin.read(65536):
        pass
    os._exit(1)
