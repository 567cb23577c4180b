"""What is counted, in a registry of its own so that two servers in one process do not mix."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from endcap.events.store import Receipt

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set where several workers count together, each into files of its own in this folder."""
OUTCOMES: Final = ("received", "stored", "duplicate", "rejected", "quarantined")
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """All metrics of a server.

    Names carry the prefix ``endcap_``, base units and bounded labels. The five event counters
    keep the sum law ``received = stored + duplicate + rejected + quarantined`` at every moment
    at which no request is being answered.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "endcap_http_request_duration_seconds",
            "Time to answer a request.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=registry,
        )
        self.events = {
            name: Counter(f"endcap_events_{name}", f"Events {name}.", registry=registry)
            for name in OUTCOMES
        }
        self.queue = Gauge(
            "endcap_ingest_queue_depth",
            "Events waiting for their commit.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.commit = Histogram(
            "endcap_commit_duration_seconds",
            "Time from handing events to the store until they are durable.",
            buckets=SECONDS,
            registry=registry,
        )
        self.served = Counter(
            "endcap_served", "Slates served, by the level that answered.", ("source",),
            registry=registry,
        )  # fmt: skip
        self.fallback = Counter(
            "endcap_fallback", "Slates below what was asked for.", ("reason",), registry=registry
        )
        self.model_age = Gauge(
            "endcap_model_age_seconds", "Age of the artefact in use; NaN without one.",
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self._count_troubles()
        self.bus_up = Gauge(
            "endcap_live_bus_up",
            "Whether what others store is followed as they tell it (1), or the bus is away (0).",
            registry=registry,
            multiprocess_mode="livemin",
        )

    def _count_troubles(self) -> None:
        def counter(name: str, what: str) -> Counter:
            return Counter(f"endcap_{name}", what, registry=self.registry)

        lost = "because their queue was full or the store failed."
        self.impressions_dropped = counter("impressions_dropped", f"Impressions not logged {lost}")
        self.slates_dropped = counter("slates_dropped", f"Slates not kept for replay {lost}")
        self.posts_refused = counter(
            "posts_refused",
            "Posts of events that were not read, because others waited too long already.",
        )
        self.slates_refused = counter(
            "slates_refused", "Slates refused because as many were under way as may be."
        )
        self.slates_late = counter(
            "slates_late", "Slates that the catalogue answered, for their deadline had come."
        )
        self.artefact_swaps = counter(
            "artefact_swaps", "Artefacts taken up in the place of another."
        )

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus, those of all workers together."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def count(self, receipt: Receipt) -> None:
        """Add one receipt to the five event counters."""
        for name in OUTCOMES:
            if rows := getattr(receipt, name):
                self.events[name].inc(rows)

    @contextmanager
    def waiting(self, events: int) -> Iterator[None]:
        """Count `events` as waiting for their commit."""
        self.queue.inc(events)
        try:
            yield
        finally:
            self.queue.dec(events)
