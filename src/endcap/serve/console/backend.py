"""What the console asks of the running shop: the seam between the pages and the server."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from endcap.events.store import Receipt, Store, Written
from endcap.recommend.placing import Place, check_conditions, parse
from endcap.recommend.recipe import Recipe, check_placements
from endcap.recommend.slate import Request, Slate
from endcap.recommend.slates.preview import Before, preview_place
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

    def places(self) -> Mapping[str, Place]:
        """Return what the places of the shop do."""

    def history(self, name: str) -> list[Written]:
        """Return the versions of a place, newest first."""

    def try_place(
        self, name: str, values: Mapping[str, Any], users: Sequence[str], k: int
    ) -> list[Before]:
        """Return slates as a place answers now and as it would; nothing is changed."""

    def write_place(self, name: str, values: Mapping[str, Any], expected: int) -> Written:
        """Let a place do something else from the next request on."""

    def undo_place(self, name: str) -> Written:
        """Write the version before the last one once more."""


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

    def places(self) -> Mapping[str, Place]:
        """Return what the places of the shop do."""
        return self._runtime.places.all(self._recipe)

    def history(self, name: str) -> list[Written]:
        """Return the versions of a place, newest first."""
        return self._runtime.places.history(name)

    def try_place(
        self, name: str, values: Mapping[str, Any], users: Sequence[str], k: int
    ) -> list[Before]:
        """Return slates as a place answers now and as it would; nothing is changed."""
        then, recommender = parse(name, values), self._runtime.recommender.current
        check_placements(name, {**recommender.placements, name: then}, recommender.recipe.models)
        check_conditions(then, self._runtime.live.columns)
        now = recommender.placements.get(name)
        return preview_place(recommender, self._runtime.live, name, now, then, users, k=k)

    def write_place(self, name: str, values: Mapping[str, Any], expected: int) -> Written:
        """Let a place do something else from the next request on."""
        columns = self._runtime.live.columns
        return self._runtime.places.write(name, values, self._recipe, columns, expected)

    def undo_place(self, name: str) -> Written:
        """Write the version before the last one once more."""
        return self._runtime.places.undo(name, self._recipe, self._runtime.live.columns)

    @property
    def _recipe(self) -> Recipe:
        return self._runtime.recommender.current.recipe
