"""Small worlds with known right answers, shared by the tests of this folder."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.models.live import LiveCounts
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.artefacts import Artefact
from endcap.recommend.availability import Availability
from endcap.recommend.filters.columns import Columns
from endcap.recommend.filters.spot import NOWHERE, Spot
from endcap.recommend.recipe import Recipe
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, Slate
from endcap.recommend.slates.rules import Rules
from endcap.recommend.state import History
from endcap.recommend.training import fit
from endcap.schema.tables import ITEMS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY_US = 86_400_000_000


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class MemoryState:
    """The world in a dictionary: what a test says, and nothing else."""

    def __init__(self, catalogue: pa.Table | None = None, now: datetime = NOW) -> None:
        self.version = 0
        self.now = now
        self.events: dict[str, list[tuple[str, str, int, float]]] = {}
        self.shelf = Availability(catalogue)
        self.columns = Columns(catalogue)
        self.live: LiveCounts | None = None
        self.exposure: dict[str, int] = {}
        self.accounts: dict[str, Spot] = {}
        self.newest = ITEMS.empty_table()
        self.shown = (
            {}
            if catalogue is None
            else {i: {"title": f"The {i}"} for i in catalogue["item_id"].to_pylist()}
        )

    def add(self, actor: str, item_id: str, kind: str = "purchase", days_ago: float = 1.0) -> None:
        self.version += 1
        when = micros(self.now) - int(days_ago * DAY_US)
        self.events.setdefault(actor, []).append((item_id, kind, when, float("nan")))

    def history(self, actor: str) -> History:
        return History.of(self.events.get(actor, []))

    def shown_to(self, actor: str, since: int = 0) -> dict[str, int]:
        return self.history(actor).unclicked(since)

    def whereabouts(self, actor: str) -> Spot:
        return self.accounts.get(actor, NOWHERE)

    def available_rows(self, words: Vocabulary, now: int) -> np.ndarray:
        return self.shelf.rows(words, now)

    def on_shelf(self, item_ids: Sequence[str], now: int) -> Sequence[str]:
        return self.shelf.among(item_ids, now)

    def newcomers(self, words: Vocabulary) -> pa.Table:
        return self.newest

    def available_ids(self, now: int) -> Sequence[str]:
        return self.shelf.ids(now)

    def facts(self, item_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        return {i: self.shown[i] for i in item_ids if i in self.shown}


def catalogue_of(item_ids: Sequence[str], **columns: Any) -> pa.Table:
    return pa.table({"item_id": list(item_ids), **columns})


def checkerboard(users: int = 29, items: int = 13, hold: int = 2) -> Dataset:
    """Even users take even items, odd users odd ones; user u has not met item ``hold * u``."""
    pairs = [
        (f"u{u:02}", f"i{i:02}")
        for u in range(users)
        for i in range(items)
        if (u - i) % 2 == 0 and i != (hold * u + u % 2) % items
    ]
    return Dataset.of(
        [u for u, _ in pairs],
        [i for _, i in pairs],
        times=[micros(NOW) - DAY_US * (len(pairs) - n) for n in range(len(pairs))],
    )


def recipe(**weights: float) -> Recipe:
    """A recipe of the shipped models, quick to fit on a checkerboard."""
    personal = weights or {"ease": 0.7, "item-knn": 0.3}
    after = [
        {"name": "trending", "evidence": "none", "weights": {"trending": 1.0}},
        {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}},
    ]
    return Recipe.parse(
        {
            "name": "test",
            "models": {
                "ease": {"plugin": "ease", "settings": {"l2": 1.0}},
                "item-knn": {"plugin": "item-knn"},
                "ials": {"plugin": "ials", "settings": {"factors": 8, "epochs": 4}},
                "trending": {"plugin": "trending"},
                "popular": {"plugin": "popular"},
            },
            "placements": {
                "home": {
                    "levels": [
                        {"name": "personal", "weights": personal},
                        {"name": "session", "evidence": "session", "weights": {"item-knn": 1.0}},
                        *after,
                    ]
                },
                "similar": {
                    "hide": {"kinds": []},
                    "levels": [
                        {"name": "session", "evidence": "context", "weights": {"item-knn": 1.0}},
                        *after,
                    ],
                },
            },
        }
    )


def artefact(data: Dataset | None = None, made_by: Recipe | None = None, id: str = "a") -> Artefact:
    chosen = made_by or recipe()
    return Artefact.of(chosen, fit(data or checkerboard(), chosen).models, id=id)


def ruled(model: Any, state: MemoryState, rules: dict[str, Any], **request: Any) -> Slate:
    """Ask for ann's home page, of 4 items unless `request` says otherwise, under `rules`."""
    plain = Recommender(model)
    home = plain.placements["home"].model_copy(update={"rules": Rules.parse(rules)})
    asked = Request(**{"user_id": "ann", "k": 4, **request})
    return plain.placed({"home": home}).recommend([asked], state)[0]
