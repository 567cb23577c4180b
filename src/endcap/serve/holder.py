"""The recommender in use, replaced as a whole when another artefact becomes current."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from endcap.recommend.artefacts import current
from endcap.recommend.recommender import Recommender
from endcap.schema.errors import EndcapError

log = structlog.get_logger(__name__)


class RecommenderHolder:
    """Holds one recommender; a reader takes the reference once and keeps to it.

    Parameters
    ----------
    folder
        The store's folder, in which ``models/current`` points to the artefact in use.
    try_out
        Has a fresh recommender answer once, before it takes over.
    on_swap
        Called after another artefact has taken over.
    every_seconds
        How often to look whether ``current`` has changed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        try_out: Callable[[Recommender], object],
        on_swap: Callable[[], object],
        every_seconds: float = 1.0,
    ) -> None:
        self._folder = folder
        self._try_out = try_out
        self._on_swap = on_swap
        self._loading = threading.Lock()
        self._every = every_seconds
        self._end = threading.Event()
        self._seen = current(folder)
        self.current = Recommender.load(folder)
        self._thread = threading.Thread(target=self._watch, name="artefacts", daemon=True)
        self._thread.start()

    def reload(self) -> bool:
        """Load what is current now, if it changed; return whether it did."""
        with self._loading:
            named = current(self._folder)
            if named == self._seen:
                return False
            fresh = Recommender.load(self._folder)
            self._try_out(fresh)
            self._seen, self.current = named, fresh
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

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._every):
            try:
                self.reload()
            except (EndcapError, OSError) as error:  # what serves goes on; look again later
                log.error("artefacts cannot be looked at", error=str(error))
