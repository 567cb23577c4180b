"""Row 60: erase means erase: at once, in every server, and in all that carries or keeps events."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from served_shop import Served

from endcap.cli import app as cli
from endcap.client import Client
from endcap.events.opening import open_store
from endcap.events.sqlite.dialect import SQLiteDialect
from endcap.events.store import Store
from endcap.prepare.weights import kind_weights
from endcap.schema.settings import LiveSettings, StoreSettings
from endcap.serve.erasing import Eraser
from endcap.serve.sharing import Change, LiveBus, SharedState
from endcap.serve.sharing_local import LocalBus, make_ring
from endcap.serve.sharing_redis import RedisBus
from endcap.testing.contracts.sample_rows import event, events
from endcap.testing.servers import RedisServer, until
from real_servers import needs_redis

ANN, GUEST = "ann-of-cleves", "v-of-cleves"
MARK = b"of-cleves"


def view(item: str, **who: str) -> dict[str, str]:
    return {"kind": "view", "item_id": item, **who}


def live_through(shop: Served) -> None:
    """Everything that leaves a trace of Ann."""
    shop.runtime.warmed()  # or what is read of the log now may be counted later
    shop.items(*[{"item_id": f"i{n}"} for n in range(6)])
    shop.client.put("/v1/users", json={"users": [{"user_id": ANN, "attributes": {"city": "Wien"}}]})
    shop.post(view("i1", user_id=ANN), view("i2", visitor_id=GUEST), view("i3", user_id="bob"))
    shop.post({"kind": "view", "user_id": ANN, "time": "never"})
    shop.client.post(
        "/v1/alias",
        json={"visitor_id": GUEST, "user_id": ANN},
        headers={"idempotency-key": "k1"},
    )
    for who in ({"user_id": ANN}, {"visitor_id": GUEST}, {"user_id": "bob"}):
        shop.slate(k=3, **who)
    shop.runtime.answered.flush()
    shop.runtime.impressions.flush()


def history(shop: Served, who: str) -> list[str]:
    told = shop.client.get(f"/v1/users/{who}/history").json()["events"]
    return [row["item_id"] for row in told]


def test_a_person_is_gone_at_once_and_from_every_file(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve()
    live_through(shop)
    assert history(shop, ANN) == ["i2", "i1"]
    with Client(str(shop.client.base_url)) as client:
        erased = client.erase(user_id=ANN)
    counts = {"slates": 2, "users": 1, "aliases": 1, "quarantined": 1, "answers": 1}
    assert erased == {"events": 2 + 6, **counts}  # with what they were shown
    assert history(shop, ANN) == []
    assert history(shop, "bob") == ["i3"]
    assert shop.runtime.live.shown_to(ANN) == {}
    assert ANN not in shop.runtime.live.live._last
    shop.slate(k=3, visitor_id=GUEST)  # under way while it happened, as it were
    shop.runtime.answered.flush()
    shop.runtime.impressions.flush()
    assert files_that_name_her(shop, tmp_path) == []
    assert (tmp_path / "events.db").exists()


def files_that_name_her(shop: Served, folder: Path) -> list[Path]:
    shop.runtime.close()
    return [path for path in folder.rglob("*") if path.is_file() and MARK in path.read_bytes()]


def test_twin_a_store_that_only_deletes_rows_still_holds_the_person(
    serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteDialect, "wipe", SQLiteDialect.unwipe)
    shop = serve()
    live_through(shop)
    with Client(str(shop.client.base_url)) as client:
        client.erase(user_id=ANN)
    assert history(shop, ANN) == []
    assert files_that_name_her(shop, tmp_path)


def test_a_visitor_is_a_person_too(shop: Served) -> None:
    shop.post(view("i1", visitor_id=GUEST), view("i2", user_id=ANN))
    shop.client.delete(f"/v1/visitors/{GUEST}").raise_for_status()
    assert shop.runtime.live.history(f"visitor:{GUEST}").item_ids == []
    assert history(shop, ANN) == ["i2"]


def test_erasing_from_outside_is_heard_by_a_running_server(
    shop: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.post(view("i1", user_id=ANN), view("i3", user_id="bob"))
    assert history(shop, ANN) == ["i1"]
    assert cli.run(["erase", "--user", ANN, "--folder", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 1
    until(lambda: history(shop, ANN) == [], seconds=5)
    assert history(shop, "bob") == ["i3"]
    assert cli.run(["erase", "--folder", str(tmp_path)]) == 2


class Replicas:
    """Two live states over one store and one bus, and what looks into the bus."""

    def __init__(self, store: Store, buses: tuple[LiveBus, LiveBus], said: Callable[[], bytes]):
        self.store, self.said = store, said
        self.one, self.two = (SharedState(store, kind_weights(), bus) for bus in buses)

    def close(self) -> None:
        self.one.close()
        self.two.close()


@pytest.fixture(params=["workers", pytest.param("replicas", marks=needs_redis)])
def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(StoreSettings(folder=tmp_path / "shop"))))
        if request.param == "workers":
            ring = tmp_path / "ring"
            make_ring(ring)
            buses: tuple[LiveBus, LiveBus] = (LocalBus(ring), LocalBus(ring))
            said: Callable[[], bytes] = ring.read_bytes
        else:
            server = RedisServer(tmp_path)
            stack.callback(server.stop)
            buses = RedisBus(LiveSettings(url=server.url)), RedisBus(LiveSettings(url=server.url))
            client = buses[0]._client  # type: ignore[attr-defined]

            def said() -> bytes:
                return b"".join(value for _, row in client.xrange(buses[0]._keys[1])
                                for value in row.values())  # fmt: skip

        found = Replicas(store, buses, said)
        stack.callback(found.close)
        yield found


def test_every_replica_forgets_and_what_carried_the_events_too(replicas: Replicas) -> None:
    one, two = replicas.one, replicas.two
    for user in (ANN, "bob"):
        table = events(event(1, event_id=user, visitor_id=None, user_id=user))
        one.events_stored(table, replicas.store.log.append(table))
    assert [len(two.history(user).item_ids) for user in (ANN, "bob")] == [1, 1]
    assert MARK in replicas.said()
    eraser = Eraser(replicas.store, one, None, settle_seconds=60)
    assert eraser.erase(ANN).events == 1
    assert [len(live.history(ANN).item_ids) for live in (one, two)] == [0, 0]
    until(lambda: ANN not in two.live._last)
    eraser.close()
    assert MARK not in replicas.said()
    assert [len(live.history("bob").item_ids) for live in (one, two)] == [1, 1]
    table = events(event(2, visitor_id=None, user_id="bob"))
    one.events_stored(table, replicas.store.log.append(table))
    assert len(two.history("bob").item_ids) == 2  # they go on understanding each other


def test_who_has_not_read_what_was_forgotten_reads_all_again(tmp_path: Path) -> None:
    make_ring(tmp_path / "ring", 4096)
    with closing(LocalBus(tmp_path / "ring")) as one, closing(LocalBus(tmp_path / "ring")) as two:
        two.catch_up()
        one.publish(Change("reload", ids=("a",)))
        one.forget()
        one.publish(Change("reload", ids=("b",)))
        assert two.catch_up() is None
        one.publish(Change("reload", ids=("c",)))
        assert two.catch_up() == [Change("reload", ids=("c",))]
