"""A shop in three lines: open a data folder, and ask."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.recommend.artefacts import current
from endcap.recommend.counterfactual import Counterfactual, counterfactuals
from endcap.recommend.placing import Places
from endcap.recommend.recommender import Recommender
from endcap.recommend.replaying.replay import Replayed, Replayer
from endcap.recommend.sentences import Language, sentence, what_if
from endcap.recommend.slate import Request, Slate, SlateItem
from endcap.recommend.state import History
from endcap.recommend.store_state import StoreState
from endcap.schema.actors import actor
from endcap.schema.kinds import IMPRESSION
from endcap.schema.settings import Settings, StoreSettings


class Did(NamedTuple):
    """One thing a shopper did."""

    time: datetime
    kind: str
    item_id: str
    title: str


class Shop:
    """A data folder's store and the artefact that serves, ready to answer.

    Answers follow the log at once, and artefact and placements as soon as they change.

    Parameters
    ----------
    store, folder
        Where events and catalogue are, and where the models are.
    clock
        The present moment, UTC.

    Examples
    --------
    >>> import endcap
    >>> shop = endcap.open("demo-data")  # doctest: +SKIP
    >>> shop.recommend(user_id="12347", k=5)  # doctest: +SKIP

    Stability: caller.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.folder = folder
        self.state = StoreState(store, clock=clock)
        self.places = Places(store.documents, folder)
        self._loaded = current(folder)
        self._edited = self.places.edited()
        self.recommender = Recommender.load(folder).placed(self._edited)

    @classmethod
    def open(cls, folder: str | Path | None = None, settings: Settings | None = None) -> Self:
        """Open a data folder.

        Parameters
        ----------
        folder
            Default: ``store.folder`` of the settings.
        settings
            Default: all defaults.
        """
        chosen = (settings or Settings()).store
        if folder is not None:
            chosen = StoreSettings(**{**chosen.model_dump(), "folder": Path(folder)})
        return cls(open_store(chosen), chosen.folder)

    def recommend(self, user_id: str | None = None, *, k: int = 10, **request: Any) -> Slate:
        """Return k items for a shopper; further keywords are those of `Request`."""
        asked = Request.parse({"user_id": user_id, "k": k, **request}, where="request")
        return self.answer([asked])[0]

    def similar(self, item_id: str, *, k: int = 10) -> Slate:
        """Return k items that go with one item."""
        return self._fresh().similar(item_id, k, self.state)

    def answer(self, requests: Sequence[Request]) -> list[Slate]:
        """Return one slate for each request."""
        return self._fresh().recommend(requests, self.state)

    def why(self, item: SlateItem, language: Language = "en") -> str:
        """Say in a sentence why an item was chosen."""
        about = [item_id for reason in item.reasons for item_id in reason.named]
        return sentence(item.reasons, self.state.facts(about), language)

    def counterfactuals(
        self, user_id: str | None = None, *, k: int = 10, **request: Any
    ) -> tuple[Slate, dict[str, Counterfactual]]:
        """Return a slate, and where its items would stand without what speaks for them most.

        See `recommend.counterfactual`; `recommend.sentences.what_if` puts it into words.
        """
        asked = Request.parse({"user_id": user_id, "k": k, **request}, where="request")
        recommender = self._fresh()
        slate = recommender.recommend([asked], self.state)[0]
        return slate, counterfactuals(recommender, asked, slate, self.state)

    def what_if(self, found: Counterfactual, language: Language = "en") -> str:
        """Say in a sentence where an item would stand without what speaks for it most."""
        return what_if(found, self.state.facts([found.without]), language)

    def replay(self, request_id: str) -> Replayed:
        """Make a slate that a server answered again: see `Replayer.replay`."""
        return Replayer(self.store, self.folder).replay(request_id)

    def lately(
        self, user_id: str | None = None, visitor_id: str | None = None, n: int = 10
    ) -> list[Did]:
        """Return the last n things a shopper did with items, newest first; empty if unknown."""
        who = actor(user_id, visitor_id)
        history = self.state.history(who) if who else History.of([])
        carried = [at for at, kind in enumerate(history.kinds) if kind != IMPRESSION]
        last = carried[: -n - 1 : -1]
        facts = self.state.facts([history.item_ids[at] for at in last])
        return [
            Did(
                datetime.fromtimestamp(int(history.times[at]) / 1e6, UTC),
                history.kinds[at],
                history.item_ids[at],
                str(facts.get(history.item_ids[at], {}).get("title", "")),
            )
            for at in last
        ]

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _fresh(self) -> Recommender:
        serving, edited = current(self.folder), self.places.edited()
        if serving != self._loaded:
            self.recommender, self._loaded = Recommender.load(self.folder), serving
            self._edited = {}
        if edited != self._edited:
            self.recommender, self._edited = self.recommender.placed(edited), edited
        return self.recommender


def open_shop(folder: str | Path | None = None, settings: Settings | None = None) -> Shop:
    """Open a data folder: see `Shop.open`."""
    return Shop.open(folder, settings)
