"""``endcap stream``: events from a message broker."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from prometheus_client import start_http_server

from endcap.schema.errors import PluginError
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs
from endcap.serve.streams.worker import Source, StreamWorker
from endcap.serve.telling import open_telling

app = typer.Typer(add_completion=False)


@app.command()
def stream(  # noqa: PLR0917 - one for each option
    url: Annotated[str, typer.Argument(help="nats://host:4222")],
    name: Annotated[str, typer.Option("--stream", help="Name of the stream.")] = "events",
    subject: Annotated[str, typer.Option(help="The subject within the stream.")] = "events",
    group: Annotated[str, typer.Option(help="Workers of one group share the messages.")] = "endcap",
    metrics_port: Annotated[int, typer.Option(help="Serve /metrics here; 0: not at all.")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Take events from NATS JetStream until stopped.

    Each message is one event as POST /v1/events takes it. It is acknowledged once it is on disk.

    Examples:

      endcap stream nats://localhost:4222 --stream shop --subject events
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    configure_logs(as_json=not sys.stderr.isatty())
    source = _source(url, stream=name, subject=subject, group=group)
    store = open_telling(settings)
    try:
        worker = StreamWorker(store, source, settings.events, name=f"stream {name}")
        if metrics_port:
            start_http_server(metrics_port, "127.0.0.1", worker.registry)
        asyncio.run(_until_stopped(worker))
        total = worker.total
        typer.echo(
            f"{total.received:,} messages: {total.stored:,} stored, {total.duplicate:,} known, "
            f"{total.quarantined + total.rejected:,} refused"
        )
    finally:
        store.close()


def _source(url: str, **options: Any) -> Source:
    try:
        from endcap.serve.streams.brokers import open_source
    except ImportError as error:
        raise PluginError(
            f"No broker can be reached: {error}.", hint="pip install 'endcap[stream]'"
        ) from error
    return open_source(url, **options)


async def _until_stopped(worker: StreamWorker) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    await worker.run(end)
