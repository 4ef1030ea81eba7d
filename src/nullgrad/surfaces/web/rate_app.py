"""The pages of `nullgrad rate`: a prompt, or two, questions, a comment; nothing that tells which prompt it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from nullgrad.errors import UserError
from nullgrad.surfaces.web.guard import App
from nullgrad.surfaces.web.render import page
from nullgrad.surfaces.web.serve import imported
from nullgrad.surfaces.web.view_app import static_file


def rate_app(rating: Any) -> App:
    """The application over an open `nullgrad.api.Rating`.

    Raises:
        UserError: the extra `view` is not installed.
    """
    starlette = imported()
    html, route = starlette.responses.HTMLResponse, starlette.routing.Route
    session = rating.session

    def welcome(request: Any, error: str = "", status: int = 200) -> Any:
        done = {name: len(rating.done(name)) for name in rating.raters}
        text = page(
            "rate_welcome.html", raters=rating.raters, done=done, tasks=len(session.tasks), mode=session.mode,
            error=error, state=None,
        )  # fmt: skip
        return html(text, status)

    async def begin(request: Any) -> Any:
        form = await _form(request)
        try:
            name = rating.known(form.get("rater", ""))
        except UserError as error:
            return welcome(request, str(error), 400)
        return starlette.responses.RedirectResponse(f"/rater/{quote(name, safe='')}", 303)

    def show(request: Any) -> Any:
        try:
            name = rating.known(request.path_params["name"])
        except UserError as error:
            return welcome(request, str(error), 400)
        again = request.query_params.get("task", "")
        task = int(again) if again.isdigit() and int(again) < len(session.tasks) else rating.next(name)
        if task is None:
            last = session.order(name)[-1]
            text = page(
                "rate_done.html",
                rater=name,
                tasks=len(session.tasks),
                last=last,
                path=str(rating.path),
                state=None,
            )
            return html(text)
        return html(_task(rating, name, task, rating.answers(name, task), ""))

    async def rate(request: Any) -> Any:
        form = await _form(request)
        try:
            name = rating.known(request.path_params["name"])
        except UserError as error:
            return welcome(request, str(error), 400)
        given = form.get("task", "")
        if not given.isdigit() or int(given) >= len(session.tasks):
            return welcome(request, "There is no such task.", 400)
        task = int(given)
        answers = {question: form.get(question, "") for question, *_ in rating.questions}
        try:
            rating.rate(name, task, answers, form.get("comment", "").strip(), _seconds(form.get("began", "")))
        except UserError as error:
            return html(_task(rating, name, task, answers, str(error), form.get("comment", "")), 400)
        return starlette.responses.RedirectResponse(f"/rater/{quote(name, safe='')}", 303)

    missing = page("rate_missing.html", state=None)
    return starlette.applications.Starlette(
        routes=[
            route("/", welcome),
            route("/begin", begin, methods=["POST"]),
            route("/rater/{name}", show),
            route("/rater/{name}", rate, methods=["POST"]),
            route("/static/{name}", static_file),
        ],
        exception_handlers={404: lambda request, error: html(missing, 404)},
    )


def _task(
    rating: Any, name: str, task: int, answers: Mapping[str, str], error: str, comment: str | None = None
) -> str:
    done = rating.done(name)
    before = rating.before(name, task)
    if comment is None:
        comment = done[task].comment if task in done else ""
    return page(
        "rate_task.html", rater=name, task=task, texts=rating.shown(name, task), examples=rating.examples(task),
        questions=rating.questions, mode=rating.session.mode, answers=answers, comment=comment, error=error,
        number=len(done) + (task not in done), tasks=len(rating.session.tasks), began=f"{time.time():.3f}",
        before=before if before in done else None, again=task in done, state=None,
    )  # fmt: skip


async def _form(request: Any) -> dict[str, str]:
    """Fields of a form; of one given twice the last."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        return {}
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=50))


def _seconds(began: str) -> float:
    try:
        value = time.time() - float(began)
    except ValueError:
        return 0.0
    return value if 0 <= value < 86_400 else 0.0
