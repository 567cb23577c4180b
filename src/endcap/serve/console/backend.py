"""What the console asks of the running shop: the seam between the pages and the server."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from endcap.events.store import Receipt, Store
from endcap.recommend.slate import Request, Slate
from endcap.recommend.state import State
from endcap.serve.collect import collect_one
from endcap.serve.runtime import Runtime

SOURCE: Final = "console"


class Backend(Protocol):
    """The running server, seen from its pages.

    Stability: implementer.
    """

    @property
    def store(self) -> Store:
        """Event log, catalogue and quarantine."""

    @property
    def state(self) -> State:
        """The world as it is now."""

    def recommend(self, request: Request) -> Slate:
        """Answer one request from the artefact that serves."""

    async def collect(self, event: Mapping[str, Any]) -> Receipt:
        """Take one event in as ``POST /v1/events`` does: durable, and live, when it returns."""


class RuntimeBackend:
    """The shop that a server's runtime holds."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def store(self) -> Store:
        """Event log, catalogue and quarantine."""
        return self._runtime.store

    @property
    def state(self) -> State:
        """The live state."""
        return self._runtime.live

    def recommend(self, request: Request) -> Slate:
        """Answer one request from the artefact that serves.

        What the console shows is a look behind the counter, so it is not logged as an impression.
        """
        return self._runtime.recommender.current.recommend([request], self._runtime.live)[0]

    async def collect(self, event: Mapping[str, Any]) -> Receipt:
        """Take one event in: durable, and live, when it returns."""
        return await collect_one(self._runtime, event, source=SOURCE)
