"""From the event log to a broker: what was shown and what came of it, for whoever listens."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import pyarrow as pa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from endcap.events.store import Store
from endcap.schema.errors import DataError

LOOK_SECONDS: Final = 0.2
AWAY_SECONDS: Final = 2.0
OUTCOMES: Final = ("impression", "click", "cart", "purchase", "refund", "dismiss")
"""What is published unless other kinds are named: what was shown, and what came of it."""
log = structlog.get_logger(__name__)
Message = tuple[str, bytes]
"""An event's id, and the event as JSON."""


class Sink(Protocol):
    """A place on a broker where events are published.

    Stability: implementer.
    """

    async def open(self) -> None:
        """Connect; raises `ConfigError` where the broker is not there."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Publish, in order; returns once the broker has confirmed all of them."""

    async def close(self) -> None:
        """Let go."""


class Publisher:
    """Follows the event log and publishes each event at least once, in the order of storing.

    Where it got to is kept in a file; after a crash the last batch may come again, under the same
    event ids.

    Parameters
    ----------
    store
        Whose log is followed; read alone.
    place
        The file; see `place_of`.
    kinds
        Of events to publish.
    from_start
        Whether a first run begins with the first event; else with the next.

    Attributes
    ----------
    published
        How many events went out.
    registry
        Metrics: how many went out, how much of the log is still to come.

    Stability: caller.
    """

    def __init__(
        self,
        store: Store,
        sink: Sink,
        place: Path,
        kinds: Sequence[str] = OUTCOMES,
        *,
        from_start: bool = False,
    ) -> None:
        self._log = store.log
        self._sink = sink
        self._place = place
        self._kinds = list(kinds)
        self._at = self._begin(from_start=from_start)
        self.published = 0
        self.registry = CollectorRegistry()
        self._count = Counter("endcap_published", "Events published.", registry=self.registry)
        self._lag = Gauge(
            "endcap_publish_lag",
            "Positions of the event log that nobody has looked at yet.",
            registry=self.registry,
        )
        self._up = Gauge(
            "endcap_publish_up", "Whether store and broker answer.", registry=self.registry
        )

    async def run(self, end: asyncio.Event) -> None:
        """Publish until `end` is set."""
        await self._sink.open()
        try:
            while not end.is_set():
                try:
                    await self._catch_up(end)
                    self._up.set(1)
                    wait = LOOK_SECONDS
                except Exception as error:  # of any driver, or the store: both come back
                    log.warning("publishing waits", reason=str(error) or type(error).__name__)
                    self._up.set(0)
                    wait = AWAY_SECONDS
                with suppress(TimeoutError):
                    await asyncio.wait_for(end.wait(), wait)
        finally:
            await self._sink.close()

    async def _catch_up(self, end: asyncio.Event) -> None:
        newest = await asyncio.to_thread(self._log.newest)
        self._lag.set(newest - self._at)
        for at, batch in self._log.tail(self._at, newest, self._kinds):
            await self._sink.send(messages(batch))
            self.published += batch.num_rows
            self._count.inc(batch.num_rows)
            self._keep(at)
            self._lag.set(newest - at)
            if end.is_set():
                return
        if newest > self._at:
            self._keep(newest)
        self._lag.set(newest - self._at)

    def _begin(self, *, from_start: bool) -> int:
        try:
            return int(self._place.read_text(encoding="ascii"))
        except FileNotFoundError:
            at = 0 if from_start else self._log.newest()
            self._keep(at)
            return at
        except ValueError as error:
            hint = "Delete it to begin anew."
            raise DataError(f"{self._place} holds no position.", hint=hint) from error

    def _keep(self, at: int) -> None:
        self._at = at
        handle, draft = tempfile.mkstemp(prefix=f".{self._place.name}-", dir=self._place.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(str(at))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(self._place)


def place_of(folder: Path, url: str, stream: str, subject: str) -> Path:
    """Return where the position of one destination is kept; the URL's password is not in it."""
    where = url.rpartition("@")[2]
    digest = blake2b(f"{where}|{stream}|{subject}".encode(), digest_size=6).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"published-{digest}"


def messages(batch: pa.RecordBatch) -> list[Message]:
    """Return events as ``POST /v1/events`` takes them, without what is null.

    When we received them is ours alone: whoever takes them in says when that was.
    """
    found = []
    for row in batch.drop_columns(["received"]).to_pylist():
        told: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
        if "properties" in told:
            told["properties"] = msgspec.Raw(told["properties"].encode())
        found.append((row["event_id"], msgspec.json.encode(told)))
    return found
