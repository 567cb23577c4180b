"""``endcap publish``: what was shown and what came of it, to a message broker."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from endcap.cli.metrics import LOOPBACK, serve_metrics
from endcap.cli.stream_ import until_stopped
from endcap.events.opening import open_store
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs
from endcap.serve.streams.publishing import OUTCOMES, Publisher, place_of
from endcap.serve.streams.sinks import open_sink

app = typer.Typer(add_completion=False)


@app.command()
def publish(  # noqa: PLR0917 - one for each option
    url: Annotated[str, typer.Argument(help="nats://, redis://, amqp:// or kafka://host:port")],
    stream: Annotated[str, typer.Option(help="Redis stream, queue or topic.")] = "endcap",
    subject: Annotated[str, typer.Option(help="JetStream subject.")] = "endcap",
    kinds: Annotated[str, typer.Option(help="Kinds of event, with commas between.")] = ",".join(
        OUTCOMES
    ),
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the first event of the log.")
    ] = False,
    metrics_port: Annotated[int, typer.Option(help="Serve /metrics here; 0: not at all.")] = 0,
    metrics_host: Annotated[str, typer.Option(help="… and on this address.")] = LOOPBACK,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Publish impressions and outcomes as they are stored, until stopped.

    Each event is published at least once, in the order of storing; where it got to is kept in the
    folder. It runs beside the servers and costs them nothing.

    Examples:

      endcap publish redis://localhost:6379/0 --stream shown

      endcap publish nats://localhost:4222 --subject shown --kinds impression,click,purchase
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    configure_logs(as_json=not sys.stderr.isatty())
    sink = open_sink(url, stream=stream, subject=subject)
    place = place_of(settings.store.folder, url, stream, subject)
    store = open_store(settings.store)
    try:
        wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
        publisher = Publisher(store, sink, place, wanted, from_start=from_start)
        serve_metrics(publisher.registry, metrics_port, metrics_host)
        asyncio.run(until_stopped(publisher))
        typer.echo(f"{publisher.published:,} events published")
    finally:
        store.close()
