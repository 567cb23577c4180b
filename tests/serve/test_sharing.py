"""Replicas that share a Redis: what one acknowledged, the next request sees at any of them."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest

from endcap.events.opening import open_store
from endcap.events.store import Receipt
from endcap.prepare.vocabulary import Vocabulary
from endcap.prepare.weights import kind_weights
from endcap.schema.errors import ConfigError
from endcap.schema.settings import LiveSettings, StoreSettings
from endcap.schema.tables import ITEMS
from endcap.serve.sharing import SharedState, open_live_state
from endcap.serve.sharing_redis import RedisBus
from endcap.serve.state import LiveState
from endcap.testing.contracts.sample_rows import event, events
from endcap.testing.servers import RedisServer, until
from real_servers import needs_redis

pytestmark = needs_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path_factory.mktemp("redis"))
    yield running
    running.stop()


class Replica:
    """A store and the live state in front of it, as a server process holds them."""

    def __init__(self, folder: Path, settings: LiveSettings, stack: ExitStack) -> None:
        self.store = open_store(StoreSettings(folder=folder))
        stack.callback(self.store.close)
        self.live = open_live_state(settings, self.store, kind_weights())
        stack.callback(self.live.close)

    def post(self, number: int, **changes: object) -> None:
        table = events(event(number, visitor_id=None, user_id="u", **changes))
        self.live.events_stored(table, self.store.log.append(table))

    def put(self, **item: object) -> None:
        table = pa.Table.from_pylist([item], schema=ITEMS)
        self.store.catalogue.upsert_items(table)
        self.live.items_stored(table)

    def seen(self, who: str = "u") -> int:
        return len(self.live.history(who).item_ids)

    def shown(self) -> list[int]:
        return self.live.available_rows(Vocabulary(["a", "b"]), 0).tolist()


@pytest.fixture
def pair(server: RedisServer, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    settings = LiveSettings(url=server.url, prefix=tmp_path.name)
    with ExitStack() as stack:
        yield Replica(tmp_path, settings, stack), Replica(tmp_path, settings, stack)


def test_the_next_request_sees_the_event_at_the_other_replica(
    pair: tuple[Replica, Replica],
) -> None:
    """Promise: of 500 pairs that alternate between the replicas, none misses its event."""
    for number in range(500):
        pair[number % 2].post(number)
        assert pair[(number + 1) % 2].seen() == number + 1


def test_twin_replicas_that_do_not_share_miss_events(tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = [Replica(tmp_path, LiveSettings(), stack) for _ in range(2)]
        assert not isinstance(pair[0].live, SharedState)
        assert pair[1].seen() == 0
        pair[0].post(0)
        assert pair[1].seen() == 0


def impression(replica: Replica, number: int, item: str) -> None:
    """Show an item to u at one replica, and let it follow what it showed."""
    row = event(number, kind="impression", visitor_id=None, user_id="u", item_id=item)
    table = events(row)
    replica.store.log.append(table)
    replica.live.impressions_stored(table)


def test_what_one_replica_showed_counts_at_the_other(pair: tuple[Replica, Replica]) -> None:
    """Promise: caps and fatigue count what any worker showed, with the next request."""
    one, two = pair
    one.post(1_000)  # the first word there is makes whoever hears it read everything
    assert two.seen() == 1
    assert two.live.shown_to("u") == {}
    for number in range(100):
        impression(pair[number % 2], number, f"i{number % 3}")
        other = pair[(number + 1) % 2].live
        other.history("u")  # as each request does first
        assert sum(other.shown_to("u").values()) == number + 1
    assert one.live.exposure == two.live.exposure == {"i0": 34, "i1": 33, "i2": 33}


def test_twin_replicas_that_do_not_share_count_their_own(tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, two = [Replica(tmp_path, LiveSettings(), stack) for _ in range(2)]
        assert two.live.shown_to("u") == {}
        impression(one, 0, "a")
        assert (one.live.shown_to("u"), two.live.shown_to("u")) == ({"a": 1}, {})


def test_a_catalogue_change_an_alias_and_a_promotion_travel(
    pair: tuple[Replica, Replica],
) -> None:
    one, two = pair
    promoted: list[str] = []
    two.live.on_promoted = lambda: promoted.append("two")
    one.put(item_id="a", title="A")
    until(lambda: two.shown() == [0] and two.live.facts(["a"]) == {"a": {"title": "A"}})
    one.store.catalogue.delete_items(["a"])
    one.live.items_deleted(["a"])
    until(lambda: two.shown() == [])
    two.store.log.append(events(event(1, visitor_id="v")))
    assert (one.seen("visitor:v"), one.seen("w"), two.seen("w")) == (1, 0, 0)
    one.store.alias("v", "w")
    one.live.alias_stored("v", "w")
    assert two.seen("visitor:v") == 1
    assert two.seen("w") == 1
    one.live.promoted()
    until(lambda: promoted == ["two"])


def test_flushing_redis_loses_nothing(pair: tuple[Replica, Replica], server: RedisServer) -> None:
    """Also when what was told and not yet heard is flushed with the rest."""
    one, two = pair
    for number in range(20):
        one.post(number)
        if number % 3 == 0:
            RedisBus(LiveSettings(url=server.url))._client.flushall()
        assert two.seen() == number + 1
        assert one.seen() == number + 1


@pytest.mark.parametrize("away", ["stopped", "hung"])
def test_without_redis_answers_go_on_and_miss_nothing(
    pair: tuple[Replica, Replica], server: RedisServer, away: str
) -> None:
    one, two = pair
    one.post(0)
    assert one.live.sharing == two.live.sharing == (True, "")
    if away == "stopped":
        server.stop()
    else:
        server.signal(signal.SIGSTOP)
    try:
        for number in range(1, 30):
            pair[number % 2].post(number)
            assert pair[(number + 1) % 2].seen() == number + 1
        until(lambda: not (one.live.sharing[0] or two.live.sharing[0]))
        assert "Redis" in one.live.sharing[1]
        one.put(item_id="b")
    finally:
        if away == "stopped":
            server.start()
        else:
            server.signal(signal.SIGCONT)
    until(lambda: one.live.sharing[0] and two.live.sharing[0])
    until(lambda: two.shown() == [1])
    one.post(30)
    assert two.seen() == 31


@pytest.fixture
def alone(server: RedisServer, pair: tuple[Replica, Replica]) -> Iterator[tuple[Replica, Replica]]:
    """Yield replicas whose Redis is away for good."""
    server.stop()
    try:
        until(lambda: not any(replica.live.sharing[0] for replica in pair))
        yield pair
    finally:
        server.start()


def test_without_redis_others_changes_of_the_catalogue_are_looked_for(
    alone: tuple[Replica, Replica],
) -> None:
    """Promise: what one replica hides, the other shows no more after a second."""
    one, two = alone
    for _ in range(3):
        one.put(item_id="a", title="A")
        two.put(item_id="b")  # what it stored itself hides nothing of what others did
        until(lambda: one.shown() == two.shown() == [0, 1], seconds=2)
        assert two.live.facts(["a"]) == {"a": {"title": "A"}}
        one.store.catalogue.delete_items(["a"])
        one.live.items_deleted(["a"])
        until(lambda: two.shown() == [1], seconds=2)


def test_without_redis_an_alias_holds_with_the_next_history(
    alone: tuple[Replica, Replica],
) -> None:
    one, two = alone
    two.store.log.append(events(event(1, visitor_id="v")))
    assert (two.seen("visitor:v"), two.seen("w"), two.seen("x")) == (1, 0, 0)
    for user, number in (("w", 1), ("x", 2)):
        one.store.alias("v", user)
        one.live.alias_stored("v", user)
        two.store.log.append(events(event(number, visitor_id=None, user_id=user)))
        assert two.seen(user) == two.seen("visitor:v")
        assert two.live.resolve("visitor:v") == user
    assert two.seen("w") == 0


class Blind(SharedState):
    """A replica that waits for word of what others changed, as long as it takes."""

    def _look(self) -> None:
        pass

    def _read_aliases(self, actor: str) -> None:
        pass


def test_twin_a_replica_that_waits_for_redis_goes_on_showing_what_is_gone(
    alone: tuple[Replica, Replica], server: RedisServer, tmp_path: Path
) -> None:
    one, two = alone
    one.put(item_id="a")
    one.put(item_id="b")
    settings = LiveSettings(url=server.url, prefix=tmp_path.name)
    blind = Blind(one.store, kind_weights(), RedisBus(settings))
    try:
        one.store.catalogue.delete_items(["a"])
        one.live.items_deleted(["a"])
        one.store.alias("v", "w")
        until(lambda: two.shown() == [1])
        blind.history("visitor:v")
        assert set(blind.available_ids(0)) == {"a", "b"}
        assert blind.resolve("visitor:v") == "visitor:v"
    finally:
        blind.close()


class Trusting(SharedState):
    """A replica that never opens its breaker: it goes on believing what it holds."""

    def _lose(self, error: Exception) -> None:
        pass


def test_twin_a_replica_that_takes_silence_for_no_news_misses_events(
    server: RedisServer, tmp_path: Path
) -> None:
    settings = LiveSettings(url=server.url, prefix=tmp_path.name)
    with ExitStack() as stack:
        one = Replica(tmp_path, settings, stack)
        trusting = Trusting(one.store, kind_weights(), RedisBus(settings))
        stack.callback(trusting.close)
        one.post(0)
        assert len(trusting.history("u").item_ids) == 1
        server.stop()
        try:
            one.post(1)
            assert one.seen() == 2
            assert len(trusting.history("u").item_ids) == 1
        finally:
            server.start()


def test_a_replica_that_slept_too_long_reads_everything_again(
    server: RedisServer, tmp_path: Path
) -> None:
    settings = LiveSettings(url=server.url, prefix=tmp_path.name)
    with ExitStack() as stack:
        one = Replica(tmp_path, settings, stack)
        sleeper = RedisBus(settings)
        stack.callback(sleeper.close)
        one.post(0)
        assert sleeper.catch_up() is None
        one.post(1)
        (change,) = sleeper.catch_up() or []
        assert change.kind == "events"
        for _ in range(700):
            one.live.items_deleted(["x"])
        assert len(sleeper.catch_up() or []) == 700
        sleeper._client.xtrim(sleeper._keys[1], maxlen=0)
        assert sleeper.catch_up() == []
        one.post(2)
        sleeper._client.xtrim(sleeper._keys[1], maxlen=0)
        assert sleeper.catch_up() is None


def test_redis_may_be_away_when_a_replica_starts(tmp_path: Path, server: RedisServer) -> None:
    server.stop()
    settings = LiveSettings(url=server.url, prefix=tmp_path.name)
    with ExitStack() as stack:
        try:
            one = Replica(tmp_path, settings, stack)
            one.post(0)
            assert one.seen() == 1
            assert one.live.sharing[0] is False
        finally:
            server.start()
        until(lambda: one.live.sharing[0])


def test_how_much_is_kept_can_be_said(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for kept in (0, 100):
            one = Replica(tmp_path, LiveSettings(keep_events=kept), stack)
            one.post(kept)
            assert one.seen() > 0
            assert one.live.at_hand("u", None, shown=False) == (kept > 0)


def test_a_url_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="redis://"):
        RedisBus(LiveSettings(url="redis://host:port"))


def test_a_kept_history_outlives_the_store(tmp_path: Path) -> None:
    """What was read yesterday is better than nothing while the store cannot be read."""
    store = open_store(StoreSettings(folder=tmp_path))
    live = LiveState(store, kind_weights())
    table = events(event(1, user_id="u"))
    assert store.log.append(table) == Receipt(received=1, stored=1)
    assert live.history("u").item_ids == ["i1"]
    store.close()
    assert live._histories.of("u", again=True).item_ids == ["i1"]
