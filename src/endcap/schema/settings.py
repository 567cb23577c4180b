"""One `endcap.toml` into frozen, strict settings.

Precedence: default < file < ``ENDCAP_…`` environment < flag. Units stand in the names.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pydantic

from endcap.schema.errors import ConfigError, DataError
from endcap.schema.strict import Strict

ENV_PREFIX: Final = "ENDCAP_"
FILE_NAME: Final = "endcap.toml"


class StoreSettings(Strict):
    """Where events, catalogue and models live."""

    folder: Path = Path("endcap-data")
    """Everything of the embedded default lives in this folder."""
    url: str = ""
    """A store by URL (``postgresql://…``); empty is SQLite in `folder`."""
    queue_events: int = pydantic.Field(default=50_000, ge=1)
    """Events that may wait for their commit before writers are told to come back."""


class EventSettings(Strict):
    """What is taken in."""

    kinds: dict[str, float] = pydantic.Field(default_factory=dict)
    """Weights that differ from the built-in ones, and kinds of your own."""
    future_hours: float = pydantic.Field(default=24.0, gt=0)
    """An event further in the future than this goes to quarantine."""
    browser_age_days: float = pydantic.Field(default=30.0, gt=0)
    """A live event older than this goes to quarantine; imports take any age."""
    columns: dict[str, str] = pydantic.Field(default_factory=dict)
    """What columns of your own files mean, for imports: their name -> ours (``when = "time"``)."""


class PrepareSettings(Strict):
    """How events become a data set: what is removed, and what the rest weighs."""

    half_life_days: float = pydantic.Field(default=60.0, gt=0)
    """An interaction counts half after this time."""
    target: str = ""
    """The kind of event that training is to foresee (``purchase``); empty is every kind."""
    session_gap_minutes: float = pydantic.Field(default=30.0, gt=0)
    """A shopper who is silent for longer starts a new session."""
    user_core: int = pydantic.Field(default=1, ge=1)
    """Users with fewer different items are left out, until all that stay have as many."""
    item_core: int = pydantic.Field(default=1, ge=1)
    """Items with fewer different users are left out, until all that stay have as many."""
    earliest_year: int = pydantic.Field(default=1990, ge=1970, le=9999)
    """An older time is a broken clock: 1970 and 1980 are where clocks start without a battery."""
    future_hours: float = pydantic.Field(default=24.0, gt=0)
    """An event this far after its own receipt, or after now, is a broken clock."""
    keep_free: bool = False
    """Whether a purchase at price 0 counts; else it is a gift or a correction of the books."""
    ignore_items: tuple[str, ...] = (
        "POST", "DOT", "M", "D", "B", "S", "C", "C2", "C3", "PADS", "BANK CHARGES", "AMAZONFEE",
        "AMAZON FEE", "CRUK", "CRUK COMMISSION", "ADJUST", "ADJUST BAD DEBT", "ADJUSTMENT",
        "POSTAGE", "DOTCOM POSTAGE", "SHIPPING", "DELIVERY", "CARRIAGE", "NEXT DAY CARRIAGE",
        "PACKING CHARGE", "MANUAL", "DISCOUNT", "COUPON", "SAMPLES", "GIFT WRAP", "SURCHARGE",
        "FEE", "TAX",
    )  # fmt: skip
    """Lines of the books that are no products, in any case. An id that the catalogue holds is a
    product all the same; without a catalogue, codes of one or two signs are taken for products."""
    ignore_actors: tuple[str, ...] = (
        "null", "none", "undefined", "nan", "anonymous", "guest", "unknown", "[object object]",
    )  # fmt: skip
    """Ids that stand for nobody, in any case: together they would make one giant shopper."""
    drop_bots: bool = True
    """Whether what machines did is left out (what they buy stays: who pays is a customer)."""
    bot_spread: float = pydantic.Field(default=6.0, gt=0)
    """A bot's busiest hour lies this many robust deviations above the median shopper's, in logs."""
    bot_events_per_hour: int = pydantic.Field(default=600, ge=2)
    """Nobody with a quieter busiest hour is a bot by its rate."""
    bot_items_per_hour: int = pydantic.Field(default=300, ge=2)
    """… or by the number of different items in an hour."""
    bot_intervals: int = pydantic.Field(default=100, ge=2)
    """So many pauses within sessions are needed before their regularity tells."""
    bot_regularity: float = pydantic.Field(default=0.25, ge=0)
    """A bot's pauses vary less than this (interquartile range over median); people's above 1."""
    bulk_spread: float = pydantic.Field(default=3.5, gt=0)
    """A bulk buyer's median units a line lie this many robust deviations above the median, in logs.
    Bulk buyers are counted in the report and stay."""
    bulk_units: int = pydantic.Field(default=12, ge=2)
    """Nobody with fewer units a line buys in bulk."""
    claimed_weight: float = pydantic.Field(default=0.3, ge=0, le=1)
    """What a purchase or rating counts that came under a public key, for a browser says what it
    likes; 0 leaves it out. Whoever claims it sees it counted whole."""
    threads: int = pydantic.Field(default=0, ge=0)
    """Threads of the columnar engine; 0 takes all."""
    memory_mb: int = pydantic.Field(default=4096, ge=128)
    """Beyond this the columnar engine spills to disk."""


class ServeSettings(Strict):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = pydantic.Field(default=8787, ge=0, le=65535)
    workers: int = pydantic.Field(default=1, ge=1, le=256)
    """Processes that share the port; as many as there are cores to use."""
    max_body_bytes: int = pydantic.Field(default=1 << 20, ge=1024)
    timeout_ms: int = pydantic.Field(default=200, ge=1)
    """A slate that takes longer is answered from the catalogue; a request may say otherwise."""
    waiting_slates: int = pydantic.Field(default=64, ge=1)
    """Slates under way in a worker; whoever asks for one more is told to come back."""
    drain_seconds: float = pydantic.Field(default=10.0, gt=0)
    replay_days: float = pydantic.Field(default=7.0, ge=0)
    """For how long slates can be made again, bit for bit (``endcap replay``); 0 keeps none."""
    access_log: bool = False
    """Whether each request has a log line: method, route, status and duration."""
    with_worker: bool = False
    """Whether ``endcap serve`` runs ``endcap worker`` beside it."""
    origins: tuple[str, ...] = ()
    """Web pages that may call it from a browser (``https://shop.example``), exactly so written."""


class LiveSettings(Strict):
    """The live state of replicas that serve one shop."""

    url: str = ""
    """Where replicas tell each other (``redis://…``); empty is one process alone."""
    prefix: str = "endcap"
    """Before all keys, so that two shops can share one Redis."""
    timeout_ms: int = pydantic.Field(default=250, ge=1)
    """Nobody waits longer for an answer; then replicas read histories from the store instead."""
    keep_events: int = pydantic.Field(default=300_000, ge=0)
    """How many events of shoppers a process keeps in memory, some 80 MB; it reads what it needs."""


class LimitSettings(Strict):
    """How many requests a minute; 0 is any number. Without keys nothing is limited."""

    public_per_minute: int = pydantic.Field(default=0, ge=0)
    """Under one public key, all browsers that use it together."""
    secret_per_minute: int = pydantic.Field(default=0, ge=0)
    """Under one secret key."""
    actor_per_minute: int = pydantic.Field(default=240, ge=0)
    """Events and slates of one shopper under public keys."""


class TelemetrySettings(Strict):
    """OpenTelemetry traces of requests; off while `endpoint` is empty."""

    endpoint: str = ""
    """A receiver of OTLP over HTTP, such as ``http://localhost:4318``."""
    sample: float = pydantic.Field(default=0.01, ge=0, le=1)
    """Share of the requests that are traced; whoever sends ``traceparent`` decides by himself."""
    service: str = "endcap"
    """The name of the service in the traces."""


class WorkerSettings(Strict):
    """When ``endcap worker`` trains again, and with what. A share of 0 never makes it due."""

    every_hours: float = pydantic.Field(default=24.0, ge=0)
    """Train when what serves is so old and anything is new; 0: not by time."""
    new_events_share: float = pydantic.Field(default=0.2, ge=0)
    """… when new events are this share of what it learnt from."""
    unknown_items_share: float = pydantic.Field(default=0.2, ge=0, le=1)
    """… when this share of the new events is about items that it does not know."""
    fallback_share: float = pydantic.Field(default=0.5, ge=0, le=1)
    """… when this share of the shoppers who did something since got a fallback."""
    popularity_shift: float = pydantic.Field(default=0.35, ge=0, le=1)
    """… when so much of what is taken has moved to other items, chance set aside."""
    drift_events: int = pydantic.Field(default=500, ge=1)
    """Fewer new events say nothing: only time makes it due then."""
    least_hours: float = pydantic.Field(default=1.0, ge=0)
    """Whatever drifts, not sooner than so long after the last training."""
    look_seconds: float = pydantic.Field(default=60.0, gt=0)
    """How often to look."""
    retry_minutes: float = pydantic.Field(default=5.0, gt=0)
    """Wait after a failure; twice as long after each further one, a day at most."""
    budget_seconds: float = pydantic.Field(default=120.0, gt=0)
    """As ``endcap train --budget``."""
    recipe: str = ""
    """As ``endcap train --recipe``; empty lets it choose."""
    keep_seen: bool = False
    """As ``endcap train --keep-seen``."""
    nice: int = pydantic.Field(default=15, ge=0, le=19)
    """The priority of training, 19 the lowest: requests go first."""
    threads: int = pydantic.Field(default=1, ge=1)
    """Threads that training takes."""
    metrics_port: int = pydantic.Field(default=0, ge=0, le=65535)
    """Serve /metrics here; 0: not at all."""
    metrics_host: str = "127.0.0.1"
    """… and on this address; ``"0.0.0.0"`` lets other machines read it."""


class Settings(Strict):
    """All settings."""

    store: StoreSettings = StoreSettings()
    events: EventSettings = EventSettings()
    prepare: PrepareSettings = PrepareSettings()
    serve: ServeSettings = ServeSettings()
    live: LiveSettings = LiveSettings()
    limits: LimitSettings = LimitSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    worker: WorkerSettings = WorkerSettings()


def load_settings(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Read the settings and where each value that is no default came from.

    Parameters
    ----------
    path
        The file; None reads ``endcap.toml`` of the working folder where there is one.
    environ
        ``ENDCAP_SERVE__PORT=9000`` sets ``serve.port``.
    flags
        Dotted keys and values from the command line; None values are left out.

    Returns
    -------
    settings, origins
        `origins` maps dotted keys to ``"endcap.toml"``, ``"ENDCAP_SERVE__PORT"`` or ``"flag"``.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, value, origin in (*_file(path), *_environment(environ), *_flags(flags or {})):
        _put(values, key, value)
        origins[".".join(key)] = origin
    return Settings.parse(values, where=", ".join(dict.fromkeys(origins.values()))), origins


Entry = tuple[tuple[str, ...], Any, str]


def _file(path: Path | None) -> list[Entry]:
    source = path or Path(FILE_NAME)
    if path is None and not source.exists():
        return []
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{source} does not exist.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{source} is no TOML: {error}.") from error
    return [((*key,), value, str(source)) for key, value in _leaves(content)]


def _leaves(
    tree: Mapping[str, Any], above: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    out: list[tuple[tuple[str, ...], Any]] = []
    for name, value in tree.items():
        if isinstance(value, dict) and len(above) < 1:
            out += _leaves(value, (*above, name))
        else:
            out.append(((*above, name), value))
    return out


def _environment(environ: Mapping[str, str]) -> list[Entry]:
    return [
        (tuple(name.removeprefix(ENV_PREFIX).lower().split("__")), _listed(value), name)
        for name, value in environ.items()
        if name.startswith(ENV_PREFIX) and "__" in name
    ]


def _listed(value: str) -> Any:
    """Return what a list in JSON holds, else the text itself: lists have no plain text form."""
    if not value.startswith("["):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _flags(flags: Mapping[str, Any]) -> list[Entry]:
    return [(tuple(k.split(".")), v, "flag") for k, v in flags.items() if v is not None]


def _put(tree: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        tree = tree.setdefault(part, {})
    tree[key[-1]] = value
