"""``endcap serve``: the HTTP API and the console."""

import ipaddress
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from endcap.schema.errors import ConfigError
from endcap.schema.settings import load_settings
from endcap.serve import threads
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server, address, listen_shared
from endcap.serve.http.workers import Workers
from endcap.serve.keys import KeyRing
from endcap.serve.logs import configure_logs
from endcap.serve.retraining.beside import WorkerBeside

app = typer.Typer(add_completion=False)

TRY = """\
Endcap is at {url}   (console: {url}/ · document: {url}/openapi.json · Ctrl-C stops)

  curl '{url}/v1/recommendations?user_id=12347&k=5'
  curl -H 'content-type: application/json' {url}/v1/events \\
       -d '{{"kind": "view", "visitor_id": "me", "item_id": "22423"}}'
"""
OPEN = """\
Warning: there are no keys yet, so every program on this machine can read and write everything.
Make one with: endcap keys create
"""


@app.command()
def serve(  # noqa: PLR0917 - one for each option
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.")] = None,
    with_worker: Annotated[
        bool | None, typer.Option("--with-worker", help="Train again when it is due, beside it.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Serve the HTTP API and the console.

    The address goes to stdout. SIGTERM stops gracefully: what is acknowledged is kept.

    Examples:

      endcap serve

      endcap serve --folder shop --port 9000

      endcap serve --workers 4 --with-worker
    """
    flags = {
        "store.folder": folder,
        "serve.host": host,
        "serve.port": port,
        "serve.workers": workers,
        "serve.with_worker": with_worker,
    }
    settings, _ = load_settings(file, flags=flags)
    configure_logs(as_json=not sys.stderr.isatty())
    keyless = not KeyRing(settings.store.folder).all()
    if keyless and not _is_loopback(settings.serve.host):
        raise ConfigError(
            f"{settings.serve.host} can be reached from other machines, and there are no keys.",
            hint=f"Make one: endcap keys create --folder {settings.store.folder}",
        )
    told = settings.serve
    with ExitStack() as stack:
        sockets = listen_shared(told.host, told.port, told.workers)
        for bound in sockets:
            stack.enter_context(bound)
        server: Workers | Server
        if told.workers > 1:
            server = Workers(settings)
        else:
            threads.one_for_each_request()
            server = Server(create_app(settings), drain_seconds=told.drain_seconds)
            server.on_started = threads.keep_what_is_loaded
        if told.with_worker:
            stack.enter_context(WorkerBeside(settings, file))
        _say(address(sockets[0]), keyless=keyless)
        code = server.run(sockets)
    if server.interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(code or 0)


def _say(url: str, *, keyless: bool) -> None:
    if keyless:
        typer.echo(OPEN, err=True)
    typer.echo(url)
    if sys.stderr.isatty():
        typer.echo(TRY.format(url=url), err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
