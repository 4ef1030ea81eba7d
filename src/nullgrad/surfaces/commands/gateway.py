"""`nullgrad gateway`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from nullgrad.surfaces.options import ENDPOINT, LEDGER, SPENDING, asked, roles, shared

if TYPE_CHECKING:
    from nullgrad.api import GatewayReport, GatewayServer, Serving

EXIT_BUDGET = 4
EXIT_INTERRUPTED = 130


@click.command(name="gateway", context_settings={"ignore_unknown_options": False})
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM ...]")
@shared(
    roles(
        "Answers the role generator: openai/NAME, local:NAME-or-FILE.gguf, litellm/…, script:FILE.",
        optimizer="Answers the role optimizer [default: the generator's model].",
        critic="Answers the role critic [default: no such role].",
        judge="Answers the role judge [default: no such role].",
    ),
    ENDPOINT,
)
@click.option(
    "--budget",
    help="What the program may ask for, replayed calls included: 2000calls, 500ktokens, 5usd, or several with commas.",
)
@shared(SPENDING)
@click.option("--arm", default="program", show_default=True, help="Name under which calls are recorded.")
@click.option("--trial", default=0, show_default=True, help="Trial number; another one means other draws.")
@click.option("--seed", default=0, show_default=True, help="Likewise, the study's seed.")
@click.option("--any-model", is_flag=True, help="Answer whatever model name a call asks for.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--expose", is_flag=True, help="Allow an address that other machines may reach.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="Keep base URL and keys there, for the next start too.",
)
@shared(LEDGER)
@click.option(
    "--json", "as_json", is_flag=True, help="Two lines of JSON: where it serves, and at the end the counts."
)
@click.option("--quiet", is_flag=True, help="No notices of retries and pauses.")
def command(**options: Any) -> int:
    """Serve OpenAI's chat completions on loopback; every call is metered, budgeted, recorded, and replayed after a
    crash.

    With a PROGRAM, run it with OPENAI_BASE_URL and OPENAI_API_KEY set, and end with it; else Ctrl-C ends it.

    \b
    Exit codes: 0 done (or the program's), 2 your mistake, 3 the endpoint's failure, 4 a budget reached.
    """
    from nullgrad.api import DEFAULT_LEDGER, GatewayServer

    server = GatewayServer(
        exposed=options["expose"],
        **asked(options, "arm", "trial", "seed", "budget", "any_model", "host", "port", "key_file"),
    )
    program, as_json = tuple(options["program"]), options["as_json"]
    ledger = options["ledger"] or DEFAULT_LEDGER
    # A program's own output stays what standard output holds.
    stream = sys.stderr if program else sys.stdout
    report = asyncio.run(_serve(server, program, as_json, options["quiet"], ledger, stream))
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        from nullgrad.surfaces.gateway_text import print_gateway

        print_gateway(report, stream)
    if report.stopped is not None:
        raise report.stopped
    if report.closed:
        return EXIT_BUDGET
    code = report.program or 0
    return code if code >= 0 else 128 - code


async def _serve(
    server: GatewayServer, program: tuple[str, ...], as_json: bool, quiet: bool, ledger: Path, stream: IO[str]
) -> GatewayReport:
    from nullgrad.surfaces.gateway_text import Notices, print_serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_at_once() -> None:
        # As a kill is: the ledger has whole commits only.
        click.echo("interrupted: every reply recorded so far is in the ledger.", err=True)
        os._exit(EXIT_INTERRUPTED)

    def stop_soon() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop_at_once)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_soon)

    def ready(serving: Serving) -> None:
        if as_json:
            click.echo(json.dumps(serving.to_dict()))
            sys.stdout.flush()
        else:
            print_serving(serving, stream, program=bool(program))

    return await server.serve(
        ready, stop, program=program, aside=as_json, ledger=ledger, observer=Notices(quiet=quiet)
    )
