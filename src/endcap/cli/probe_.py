"""``endcap probe``: how soon what is written to a server shows."""

import json
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from rich.console import Console
from rich.table import Table

from endcap.client import Client
from endcap.client.answers import Refused
from endcap.client.probing import Effect, Probe, Stopped, summary
from endcap.schema.spans import seconds

app = typer.Typer(add_completion=False)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ENDED = 128 + signal.SIGTERM
MEANING = {
    "new-item": "an item is posted -> a stranger who looks at what it is like gets it",
    "self": "a visitor dismisses an item -> it is gone for them",
    "others": "three look at A and B -> B goes with A for a fourth",
    "withdrawn-item": "an item is deleted -> nobody gets it",
}


@app.command()
def probe(  # noqa: PLR0917 - one for each option
    url: Annotated[str, typer.Argument(help="Address of a server.")] = "http://127.0.0.1:8787",
    key: Annotated[str | None, typer.Option(envvar="ENDCAP_KEY", help="A secret key.")] = None,
    others: Annotated[
        bool, typer.Option("--others", help="What others see, too: six views of two items count.")
    ] = False,
    like: Annotated[str | None, typer.Option(help="The item that the new one resembles.")] = None,
    every: Annotated[str, typer.Option(help="Go on, once in 30s, 5m…")] = "",
    count: Annotated[int, typer.Option(min=1, help="How often; then how long it took.")] = 1,
    metrics_port: Annotated[int, typer.Option(help="Serve /metrics here; 0: not at all.")] = 0,
    timeout: Annotated[str, typer.Option(help="When to give up waiting.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Measure how soon what is written to a server shows in its slates, from outside.

    A probe writes items and visitors of its own (endcap-probe-…), which training leaves out, and
    deletes its items when it is done. Exit code 1: something did not show in time.

    Examples:

      endcap probe

      endcap probe https://shop.example --every 30s --metrics-port 9102

      endcap probe --others --count 100
    """
    told = Probe(
        lambda: Client(url, key=key, attempts=1),
        others=others,
        like=like,
        timeout_s=seconds(timeout),
    )
    pause = seconds(every) if every else 0.0
    meter = Meter()
    if metrics_port:
        start_http_server(metrics_port, registry=meter.registry)
    signal.signal(signal.SIGTERM, lambda *_: told.end.set())
    try:
        if not pause:
            told.sweep()
            raise typer.Exit(int(_times(told, count, meter, as_json=as_json)))
        _go_on(told, pause, meter, as_json=as_json)
    except Stopped:
        raise typer.Exit(0 if pause else ENDED) from None


def _go_on(told: Probe, pause: float, meter: "Meter", *, as_json: bool) -> None:
    """Probe until SIGTERM; a server that is away for a while is waited for."""
    swept = False
    while not told.end.is_set():
        began = time.monotonic()
        try:
            if not swept:
                told.sweep()
                swept = True
            _show(_once(told, meter), as_json=as_json)
        except Refused as error:
            meter.up.set(0)
            Console(stderr=True).print(f"{error}", markup=False)
        told.end.wait(max(0.0, pause - (time.monotonic() - began)))


class Meter:
    """What a probe found, for Prometheus."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.effect = Histogram(
            "endcap_probe_effect_seconds",
            "Time from writing something to the first answer that shows it.",
            ("what",), buckets=BUCKETS, registry=registry,
        )  # fmt: skip
        self.missed = Counter(
            "endcap_probe_missed", "What did not show in time.", ("what",), registry=registry
        )
        self.up = Gauge("endcap_probe_up", "Whether the server took the probe.", registry=registry)

    def note(self, effects: Sequence[Effect]) -> None:
        """Count one run."""
        self.up.set(1)
        for effect in effects:
            if effect.seconds is None:
                self.missed.labels(effect.what).inc()
            else:
                self.effect.labels(effect.what).observe(effect.seconds)


def _once(told: Probe, meter: Meter) -> list[Effect]:
    effects = told.run()
    meter.note(effects)
    return effects


def _times(told: Probe, count: int, meter: Meter, *, as_json: bool) -> bool:
    """Probe so often and show what came of it; return whether anything did not show in time."""
    runs = [_once(told, meter) for _ in range(count)]
    if count == 1:
        _show(runs[0], as_json=as_json)
    else:
        _sum_up(summary(runs), as_json=as_json)
    return any(effect.seconds is None for effects in runs for effect in effects)


def _show(effects: Sequence[Effect], *, as_json: bool) -> None:
    if as_json:
        for effect in effects:
            found = None if effect.seconds is None else round(effect.seconds, 4)
            typer.echo(json.dumps({"what": effect.what, "seconds": found}))
        return
    table = Table("", "ms", "answers", "from what to what")
    for effect in effects:
        took = "not seen" if effect.seconds is None else f"{effect.seconds * 1e3:.0f}"
        table.add_row(effect.what, took, str(effect.answers), MEANING[effect.what])
    Console().print(table)


def _sum_up(found: Mapping[str, Mapping[str, float]], *, as_json: bool) -> None:
    if as_json:
        for what, figures in found.items():
            typer.echo(json.dumps({"what": what, **figures}))
        return
    table = Table("", "probes", "not seen", "p50 ms", "p99 ms", "from what to what")
    for what, one in found.items():
        names = ("probes", "missed", "p50_ms", "p99_ms")
        table.add_row(
            what, *(f"{one[name]:g}" if name in one else "" for name in names), MEANING[what]
        )
    Console().print(table)
