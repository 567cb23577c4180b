"""Row 37: three replicas, one cut off for a while; afterwards they agree again."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from http_shop import ENDCAP, ODD, Askers, Customers, ShopProcess
from wire import Wire

from endcap.events.opening import open_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings, StoreSettings
from endcap.testing.servers import PostgresServer, RedisServer, until
from real_servers import needs_postgres, needs_redis
from rounds import ROUNDS, sized

pytestmark = [needs_postgres, needs_redis, pytest.mark.slow, pytest.mark.torture]
CUT_SECONDS = sized(3, 30)
ITEMS = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(8)]
PATIENCE = 60.0
"""10 s are promised; machines may be busy."""


class Three:
    """Servers of one shop; the last reaches PostgreSQL and Redis over wires."""

    def __init__(
        self, folder: Path, postgres: PostgresServer, last: list[str], stack: ExitStack
    ) -> None:
        (folder / "redis").mkdir()
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        self.url = postgres.new_database()
        self.wires = [stack.enter_context(Wire(port)) for port in (postgres.port, redis.port)]
        told = [(self.url, redis.url)] * 2
        told.append(
            (
                self.url.replace(str(postgres.port), str(self.wires[0].port)),
                redis.url.replace(str(redis.port), str(self.wires[1].port)),
            )
        )
        self.folders = [folder / f"shop{n}" for n in range(3)]
        self.shops = [
            stack.enter_context(
                ShopProcess(
                    place,
                    ENDCAP if number < 2 else last,
                    env={
                        "ENDCAP_STORE__URL": store,
                        "ENDCAP_LIVE__URL": live,
                        "ENDCAP_SERVE__TIMEOUT_MS": "1000",
                    },
                )
            )
            for number, (place, (store, live)) in enumerate(zip(self.folders, told, strict=True))
        ]
        self.clients = [stack.enter_context(shop.client()) for shop in self.shops]

    def post(self, at: int, number: int) -> None:
        event = {"event_id": f"own-{number}", "kind": "view", "user_id": "a"}
        answer = self.clients[at].post("/v1/events", json={**event, "item_id": f"i{number % 8}"})
        assert answer.status_code == 202, answer.text

    def seen(self, at: int) -> int:
        told: httpx.Response = self.clients[at].get("/v1/users/a/history?limit=500")
        return len(told.json()["events"])

    def follows(self, at: int) -> bool:
        """Return whether a server says that it follows the others, and its store is well."""
        checks = self.clients[at].get("/readyz").json()["checks"]
        return bool(checks["replicas"]["ok"] and checks["store"]["ok"])

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Cut the last one off, until it knows, and for a while."""
        for wire in self.wires:
            wire.cut()
        began = time.monotonic()
        yield
        time.sleep(max(0.0, CUT_SECONDS - (time.monotonic() - began)))
        for wire in self.wires:
            wire.heal()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def missed(three: Three, first: int) -> int:
    """Post at one of the two that are together and ask the other; return how often it missed."""
    count = 0
    for number in range(first, first + 20):
        three.post(number % 2, number)
        count += three.seen(1 - number % 2) != number + 1
    return count


def test_the_others_go_on_and_the_one_that_was_away_agrees_again(
    postgres: PostgresServer, tmp_path: Path, stack: ExitStack
) -> None:
    three = Three(tmp_path, postgres, ENDCAP, stack)
    assert three.clients[0].put("/v1/items", json={"items": ITEMS}).json()["stored"] == 8
    assert missed(three, 0) == 0
    until(lambda: three.seen(2) == 20)
    customers = Customers(tmp_path / "acknowledged", threads=3)
    until(lambda: three.clients[2].get("/v1/recommendations?k=5").json()["items"])
    with Askers(three.shops[2].url, 2) as askers, customers.load(three.shops[2].url):
        until(customers.acknowledged)
        with three.cut():
            assert missed(three, 20) == 0
            for who in "bcdefgh":
                event = {"kind": "view", "user_id": who, "item_id": f"i{ord(who) % 8}"}
                assert three.clients[1].post("/v1/events", json=event).status_code == 202
            settings = Settings.parse({"store": {"folder": three.folders[0], "url": three.url}})
            with closing(open_store(settings.store)) as store:
                made = train_store(store, load_recipe("simple"), settings).id
            until(lambda: askers.degraded > ROUNDS, PATIENCE)
            until(lambda: not three.follows(2), PATIENCE)
        until(lambda: three.follows(2), PATIENCE)
        until(lambda: three.seen(2) == 40, PATIENCE)
        until(
            lambda: {c.get("/version").json()["artefact"] for c in three.clients} == {made},
            PATIENCE,
        )
        before = len(customers.acknowledged())
        until(lambda: len(customers.acknowledged()) > before, PATIENCE)
    assert set(askers.answers) == {(200, True)}
    assert customers.resets == 0
    with closing(open_store(StoreSettings(url=three.url))) as store:
        stored = [i for b in store.log.scan(kinds=["view"]) for i in b["event_id"].to_pylist()]
    assert customers.acknowledged() <= set(stored)
    assert len(stored) == len(set(stored))


def test_twin_one_that_believes_what_it_held_before_has_missed_it_all(
    postgres: PostgresServer, tmp_path: Path, stack: ExitStack
) -> None:
    three = Three(tmp_path, postgres, [*ODD, "deaf"], stack)
    three.post(0, 0)
    until(lambda: three.seen(2) == 1)
    with three.cut():
        for number in range(1, 10):
            three.post(number % 2, number)
    until(lambda: three.follows(2), PATIENCE)
    assert three.seen(2) == 1
