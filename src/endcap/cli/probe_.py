"""``endcap probe``: how soon what is written to a server shows."""

import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from rich.console import Console
from rich.table import Table

from endcap.client import Client
from endcap.client.answers import Refused
from endcap.client.probing import Effect, Probe
from endcap.schema.errors import ConfigError
from endcap.schema.spans import seconds

app = typer.Typer(add_completion=False)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEANING = {
    "new-item": "an item is posted -> a stranger who looks at what it is like gets it",
    "self": "a visitor dismisses an item -> it is gone for them",
    "others": "three look at A and B -> B rises beside A",
    "withdrawn-item": "an item is deleted -> nobody gets it",
}


@app.command()
def probe(  # noqa: PLR0917 - one for each option
    url: Annotated[str, typer.Argument(help="Address of a server.")] = "http://127.0.0.1:8787",
    key: Annotated[str | None, typer.Option(envvar="ENDCAP_KEY", help="A secret key.")] = None,
    pair: Annotated[
        str, typer.Option(help="Two items A,B to measure what others see with; counted as views.")
    ] = "",
    like: Annotated[str | None, typer.Option(help="The item that the new one resembles.")] = None,
    every: Annotated[str, typer.Option(help="Go on, once in 30s, 5m…")] = "",
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

      endcap probe --pair 22423,22424
    """
    both = [item for item in pair.split(",") if item]
    if len(both) not in {0, 2}:
        raise ConfigError(f"--pair {pair!r} names {len(both)} items, not 2.", hint="--pair A,B")
    told = Probe(
        lambda: Client(url, key=key, attempts=1),
        pair=(both[0], both[1]) if both else None,
        like=like,
        timeout_s=seconds(timeout),
    )
    pause = seconds(every) if every else 0.0
    meter = Meter()
    if metrics_port:
        start_http_server(metrics_port, registry=meter.registry)
    while True:
        began = time.monotonic()
        missed = _once(told, meter, as_json=as_json, go_on=bool(pause))
        if not pause:
            raise typer.Exit(int(missed))
        time.sleep(max(0.0, pause - (time.monotonic() - began)))


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


def _once(told: Probe, meter: Meter, *, as_json: bool, go_on: bool) -> bool:
    """Probe, show and count; return whether anything did not show."""
    try:
        effects = told.run()
    except Refused as error:
        meter.up.set(0)
        if not go_on:
            raise
        Console(stderr=True).print(f"{error}", markup=False)
        return True
    meter.note(effects)
    if as_json:
        for effect in effects:
            found = None if effect.seconds is None else round(effect.seconds, 4)
            typer.echo(json.dumps({"what": effect.what, "seconds": found}))
    else:
        _show(effects)
    return any(effect.seconds is None for effect in effects)


def _show(effects: Sequence[Effect]) -> None:
    table = Table("", "ms", "answers", "from what to what")
    for effect in effects:
        took = "not seen" if effect.seconds is None else f"{effect.seconds * 1e3:.0f}"
        table.add_row(effect.what, took, str(effect.answers), MEANING[effect.what])
    Console().print(table)
