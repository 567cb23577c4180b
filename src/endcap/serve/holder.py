"""The recommender in use, replaced as a whole by another artefact or another placement."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from endcap.recommend.artefacts import current
from endcap.recommend.placing import Places
from endcap.recommend.recipe import Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate
from endcap.recommend.state import State
from endcap.schema.errors import EndcapError

RETRY_SECONDS: Final = 3.0
"""A parcel that came damaged is not fetched again at once."""
log = structlog.get_logger(__name__)


class RecommenderHolder:
    """Holds one recommender; a reader takes the reference once and keeps to it.

    Parameters
    ----------
    folder
        The store's folder, in which ``models/current`` points to the artefact in use.
    places
        What was edited of the placements.
    try_out
        Has a fresh recommender answer at every place, before it takes over.
    on_swap
        Called after another artefact has taken over.
    share
        Brings the folder and those of other machines together, before each look; given what tells
        whether to stop half-way.
    every_seconds
        How often to look whether ``current`` has changed.
    """

    def __init__(
        self,
        folder: Path,
        places: Places,
        *,
        try_out: Callable[[Recommender], object],
        on_swap: Callable[[], object],
        share: Callable[[Callable[[], bool]], object] = lambda ended: None,
        every_seconds: float = 1.0,
    ) -> None:
        self._folder = folder
        self._places = places
        self._edited: dict[str, Placement] = {}
        self._try_out = try_out
        self._on_swap = on_swap
        self._loading = threading.Lock()
        self._placing = threading.Lock()
        self._share = share
        self._trouble = ""
        self._every = every_seconds
        self._end = threading.Event()
        self._seen = current(folder)
        self._current = Recommender.load(folder)
        self._places.changed()
        self._look_at_places()
        self._thread = threading.Thread(target=self._watch, name="artefacts", daemon=True)
        self._thread.start()

    @property
    def current(self) -> Recommender:
        """The recommender; what was edited on this machine before this is asked is in it."""
        with self._placing:  # for a microsecond, unless something did change
            if self._places.changed():
                self._look_at_places()
            return self._current

    @property
    def at_hand(self) -> Recommender | None:
        """As `current`; None where that would have to wait, or read what was edited."""
        if not self._placing.acquire(blocking=False):
            return None
        try:
            return None if self._places.stale() else self._current
        finally:
            self._placing.release()

    def recommend(self, requests: Sequence[Request], state: State) -> list[Slate]:
        """Answer with what is current now; see `Recommender.recommend`."""
        return self.current.recommend(requests, state)

    def _look_at_places(self) -> None:
        """Let the placements do what they were edited to; where nobody can say, as before."""
        try:
            edited = self._places.edited()
        except EndcapError as error:
            log.error("placements cannot be read", error=str(error))
            return
        if edited != self._edited:
            self._edited = edited
            self._current = self._current.placed(edited)

    def reload(self) -> bool:
        """Load what is current now, if it changed; return whether it did."""
        with self._loading:
            return self._load()

    def nudge(self) -> None:
        """Load what is current now, unless somebody is loading; then what is missed is seen later.

        For whoever hears of another artefact while they hold what a slate needs: to wait for a
        loader that tries one out would be for ever.
        """
        if self._loading.acquire(blocking=False):
            try:
                self._load()
            finally:
                self._loading.release()

    def _load(self) -> bool:
        named = current(self._folder)
        if named == self._seen:
            return False
        fresh = Recommender.load(self._folder)
        self._try_out(fresh.placed(self._edited))
        with self._placing:
            self._seen, self._current = named, fresh.placed(self._edited)
        self._on_swap()
        log.info("artefact in use", artefact=fresh.artefact, trouble=fresh.trouble)
        return True

    def age_seconds(self, now: datetime) -> float:
        """Return how old the artefact in use is; NaN without one."""
        artefact = self.current.artefact
        if not artefact:
            return float("nan")
        try:
            made = (self._folder / "models" / artefact).stat().st_mtime
        except OSError:
            return float("nan")
        return (now - datetime.fromtimestamp(made, UTC)).total_seconds()

    @property
    def unshared(self) -> str:
        """Why what serves on other machines does not serve here; empty when it does."""
        return self._trouble

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()

    def _share_now(self) -> None:
        try:
            self._share(self._end.is_set)
            self._trouble = ""
        except EndcapError as error:
            if error.message != self._trouble:
                log.error("artefacts are not shared", error=str(error))
            self._trouble = error.message
            self._end.wait(RETRY_SECONDS)

    def _watch(self) -> None:
        while not self._end.wait(self._every):
            try:
                self._share_now()
                with self._placing:  # another machine may have edited them
                    self._look_at_places()
                self.reload()
            except (EndcapError, OSError) as error:  # what serves goes on; look again later
                log.error("artefacts cannot be looked at", error=str(error))
