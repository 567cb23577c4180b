"""Promise 27: what must not be shown is not shown, at any worker, by any level of the chain."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from http_shop import ENDCAP, ShopProcess

from endcap.events.opening import open_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings, StoreSettings
from rounds import sized

pytestmark = [pytest.mark.slow, pytest.mark.torture]
ITEMS = 60
SHOPPERS = 40
ANSWERS = sized(2_000, 100_000)
FAR = "2020-01-01T00:00:00Z"
FORBID: list[dict[str, Any]] = [
    {"availability": "out_of_stock"},
    {"stock": 0},
    {"expires": FAR},
    {},  # deleted
]
"""Ways in which an item leaves the shelf."""


def fields(number: int) -> dict[str, Any]:
    shelf = {"item_id": f"i{number}", "title": f"Thing {number}", "price": 1.0 + number}
    return shelf | {"availability": "in_stock", "stock": 9, "categories": [f"c{number % 4}"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopProcess]:
    """A trained shop with two workers."""
    folder = tmp_path_factory.mktemp("forbidden") / "shop"
    rng = np.random.default_rng(3)
    with ShopProcess(folder) as first, first.client() as client:
        answer = client.put("/v1/items", json={"items": [fields(n) for n in range(ITEMS)]})
        assert answer.status_code == 200
        events = [
            {"event_id": f"e{n}", "kind": "purchase", "user_id": f"u{n % SHOPPERS}"}
            | {"item_id": f"i{int(rng.integers(ITEMS // 4)) * 4 + n % 4}"}
            for n in range(900)
        ]
        for start in range(0, len(events), 100):
            batch = {"events": events[start : start + 100]}
            assert client.post("/v1/events/batch", json=batch).status_code == 202
    settings = Settings(store=StoreSettings(folder=folder))
    store = open_store(settings.store)
    train_store(store, load_recipe("shop"), settings)
    store.close()
    with ShopProcess(folder, [*ENDCAP, "--workers", "2"]) as running:
        yield running


class Keeper:
    """Takes items off the shelf and puts them back; knows from when on an item is forbidden."""

    def __init__(self, url: str, *, honest: bool = True) -> None:
        self._url, self._honest = url, honest
        self._lock = threading.Lock()
        self._off: dict[str, float] = {}
        self.turns = 0

    def forbidden(self) -> dict[str, float]:
        """Return what is off the shelf, and since when that is acknowledged."""
        with self._lock:
            return dict(self._off)

    def run(self, ended: threading.Event) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            for number, way in zip(itertools.cycle(range(0, ITEMS, 3)), itertools.cycle(FORBID)):
                if ended.is_set():
                    return
                self._take(client, number, way)
                time.sleep(0.01)
                if len(self._off) > ITEMS // 6:
                    self._put_back(client, next(iter(self._off)))

    def _take(self, client: httpx.Client, number: int, way: dict[str, Any]) -> None:
        name = f"i{number}"
        if name in self._off:
            return
        if self._honest and way:
            answer = client.put("/v1/items", json={"items": [fields(number) | way]})
            assert answer.json()["stored"] == 1
        elif self._honest:
            assert client.delete(f"/v1/items/{name}").json()["deleted"] == 1
        with self._lock:
            self._off[name] = time.monotonic()
        self.turns += 1

    def _put_back(self, client: httpx.Client, name: str) -> None:
        with self._lock:
            del self._off[name]
        client.put("/v1/items", json={"items": [fields(int(name[1:]))]})


class Asker:
    """Asks for slates of every kind and counts items that were forbidden all along."""

    def __init__(self, url: str, keeper: Keeper, answers: int) -> None:
        self._url, self._keeper, self._answers = url, keeper, answers
        self.wrong: list[tuple[str, str]] = []
        self.levels: set[str] = set()

    def run(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with httpx.Client(base_url=self._url, timeout=60) as client:
            for _ in range(self._answers):
                before = self._keeper.forbidden()
                answer = client.get("/v1/recommendations", params=self._question(rng))
                after = self._keeper.forbidden()
                assert answer.status_code == 200, answer.text
                slate = answer.json()
                self.levels.add(slate["served_by"])
                shown = {item["item_id"] for item in slate["items"]}
                off = {i for i, since in before.items() if after.get(i) == since}
                self.wrong += [(i, slate["served_by"]) for i in shown & off]

    @staticmethod
    def _question(rng: np.random.Generator) -> dict[str, Any]:
        who = {"user_id": f"u{rng.integers(2 * SHOPPERS)}"} if rng.random() < 0.8 else {}
        where = {"placement": str(rng.choice(["home", "similar", "cart"]))}
        if rng.random() < 0.3:
            where["context_items"] = f"i{rng.integers(ITEMS)}"
        if rng.random() < 0.3:
            where["filter"] = f"price > {rng.integers(30)}"
        return {**who, **where, "k": int(rng.choice([5, 20, 60]))}


def watch(shop: ShopProcess, keeper: Keeper, answers: int) -> list[Asker]:
    askers = [Asker(shop.url, keeper, answers // 4) for _ in range(4)]
    ended = threading.Event()
    threads = [threading.Thread(target=a.run, args=(n,)) for n, a in enumerate(askers)]
    mover = threading.Thread(target=keeper.run, args=(ended,))
    for thread in (mover, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    mover.join()
    return askers


def test_row_27_what_left_the_shelf_is_in_no_answer_from_any_worker(shop: ShopProcess) -> None:
    keeper = Keeper(shop.url)
    askers = watch(shop, keeper, ANSWERS)
    assert [wrong for asker in askers for wrong in asker.wrong] == []
    assert keeper.turns > 20
    assert {"personal", "session"} <= set.union(*(asker.levels for asker in askers))


def test_row_27_twin_a_keeper_who_does_not_tell_the_shop_is_caught(shop: ShopProcess) -> None:
    askers = watch(shop, Keeper(shop.url, honest=False), 200)
    assert any(asker.wrong for asker in askers)
