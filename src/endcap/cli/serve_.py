"""``endcap serve``: the HTTP API and the console."""

import ipaddress
import sys
from pathlib import Path
from typing import Annotated

import typer

from endcap.schema.errors import ConfigError
from endcap.schema.settings import load_settings
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server, address, listen
from endcap.serve.keys import KeyRing
from endcap.serve.logs import configure_logs

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
def serve(
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Serve the HTTP API and the console.

    The address goes to stdout. SIGTERM stops gracefully: what is acknowledged is kept.

    Examples:

      endcap serve

      endcap serve --folder shop --port 9000
    """
    flags = {"store.folder": folder, "serve.host": host, "serve.port": port}
    settings, _ = load_settings(file, flags=flags)
    configure_logs(as_json=not sys.stderr.isatty())
    keyless = not KeyRing(settings.store.folder).all()
    if keyless and not _is_loopback(settings.serve.host):
        raise ConfigError(
            f"{settings.serve.host} can be reached from other machines, and there are no keys.",
            hint=f"Make one: endcap keys create --folder {settings.store.folder}",
        )
    with listen(settings.serve.host, settings.serve.port) as bound:
        server = Server(create_app(settings), drain_seconds=settings.serve.drain_seconds)
        if keyless:
            typer.echo(OPEN, err=True)
        typer.echo(address(bound))
        if sys.stderr.isatty():
            typer.echo(TRY.format(url=address(bound)), err=True)
        server.run(sockets=[bound])
    if server.interrupted:
        raise KeyboardInterrupt


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
