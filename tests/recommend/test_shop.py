"""A real store, real models, the three lines of Python: what happens is answered at once."""

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from recommend_worlds import NOW, checkerboard, recipe

import endcap
from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.recommend.artefacts import rollback
from endcap.recommend.facts import facts_of
from endcap.recommend.shop import Shop
from endcap.recommend.slate import Request
from endcap.recommend.state import State
from endcap.recommend.store_state import StoreState
from endcap.recommend.training import train, train_store
from endcap.schema.errors import ConfigError, DataError
from endcap.schema.settings import Settings, StoreSettings
from endcap.schema.tables import EVENTS, ITEMS

LATER = NOW + timedelta(days=1)
ITEM_IDS = [f"i{i:02}" for i in range(13)]


def events(*rows, start=0):
    return pa.Table.from_pylist(
        [
            {"event_id": f"e{start + n}", "received": LATER, "time": LATER, **row}
            for n, row in enumerate(rows)
        ],
        schema=EVENTS,
    )


def bought(user, item, at=LATER):
    return {"kind": "purchase", "user_id": user, "item_id": item, "time": at}


def catalogue(**changes):
    rows = [
        {
            "item_id": i,
            "title": f"The {i}",
            "price": "2.50",
            "currency": "GBP",
            **changes.get(i, {}),
        }
        for i in ITEM_IDS
    ]
    for row in rows:
        row["price"] = Decimal(row["price"])
    return pa.Table.from_pylist(rows, schema=ITEMS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("shop")
    settings = Settings(store=StoreSettings(folder=place))
    data = checkerboard()
    times = data.column("time")
    rows = zip(
        data.users.ids(data.column("user")), data.items.ids(data.column("item")), strict=True
    )
    store = open_store(settings.store)
    store.catalogue.upsert_items(catalogue())
    store.log.append(
        events(
            *[
                bought(
                    user, item, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(t))
                )
                for (user, item), t in zip(rows, times, strict=True)
            ]
        )
    )
    made = prepare_store(store, settings, now=LATER).dataset
    train(made, recipe(), place, settings=settings, now=NOW)
    train_store(store, recipe(), settings)
    store.close()
    return place


@pytest.fixture
def shop(folder, tmp_path):

    shutil.copytree(folder, tmp_path / "shop")
    with endcap.open(tmp_path / "shop") as opened:
        yield opened


def ids(slate):
    return [item.item_id for item in slate.items]


def test_three_lines(shop):
    slate = shop.recommend(user_id="u05", k=1)
    item = slate.items[0]
    assert item.properties == {"title": f"The {item.item_id}", "price": "2.50", "currency": "GBP"}
    assert shop.why(item).startswith("Because you bought The i")
    assert shop.why(item, "zh").startswith("因为你买过 The i")


def test_the_state_of_a_store_is_a_state(shop):
    assert isinstance(shop.state, State)
    assert isinstance(shop, endcap.Shop)
    assert isinstance(shop.recommend("u05"), endcap.Slate)
    assert endcap.Request is Request
    assert set(dir(endcap)) >= {"open"} or callable(endcap.open)
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        endcap.opne  # noqa: B018


def test_an_event_changes_the_next_answer(shop):
    before = shop.recommend("newcomer", k=3)
    assert before.served_by == "trending"
    version = shop.state.version
    shop.store.log.append(events(bought("newcomer", "i01"), start=9000))
    after = shop.recommend("newcomer", k=3)
    assert after.served_by == "personal"
    assert shop.state.version > version
    assert {r.item_id for item in after.items for r in item.reasons} == {"i01"}
    assert "i01" not in ids(after)


def test_what_a_visitor_did_is_the_users_once_they_are_known_to_be_one(shop):
    shop.store.log.append(
        events(
            {"kind": "view", "visitor_id": "v", "item_id": "i00"},
            {"kind": "purchase", "user_id": "new", "item_id": "i02", "time": NOW},
            {"kind": "search", "visitor_id": "v", "query": "mug"},
            {"kind": "impression", "visitor_id": "v", "item_id": "i04"},
            start=9000,
        )
    )
    assert shop.state.history("new").item_ids == ["i02"]
    shop.store.alias("v", "new")
    both = shop.state.history("new")
    assert both.item_ids[0] == "i02"  # oldest first
    assert sorted(both.item_ids) == ["i00", "i02", "i04"]
    assert shop.state.history("visitor:v").item_ids == both.item_ids
    assert [(did.kind, did.item_id, did.title) for did in shop.lately("new")] == [
        ("view", "i00", "The i00"),
        ("purchase", "i02", "The i02"),
    ]
    assert [did.item_id for did in shop.lately(visitor_id="v", n=1)] == ["i00"]
    assert shop.lately() == shop.lately("nobody") == []


def test_stock_follows_the_catalogue(shop):
    first = ids(shop.recommend("u05", k=1))[0]
    shop.store.catalogue.upsert_items(catalogue(**{first: {"availability": "out_of_stock"}}))
    shop.state.refresh()
    assert first not in ids(shop.recommend("u05", k=13))
    shop.store.catalogue.delete_items(ITEM_IDS)
    shop.store.catalogue.upsert_items(catalogue().slice(0, 2))
    shop.state.refresh()
    assert set(ids(shop.recommend("nobody", k=13))) == {"i00", "i01"}
    assert list(shop.state.available_ids(0)) == ["i00", "i01"]
    assert shop.state.facts(["i05"]) == {}


def test_another_artefact_takes_over_at_the_next_answer(shop):
    before = shop.recommend("u05").artefact
    earlier = rollback(shop.folder)
    assert shop.recommend("u05").artefact == earlier != before
    assert shop.similar("i03", k=2).artefact == earlier


def test_requests_are_strict(shop):
    with pytest.raises(ConfigError, match="Did you mean 'placement'"):
        shop.recommend("u05", placment="home")
    with pytest.raises(ConfigError, match="k = -1"):
        shop.recommend("u05", k=-1)


def test_the_settings_say_where_unless_a_folder_does(folder):
    settings = Settings(store=StoreSettings(folder=folder))
    with Shop.open(settings=settings) as shop:
        assert shop.folder == folder
        assert shop.state.now.tzinfo is UTC
    with Shop.open(str(folder)) as shop:
        assert shop.folder == folder


def test_an_empty_store_says_what_to_do(tmp_path):
    store = open_store(StoreSettings(folder=tmp_path))
    with pytest.raises(DataError, match="endcap import"):
        train_store(store, recipe(), Settings(store=StoreSettings(folder=tmp_path)))
    store.close()


def test_the_clock_is_an_argument(folder):
    store = open_store(StoreSettings(folder=folder))
    assert StoreState(store, clock=lambda: NOW).now == NOW
    store.close()


def test_money_leaves_as_text_and_what_is_unknown_is_left_out():
    items = pa.Table.from_pylist(
        [{"item_id": "a", "price": Decimal("1234.5"), "categories": []}],
        schema=ITEMS,
    )
    assert facts_of(items) == {"a": {"price": "1234.50"}}
