"""How long the stages of requests take, gathered a second at a time.

A histogram of Prometheus that several processes share takes ten microseconds for each value, and a
slate has half a dozen. Remembering one takes a tenth of a microsecond; a thread adds them up.
"""

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from endcap.schema.stages import STAGES, Stage, time_by

SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
EVERY_S: Final = 1.0


class ManyHistogram(Histogram):
    """A histogram that takes many values at once."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Take in values as `observe` would one after the other."""
        self._sum.inc(sum(values))
        for place, count in Counter(bisect_left(self._upper_bounds, v) for v in values).items():
            self._buckets[place].inc(count)


class StageTimes:
    """Feeds ``endcap_stage_duration_seconds`` with the stages of this process until it is closed.

    Parameters
    ----------
    registry
        Where the histogram is told.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        stages = ManyHistogram(
            "endcap_stage_duration_seconds",
            "Time in a stage of a request.",
            ("stage",),
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = {name: stages.labels(name) for name in STAGES}
        self._took: deque[tuple[Stage, float]] = deque()
        self._settling = threading.Lock()
        self._end = threading.Event()
        self._no_more = time_by(self._took.append)
        self._thread = threading.Thread(target=self._keep_settling, name="stages", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Have the histogram tell all that was until now."""
        with self._settling:
            found: dict[Stage, list[float]] = {}
            for _ in range(len(self._took)):
                name, seconds = self._took.popleft()
                found.setdefault(name, []).append(seconds)
            for name, values in found.items():
                self._stages[name].observe_many(values)

    def close(self) -> None:
        """Take in no more."""
        self._no_more()
        self._end.set()
        self._thread.join()
        self.settle()

    def _keep_settling(self) -> None:
        while not self._end.wait(EVERY_S):
            self.settle()
