"""The pages of `nullgrad view`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from nullgrad.errors import UserError
from nullgrad.surfaces.charts.course import course_charts
from nullgrad.surfaces.charts.themes import CONFIG, THEMES
from nullgrad.surfaces.html.diff import word_diff
from nullgrad.surfaces.html.page import json_in_html
from nullgrad.surfaces.web.guard import App
from nullgrad.surfaces.web.render import environment, file, page
from nullgrad.surfaces.web.serve import imported

NUMBERS = ("trial", "step", "variant")
WORDS = ("run", "cell", "arm", "role", "stage", "split", "example", "prompt")


def view_app(view: Any) -> App:
    """The application over an open `nullgrad.api.LedgerView`.

    Raises:
        UserError: the extra `view` is not installed.
    """
    starlette = imported()
    environment()
    html, route = starlette.responses.HTMLResponse, starlette.routing.Route

    def shows(make: Callable[[Any], str]) -> Callable[[Any], Any]:
        def endpoint(request: Any) -> Any:
            try:
                return html(make(request))
            except UserError as error:
                return html(page("message.html", title="Not found", text=str(error), state=view.state), 404)

        return endpoint

    def runs(request: Any) -> str:
        before = _number(request.query_params.get("before"))
        rows = view.runs(before)
        return page("runs.html", rows=rows, state=view.state, ledger=str(view.ledger))

    def run(request: Any) -> str:
        name = request.path_params["run"]
        return page(
            "run.html", run=view.run(name), now=view.overview(name), spec=view.spec(name), state=view.state
        )

    def progress(request: Any) -> str:
        name = request.path_params["run"]
        return page("progress.html", run=view.run(name), now=view.overview(name), state=view.state)

    def course(request: Any) -> str:
        return _course(view, request.path_params["run"])

    def prompts(request: Any) -> str:
        name, given = request.path_params["run"], request.query_params
        text, arm = given.get("q", ""), given.get("arm", "")
        chosen = given.get("chosen", "") == "1"
        rows, place = view.prompts(name, text, arm=arm, chosen=chosen, before=_number(given.get("before")))
        return page(
            "prompts.html", run=view.run(name), rows=rows, next=place, text=text, arm=arm, chosen=chosen,
            facets=view.facets(name), state=view.state, given={"q": text, "arm": arm, "chosen": "1" if chosen else ""},
        )  # fmt: skip

    def prompt(request: Any) -> str:
        name = request.path_params["run"]
        found = view.prompt(name, request.path_params["key"])
        parent = next((one for one in found["arose"] if one["parent"]), None)
        diff = word_diff(parent["parent_body"], found["text"]) if parent else None
        return page(
            "prompt.html",
            run=view.run(name),
            prompt=found,
            parent=parent,
            diff=diff,
            ends=view.ends(name),
            state=view.state,
        )

    def compare(request: Any) -> str:
        return _compare(view, request.path_params["run"], request.query_params)

    def replies(request: Any) -> str:
        return _replies(view, request.query_params)

    def reply(request: Any) -> str:
        found = view.transcript(request.path_params["id"])
        failed = not hasattr(found.answer, "text")
        run = view.run(found.run) if found.run else None
        return page("reply.html", one=found, failed=failed, run=run, state=view.state)

    def examples(request: Any) -> str:
        name, given = request.path_params["run"], request.query_params
        split, prefix = given.get("split", ""), given.get("q", "")
        after = (
            (given["after_split"], given["after"]) if "after" in given and "after_split" in given else None
        )
        rows = view.examples(name, split, prefix, after)
        return page(
            "examples.html", run=view.run(name), rows=rows, split=split, prefix=prefix, state=view.state,
            given={"split": split, "q": prefix},
        )  # fmt: skip

    def text(request: Any) -> Any:
        found = view.transcript(request.path_params["id"])
        part = request.path_params["part"]
        if part == "reply":
            body = str(getattr(found.answer, "text", "") or getattr(found.answer, "message", ""))
        else:
            messages = found.request.messages
            body = messages[int(part)].content if part.isdigit() and int(part) < len(messages) else ""
        return starlette.responses.PlainTextResponse(body.encode("utf-8", "replace"))

    def data(request: Any) -> Any:
        name = request.path_params["run"]
        own = view.run(name)
        return starlette.responses.JSONResponse({"facts": own["facts"], "reported": own["reported"]})

    return starlette.applications.Starlette(
        routes=[
            route("/", shows(runs)),
            route("/run/{run}", shows(run)),
            route("/run/{run}/progress", shows(progress)),
            route("/run/{run}/course", shows(course)),
            route("/run/{run}/state", data),
            route("/run/{run}/prompts", shows(prompts)),
            route("/run/{run}/prompt/{key}", shows(prompt)),
            route("/run/{run}/compare", shows(compare)),
            route("/run/{run}/examples", shows(examples)),
            route("/replies", shows(replies)),
            route("/reply/{id:int}", shows(reply)),
            route("/reply/{id:int}/text/{part}", text),
            route("/static/{name}", static_file),
        ],
        exception_handlers={
            404: lambda request, error: html(page("message.html", title="Not found", text="There is no such page.", state=None), 404)
        },
    )  # fmt: skip


def static_file(request: Any) -> Any:
    """A script or a style sheet."""
    starlette = imported()
    try:
        found = file(request.path_params["name"])
    except UserError as error:
        return starlette.responses.PlainTextResponse(str(error), 404)
    if found is None:
        return starlette.responses.PlainTextResponse("There is no such file.", 404)
    return starlette.responses.Response(
        found[0], media_type=found[1], headers={"cache-control": "private, max-age=600"}
    )


def _course(view: Any, name: str) -> str:
    rows = view.trajectory(name)
    charts = []
    for place, cell in enumerate(dict.fromkeys(row["cell"] for row in rows)):
        own = [row for row in rows if row["cell"] == cell]
        arms = list(dict.fromkeys(row["arm"] for row in own if row["arm"] != "seed"))
        charts += course_charts(
            f"c{place}", cell or "this run", [row for row in own if row["arm"] != "seed"], arms
        )
    value = {
        "run": name,
        "tables": {
            chart.name: {
                "title": chart.title,
                "columns": [
                    {
                        "name": one.name,
                        "title": one.title,
                        "kind": one.kind,
                        "shown": getattr(one, "shown", True),
                    }
                    for one in chart.table.columns
                ],
                "rows": chart.table.values(),
            }
            for chart in charts
        },
        "specs": {chart.name: chart.spec for chart in charts},
        "config": CONFIG,
        "themes": THEMES,
    }
    return page(
        "course.html",
        run=view.run(name),
        charts=charts,
        data=json_in_html(json.loads(json.dumps(value))),
        state=view.state,
    )


def _compare(view: Any, name: str, given: Mapping[str, str]) -> str:
    first, second = given.get("first", ""), given.get("second", "")
    ends = view.ends(name)
    if not first or not second:
        return page(
            "compare.html",
            run=view.run(name),
            ends=ends,
            value=None,
            first=first,
            second=second,
            state=view.state,
        )
    reading = given.get("reading", "").partition("-")
    chosen = (int(reading[0]), int(reading[2])) if reading[0].isdigit() and reading[2].isdigit() else None
    value = view.compare(name, first, second, chosen)
    split = value["pair"][0]["split"] if value["pair"] else "validation"
    said, after = ([], "") if value["examples"] else view.said(first, second, split, given.get("after", ""))
    return page(
        "compare.html", run=view.run(name), ends=ends, value=value, first=first, second=second, said=said, after=after,
        diff=word_diff(value["first"]["text"], value["second"]["text"]), state=view.state, split=split,
        given={"first": first, "second": second, "reading": given.get("reading", "")},
    )  # fmt: skip


def _replies(view: Any, given: Mapping[str, str]) -> str:
    filters: dict[str, Any] = {name: given.get(name, "") for name in (*WORDS, "failed")}
    for name in NUMBERS:
        filters[name] = number if (number := _number(given.get(name), least=-1)) is not None else ""
    filters["failed"] = {"0": False, "1": True}.get(given.get("failed", ""), "")
    text, where = given.get("q", "").strip(), "messages" if given.get("where") == "messages" else "reply"
    found = view.search(filters, text, where, _number(given.get("before")))
    return page(
        "replies.html", found=found, filters=filters, text=text, where=where, facets=view.facets(filters["run"]),
        state=view.state, run=view.run(filters["run"]) if filters["run"] else None,
        given={**{name: value for name, value in filters.items() if name != "failed"}, "failed": given.get("failed", ""),
               "q": text, "where": where if where != "reply" else ""},
    )  # fmt: skip


def _number(text: str | None, least: int = 0) -> int | None:
    """A number of a query, None where it is none; larger ones than SQLite's are none."""
    if text is None or not text.lstrip("-").isdigit() or len(text) > 18:
        return None
    value = int(text)
    return value if value >= least else None
