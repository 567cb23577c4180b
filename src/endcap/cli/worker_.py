"""``endcap worker``: train again when it is due."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from prometheus_client import CollectorRegistry

from endcap.cli.metrics import serve_metrics
from endcap.events.opening import open_store
from endcap.schema.settings import Settings, load_settings
from endcap.serve.logs import configure_logs
from endcap.serve.retraining.child import command
from endcap.serve.retraining.loop import Retrainer
from endcap.serve.retraining.runs import Run, RunsCollector

app = typer.Typer(add_completion=False)


@app.command()
def worker(  # noqa: PLR0917 - one for each option
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Look once, train where it is due, end: for cron.")
    ] = False,
    every_hours: Annotated[
        float | None, typer.Option(help="Train when what serves is so old; 0: not by time.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve /metrics here; 0: not at all.")
    ] = None,
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Look after a shop: train it again after some hours, or when it has drifted.

    Training is `endcap train` in a process of its own, at low priority and on one thread; a server
    changes over by itself. After a failure it waits, twice as long each time. One worker looks
    after a folder; a second one stands by. SIGTERM ends it and a training under way.

    Examples:

      endcap worker

      endcap worker --every-hours 6 --metrics-port 9101

      endcap worker --once
    """
    flags = {
        "store.folder": folder,
        "worker.every_hours": every_hours,
        "worker.metrics_port": metrics_port,
    }
    settings, _ = load_settings(file, flags=flags)
    configure_logs(as_json=not sys.stderr.isatty())
    end = _until_told(tied=tied)
    store = open_store(settings.store)
    try:
        retrainer = Retrainer(settings, store, command(settings, file))
        if once:
            _say(retrainer.once(end))
        else:
            _serve_metrics(settings)
            retrainer.run(end)
    finally:
        store.close()


def _say(outcome: Run | str) -> None:
    if isinstance(outcome, str):
        typer.echo(json.dumps({"result": "idle", "why": outcome}))
        return
    typer.echo(msgspec.json.encode(outcome).decode())
    if outcome.result in {"failed", "nothing"}:
        raise typer.Exit(1)


def _serve_metrics(settings: Settings) -> None:
    registry = CollectorRegistry()
    registry.register(RunsCollector(settings.store.folder))
    serve_metrics(registry, settings.worker.metrics_port, settings.worker.metrics_host)


def _until_told(*, tied: bool) -> threading.Event:
    """Return what SIGTERM, Ctrl-C or, where tied to it, the end of the parent sets."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    if tied:
        threading.Thread(target=_follow_parent, args=(end,), daemon=True).start()
    return end


def _follow_parent(end: threading.Event) -> None:
    while os.read(0, 1):  # no lock of a buffer that an interpreter which ends would die of
        pass
    end.set()
