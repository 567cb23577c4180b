"""What one server process holds: store, live state, recommender, impression writer, metrics."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, ParamSpec, Self, TypeVar

import structlog
from limits.storage import SlidingWindowCounterSupport

from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.recommend.distribution import share
from endcap.recommend.placing import Places
from endcap.recommend.recommender import Recommender
from endcap.recommend.replaying.replay import Replayer
from endcap.schema.errors import EndcapError
from endcap.schema.kinds import KINDS
from endcap.schema.settings import Settings
from endcap.schema.stages import traced
from endcap.schema.trust import CLAIMED
from endcap.serve import threads
from endcap.serve.answered import SlateWriter
from endcap.serve.crowd import Crowd
from endcap.serve.erasing import Eraser
from endcap.serve.holder import RecommenderHolder
from endcap.serve.impressions import ImpressionWriter
from endcap.serve.keys import KeyRing
from endcap.serve.metrics import Metrics
from endcap.serve.often import Misses
from endcap.serve.rates import open_rates
from endcap.serve.reading import Desk
from endcap.serve.rehearsal import rehearse
from endcap.serve.sharing import LiveBus, open_live_state
from endcap.serve.stage_times import StageTimes
from endcap.serve.state import utc_now
from endcap.serve.telling import open_ear
from endcap.serve.together import Together
from endcap.serve.tracing import open_telemetry
from endcap.serve.turns import Turns

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
FIRST_SECONDS: Final = 10.0
"""The first slate is awaited for so long before what happened lately is counted."""
GIVE_WAY_S: Final = 0.02
"""Between two portions of what is counted while slates are asked for."""
LATELY_S: Final = 0.1
THREADS: Final = 4
"""For reading and scoring, and as many for writing: a stuck disk must not hold up slates."""


class Runtime:
    """Everything a request can need; `app.state.runtime` of the ASGI app.

    Attributes
    ----------
    store
        The truth.
    live
        The state of the world in memory, ahead of no acknowledged event.
    recommender
        The holder; take ``recommender.current`` once for a request.
    places
        What the placements do, for whoever edits them.
    keys
        Who may talk to it.
    stage_times
        How long the stages of requests took.
    eraser
        Takes people out of everything.
    running
        Idempotency keys of the writes being worked on, with the hash of each request.
    crowd
        Those whose events are under way.
    together
        Takes single events, by whether they come from browsers.
    slates, asked_at
        How many are being made, and when the last was asked for (monotonic seconds).
    misses
        Told of each slate that is refused, or that the catalogue answers at its deadline.
    turns
        Where they are made.
    store_check
        The last question to the store whether it is well.
    draining
        Whether the server is about to stop, so that nobody should send it more work.

    Stability: caller.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        settings: Settings,
        store: Store,
        bus: LiveBus | None = None,
        counts: SlidingWindowCounterSupport | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.metrics = Metrics()
        self.telemetry = open_telemetry(settings.telemetry)
        self.stage_times = StageTimes(self.metrics.registry)
        self.draining = False
        self.store_check: asyncio.Future[Any] | None = None
        self.slates = 0
        self.asked_at = -LATELY_S
        self.misses = Misses(self.metrics)
        self.turns = Turns()
        self.keys = KeyRing(settings.store.folder)
        self.rates = open_rates(settings.limits, settings.live, counts)
        self.running: dict[str, str] = {}
        self.crowd = Crowd(on_refused=self.metrics.posts_refused.inc)
        self.together = {claims: Together(self, claims=claims) for claims in (False, True)}
        self.kinds = {name: kind.weight for name, kind in KINDS.items()} | settings.events.kinds
        claimed = settings.prepare.claimed_weight * self.kinds["purchase"]
        self._ear = open_ear(settings)
        self.live = open_live_state(settings.live, store, {**self.kinds, CLAIMED: claimed}, bus)
        if self._ear:
            self._ear.listen(self.live)
        self.places = Places(store.documents, settings.store.folder)
        self.recommender = RecommenderHolder(
            settings.store.folder,
            Places(store.documents, settings.store.folder),
            try_out=self._try_out,
            on_swap=self._swapped,
            share=partial(_share, settings, store),
        )
        self.live.on_promoted = self.recommender.nudge
        self._watch_bus()
        self.impressions = ImpressionWriter(
            store.log,
            clock=utc_now,
            on_dropped=self.metrics.impressions_dropped.inc,
            on_written=self.live.impressions_stored,
        )
        self.answered = SlateWriter(
            store,
            settings.serve.replay_days,
            clock=utc_now,
            on_dropped=self.metrics.slates_dropped.inc,
        )
        self.eraser = Eraser(store, self.live, self._ear)
        self.replayer = Replayer(store, settings.store.folder)
        self._end = threading.Event()
        self._answers = threading.Event()
        self._warming = threading.Thread(target=self._warm, name="warming", daemon=True)
        self._warming.start()
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
        self._desk, self._arrivals = (Desk(self._readers, THREADS) for _ in range(2))
        self._writers = ThreadPoolExecutor(THREADS, thread_name_prefix="write")

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        bus: LiveBus | None = None,
        counts: SlidingWindowCounterSupport | None = None,
    ) -> Self:
        """Open the store that the settings name and load what is current.

        Raises
        ------
        StoreError
            When the store cannot be opened.
        """
        return cls(settings, open_store(settings.store), bus, counts)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read or score in a thread, and wait for it without holding up other requests."""
        return await _within(self._readers, partial(work, *args, **kwargs))

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a short read in a thread, together with others that wait."""
        return await self._desk.read(_in_span(partial(work, *args, **kwargs)))

    async def arrive(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Validate or follow rows in a thread, together with others that wait.

        Threads side by side would only take the interpreter from each other and from the one that
        commits. Reads have threads of their own: none waits behind a thousand events.
        """
        return await self._arrivals.read(_in_span(partial(work, *args, **kwargs)))

    async def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what may wait for the disk in a thread of those kept for that."""
        return await _within(self._writers, partial(work, *args, **kwargs))

    async def warm_up(self) -> None:
        """Answer before anybody asks: what is compiled or read on first use is ready then."""
        self._loop = asyncio.get_running_loop()
        await self.run(self._try_out, self.recommender.current)
        self._answers.set()

    def _try_out(self, recommender: Recommender) -> None:
        """Have a recommender answer at every place."""
        rehearse(recommender, self.live)

    def _watch_bus(self) -> None:
        self.live.on_sharing = self.metrics.bus_up.set
        self.metrics.bus_up.set(self.live.sharing[0])

    def _swapped(self) -> None:
        self.metrics.artefact_swaps.inc()
        self.live.promoted()

    def warmed(self) -> None:
        """Wait until what happened lately has been counted, and slates under rules are quick."""
        self._answers.set()
        self._warming.join()

    def _warm(self) -> None:
        try:
            self.live.columns.settle()  # no request has to wait until it is made
            self._answers.wait(FIRST_SECONDS)  # counting would only hold up the start
            self.live.warm(self._end, turn=self._in_turn)
            threads.keep_what_came()
            if any(place.rules.reach for place in self.recommender.current.placements.values()):
                self.live.warm_exposure(self._end)
        except EndcapError as error:  # slates go on without
            log.error("what happened lately cannot be read", error=str(error))

    def _in_turn(self, work: Callable[[], None]) -> None:
        """Do short work on the event loop, between two requests, while any slates are asked for.

        In a thread beside them it would take the interpreter from a slate whenever a kernel lets it
        go, and hold it for longer than the slate takes.
        """
        loop = self._loop
        if loop is None or time.monotonic() - self.asked_at > LATELY_S:
            work()
            return
        done = threading.Event()

        def settle() -> None:
            try:
                work()
            finally:
                done.set()

        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop has ended
            return
        while not done.wait(GIVE_WAY_S) and not self._end.is_set():
            continue
        self._end.wait(GIVE_WAY_S)

    def close(self) -> None:
        """Write what is queued and let go of everything; in the order of dependence."""
        self.draining = True
        self._end.set()
        self._answers.set()
        self._warming.join()
        self.misses.close()
        self._readers.shutdown()
        self._writers.shutdown()
        self.recommender.close()
        self.impressions.close()
        self.answered.close()
        self.eraser.close()
        if self._ear:
            self._ear.close()
        self.live.close()
        self.rates.close()
        self.store.close()
        self.stage_times.close()
        if self.telemetry:
            self.telemetry.close()


def _share(settings: Settings, store: Store, ended: Callable[[], bool]) -> None:
    """Share artefacts with other machines; an SQLite store is shared together with its folder."""
    if settings.store.url:
        share(store, settings.store.folder, ended=ended)


async def _within(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, _in_span(work))


def _in_span(work: Callable[[], T]) -> Callable[[], T]:
    """Return the work within the span of this request: a thread knows of none by itself."""
    return partial(copy_context().run, work) if traced() else work
