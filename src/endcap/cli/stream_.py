"""``endcap stream``: events from a message broker."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Protocol

import typer

from endcap.cli.metrics import LOOPBACK, serve_metrics
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs
from endcap.serve.streams.formats import FORMATS, reader
from endcap.serve.streams.opening import RETRY_SECONDS, open_source
from endcap.serve.streams.worker import MOST_TRIES, StreamWorker
from endcap.serve.telling import open_telling

app = typer.Typer(add_completion=False)


@app.command()
def stream(  # noqa: PLR0917 - one for each option
    url: Annotated[str, typer.Argument(help="nats://, redis://, amqp:// or kafka://host:port")],
    name: Annotated[str, typer.Option("--stream", help="Stream, queue or topic.")] = "events",
    subject: Annotated[str, typer.Option(help="The subject within a JetStream stream.")] = "events",
    group: Annotated[str, typer.Option(help="Workers of one group share the messages.")] = "endcap",
    form: Annotated[
        str, typer.Option("--format", help=f"How a message is written: {', '.join(FORMATS)}.")
    ] = "json",
    schema: Annotated[Path | None, typer.Option(help="The writers' Avro schema, .avsc.")] = None,
    retry_seconds: Annotated[
        float, typer.Option(help="A message nobody speaks for is handed out again after so long.")
    ] = RETRY_SECONDS,
    metrics_port: Annotated[int, typer.Option(help="Serve /metrics here; 0: not at all.")] = 0,
    metrics_host: Annotated[str, typer.Option(help="… and on this address.")] = LOOPBACK,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Take events from NATS JetStream, Redis Streams, RabbitMQ or Kafka until stopped.

    Each message is one event as POST /v1/events takes it. It is acknowledged once it is on disk.
    What is no event, and what failed five times, goes to the quarantine and to NAME.dead.

    Examples:

      endcap stream nats://localhost:4222 --stream shop --subject events

      endcap stream redis://localhost:6379/0 --stream shop

      endcap stream amqp://guest:guest@localhost/ --stream shop

      endcap stream redis://localhost --format avro --schema events.avsc
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    configure_logs(as_json=not sys.stderr.isatty())
    plain = reader(form, schema)
    source = open_source(
        url, stream=name, subject=subject, group=group, retry_seconds=retry_seconds
    )
    store = open_telling(settings)
    try:
        called = f"stream {name}"
        worker = StreamWorker(store, source, settings.events, name=called, plain=plain)
        serve_metrics(worker.registry, metrics_port, metrics_host)
        asyncio.run(until_stopped(worker))
        total = worker.total
        typer.echo(
            f"{total.received:,} messages: {total.stored:,} stored, {total.duplicate:,} known, "
            f"{total.quarantined + total.rejected:,} refused ({worker.dead:,} after "
            f"{MOST_TRIES} tries)"
        )
    finally:
        store.close()


class Runs(Protocol):
    """What goes on until it is told to end."""

    async def run(self, end: asyncio.Event) -> None:
        """Work until `end` is set."""


async def until_stopped(work: Runs) -> None:
    """Run `work` until Ctrl-C or SIGTERM."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    await work.run(end)
