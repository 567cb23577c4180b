"""Promises 15 and 16: two servers on one PostgreSQL and one Redis, which come and go."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from http_shop import Askers, Customers, ShopProcess
from redis import Redis

from endcap.events.opening import open_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings, StoreSettings
from endcap.testing.servers import PostgresServer, RedisServer, until
from real_servers import needs_postgres, needs_redis
from rounds import sized

pytestmark = [needs_postgres, needs_redis, pytest.mark.slow, pytest.mark.torture]
PAIRS = 40
SHOPPERS = 4
REDIS_AWAY, POSTGRES_AWAY = sized(0, 30), sized(0, 60)
"""Seconds that each is away at least; here until both replicas have gone on."""


class Shop:
    """Two servers, what they stand on, and what they acknowledged."""

    def __init__(self, folder: Path) -> None:
        (folder / "redis").mkdir()
        self.postgres = PostgresServer()
        self.redis = RedisServer(folder / "redis")
        self.url = self.postgres.new_database()
        settings = {"ENDCAP_STORE__URL": self.url, "ENDCAP_LIVE__URL": self.redis.url}
        self.folders = [folder / f"shop{n}" for n in range(2)]
        self.servers = [ShopProcess(place, env=settings) for place in self.folders]
        self.clients = [server.client() for server in self.servers]
        self.acknowledged: set[str] = set()

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            assert server.stop() == 0, server.said()
        self.redis.stop()
        self.postgres.remove()

    def post(self, at: int, who: str, number: int) -> httpx.Response:
        name = f"{who}-{number}"
        body = {"event_id": name, "kind": "view", "user_id": who, "item_id": f"i{number}"}
        answer = self.clients[at].post("/v1/events", json=body)
        if answer.status_code == 202:
            self.acknowledged.add(name)
        return answer

    def seen(self, at: int, who: str) -> set[str]:
        answer = self.clients[at].get(f"/v1/users/{who}/history?limit=1000")
        return {event["item_id"] for event in answer.json()["events"]}

    def both_follow(self) -> bool:
        told = [client.get("/readyz").json()["checks"]["replicas"] for client in self.clients]
        return all(check["ok"] for check in told)

    def slates(self) -> list[httpx.Response]:
        return [client.get("/v1/recommendations?user_id=a&k=3") for client in self.clients]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    running = Shop(tmp_path_factory.mktemp("replicas"))
    yield running
    running.close()


def missed(shop: Shop, who: str, first: int) -> int:
    """Post at one server and ask the other, turn by turn; return how many answers missed it."""
    count = 0
    for number in range(first, first + PAIRS):
        assert shop.post(number % 2, who, number).status_code == 202
        count += f"i{number}" not in shop.seen(1 - number % 2, who)
    return count


def test_replicas_share_and_outlive_redis_and_postgresql(shop: Shop) -> None:
    assert shop.clients[0].put("/v1/items", json={"items": [{"item_id": "new"}]}).json()["stored"]
    until(lambda: [a.json()["items"] != [] for a in shop.slates()] == [True, True])

    def all_missed(first: int) -> int:
        with ThreadPoolExecutor(SHOPPERS) as pool:
            return sum(pool.map(lambda who: missed(shop, who, first), "abcd"))

    assert all_missed(0) == 0
    shop.redis.signal(signal.SIGSTOP)
    try:
        assert all_missed(PAIRS) == 0
        assert {answer.status_code for answer in shop.slates()} == {200}
    finally:
        shop.redis.signal(signal.SIGCONT)

    shop.postgres.stop("immediate")
    try:
        refused = [shop.post(n % 2, "a", 1000 + n) for n in range(6)]
        assert {answer.status_code for answer in refused} == {503}
        assert all(answer.headers["retry-after"] for answer in refused)
        assert {answer.status_code for answer in shop.slates()} == {200}
        assert [c.get("/readyz").status_code for c in shop.clients] == [503, 503]
    finally:
        shop.postgres.start()
    until(lambda: [c.get("/readyz").status_code for c in shop.clients] == [200, 200], seconds=5)
    until(lambda: all(shop.post(n, "a", 2000 + n).status_code == 202 for n in range(2)), seconds=5)
    until(shop.both_follow)  # one that is back before the other may miss it
    assert missed(shop, "a", 3000) == 0

    store = open_store(StoreSettings(url=shop.url))
    stored = [i for batch in store.log.scan(kinds=["view"]) for i in batch["event_id"].to_pylist()]
    store.close()
    assert shop.acknowledged <= set(stored)
    assert len(stored) == len(set(stored))


@contextmanager
def hung(redis: RedisServer) -> Iterator[None]:
    """Have Redis say nothing."""
    redis.signal(signal.SIGSTOP)
    yield
    redis.signal(signal.SIGCONT)


@contextmanager
def dead(redis: RedisServer) -> Iterator[None]:
    """Have Redis die, and start empty."""
    redis.stop()
    yield
    redis.start()


@contextmanager
def emptied(redis: RedisServer) -> Iterator[None]:
    """Have Redis forget everything, and go on."""
    with Redis.from_url(redis.url) as client:
        client.flushall()
    yield


def test_point_6_under_load_redis_and_postgresql_come_and_go_and_nothing_is_lost(
    shop: Shop, tmp_path: Path
) -> None:
    """Shoppers ask and post at both servers without a pause while what they stand on is away.

    Every slate is answered, some say that they are not what they should be, and what was
    acknowledged is stored, once: the sets are compared, not the counts. In the long form Redis is
    away for 30 s each time, and PostgreSQL first for 60 s and then four times for a moment.
    """
    items = [{"item_id": f"i{n}"} for n in range(8)]
    assert shop.clients[0].put("/v1/items", json={"items": items}).json()["stored"] == 8
    until(lambda: [len(answer.json()["items"]) for answer in shop.slates()] == [3, 3])
    crowds = [Customers(tmp_path / f"ledger{n}", threads=2, seed=n) for n in range(2)]
    urls = [server.url for server in shop.servers]

    def go_on(seconds: float = 0) -> None:
        """Wait until both have stored more, again and again for so long."""
        end = time.monotonic() + seconds
        while True:
            before = [len(crowd.acknowledged()) for crowd in crowds]
            until(lambda: all(len(crowd.acknowledged()) > was + 50
                              for crowd, was in zip(crowds, before, strict=True)), 60)  # noqa: B023  # fmt: skip
            if time.monotonic() >= end:
                return

    def degrade() -> None:
        """Wait until some more slates have said that they are not what they should be."""
        told = sum(one.degraded for one in askers)
        until(lambda: sum(one.degraded for one in askers) > told + 4)

    with ExitStack() as load:
        askers = [load.enter_context(Askers(url, 2, k=3)) for url in urls]
        for crowd, url in zip(crowds, urls, strict=True):
            load.enter_context(crowd.load(url))
        go_on()
        for away in (hung, dead, emptied):
            with away(shop.redis):
                go_on(REDIS_AWAY)
            go_on()
        for seconds in (POSTGRES_AWAY, *[0] * sized(1, 4)):
            shop.postgres.stop("immediate")
            silent = [len(crowd.acknowledged()) for crowd in crowds]
            end = time.monotonic() + seconds
            degrade()
            while time.monotonic() < end:
                degrade()
            assert [len(crowd.acknowledged()) for crowd in crowds] == silent
            shop.postgres.start()
            go_on()
    assert all(set(one.answers) == {(200, True)} for one in askers)
    assert [crowd.resets for crowd in crowds] == [0, 0]
    store = open_store(StoreSettings(url=shop.url))
    stored = [i for batch in store.log.scan(kinds=["view"]) for i in batch["event_id"].to_pylist()]
    store.close()
    assert set().union(*(crowd.acknowledged() for crowd in crowds)) <= set(stored)
    assert len(stored) == len(set(stored))


def test_a_new_model_reaches_the_replica_in_another_folder(shop: Shop) -> None:
    """Row 37: both name the same artefact soon; 10 s are promised, a busy machine gets more."""
    items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(8)]
    assert shop.clients[0].put("/v1/items", json={"items": items}).json()["stored"] == 8
    for who in "abcdefgh":
        for number in range(4):
            assert shop.post(0, who, (ord(who) + number) % 8).status_code == 202
    settings = Settings.parse({"store": {"folder": shop.folders[0], "url": shop.url}})
    with closing(open_store(settings.store)) as store:
        made = train_store(store, load_recipe("simple"), settings)
    until(lambda: [client.get("/version").json()["artefact"] for client in shop.clients]
          == [made.id, made.id], seconds=60)  # fmt: skip
    assert [client.get("/readyz").json()["status"] for client in shop.clients] == ["ok", "ok"]
