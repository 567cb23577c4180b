"""Each dialect: known rows in, exactly these rows out."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from collecting import SAMPLES, Collected, collect, without

from endcap import plugins
from endcap.events.dialects.base import Dialect
from endcap.events.guess import dialect_named


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cash(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.0001"))


def bare(collected: Collected) -> list[dict[str, Any]]:
    """Return the events in the order read, without ids that were derived."""
    return [
        row if len(key) < 32 else without(row, "event_id") for key, row in collected.events.items()
    ]


def read(name: str, dialect: str) -> Collected:
    collected = collect(SAMPLES / name)
    assert not collected.bad
    assert {report.dialect for report in collected.summary.files} == {dialect}
    return collected


def test_every_dialect_keeps_its_contract() -> None:
    for name in plugins.names("endcap.dialects"):
        found = dialect_named(name)
        assert isinstance(found, Dialect)
        assert found.name == name
        assert found.title


def test_own_csv() -> None:
    assert bare(read("own/events.csv", "endcap")) == [
        {
            **{"event_id": "e1", "kind": "purchase", "user_id": "u1", "item_id": "lamp-1"},
            **{"time": at("2024-03-01T09:00:00"), "quantity": 2, "price": cash("12.5")},
            **{"currency": "GBP", "properties": '{"campaign":"spring"}'},
        },
        {
            **{"event_id": "e2", "kind": "view", "user_id": "u2", "item_id": "茶壶"},
            "time": at("2024-03-01T01:01:00"),
        },
        {
            **{"event_id": "e3", "kind": "cart", "visitor_id": "v9", "item_id": "lamp-1"},
            **{"time": at("2024-03-01T09:20:00"), "quantity": 1},
            "properties": '{"campaign":"spring, late"}',
        },
        {
            **{"event_id": "e4", "kind": "purchase", "user_id": "用户7", "item_id": "mug, blue"},
            **{"time": at("2024-03-02T10:00:00"), "quantity": 3, "price": cash("4.25")},
            "currency": "EUR",
        },
        {
            **{"event_id": "e5", "kind": "cart", "user_id": "u1", "item_id": "茶壶"},
            "time": at("2024-03-02T09:00:00.123"),
        },
        {
            **{"event_id": "e6", "kind": "purchase", "user_id": "u3", "item_id": "kettle"},
            **{"time": at("2024-03-03T08:00:00"), "quantity": 1, "price": cash("99")},
            "currency": "CNY",
        },
    ]


def test_own_json_lines_hold_all_three_tables() -> None:
    got = read("own/events.jsonl", "endcap")
    assert bare(got) == [
        {
            **{"kind": "view", "user_id": "u1", "item_id": "lamp-1"},
            **{"time": at("2024-03-01T09:00:00"), "properties": '{"page":"home"}'},
        },
        {
            **{"kind": "purchase", "user_id": "7", "item_id": "茶壶", "quantity": 1},
            **{"time": at("2024-03-01T09:20:00"), "price": cash("88.8"), "currency": "CNY"},
            "properties": '{"note":"送礼"}',
        },
        {
            **{"kind": "search", "visitor_id": "v1", "query": "紫砂 壶"},
            "time": at("2024-03-01T09:02:00"),
        },
    ]
    assert got.items == {
        "茶壶": {
            **{"item_id": "茶壶", "title": "紫砂茶壶", "price": cash("88.8"), "currency": "CNY"},
            **{"categories": ["厨房 > 茶具"], "attributes": '{"color":"紫"}'},
        }
    }
    assert got.users == {
        "u1": {"user_id": "u1", "consent": "granted", "attributes": '{"city":"杭州"}'}
    }


def test_own_catalogue_with_a_cell_of_two_lines() -> None:
    assert read("own/items.csv", "endcap").items == {
        "lamp-1": {
            **{"item_id": "lamp-1", "title": "Desk lamp", "categories": ["Home > Lights"]},
            **{"price": cash("12.5"), "currency": "GBP", "availability": "in_stock", "stock": 4},
            **{"description": "Warm light,\ntwo lines", "attributes": '{"colour":"red"}'},
        },
        "茶壶": {
            **{"item_id": "茶壶", "title": "紫砂茶壶", "categories": ["厨房 > 茶具"]},
            **{"price": cash("88.8"), "currency": "CNY", "availability": "preorder"},
        },
        "kettle": {
            **{"item_id": "kettle", "title": "Kettle", "price": cash("99"), "currency": "CNY"},
            **{"availability": "out_of_stock", "stock": 0},
        },
    }


def rating(user: str, item: str, value: float, seconds: int) -> dict[str, Any]:
    when = datetime.fromtimestamp(seconds, UTC)
    return {"kind": "rating", "user_id": user, "item_id": item, "value": value, "time": when}


def test_movielens_100k() -> None:
    got = read("ml-100k", "movielens")
    assert bare(got) == [
        rating("196", "242", 3, 881250949),
        rating("186", "302", 3, 891717742),
        rating("22", "377", 1, 878887116),
        rating("244", "51", 2, 880606923),
    ]
    assert got.items == {
        "242": {
            **{"item_id": "242", "title": "Kolya (1996)", "categories": ["Comedy"]},
            **{"url": "http://films.example/title?Kolya%20(1996)", "created": at("1997-01-24")},
            "attributes": '{"released":"24-Jan-1997"}',
        },
        "302": {
            **{"item_id": "302", "title": "L'été à Paris (1958)"},
            **{"categories": ["Animation", "Drama"], "attributes": '{"released":"01-Jan-1958"}'},
        },
        "377": {
            **{"item_id": "377", "title": "Heavyweights (1994)"},
            **{"categories": ["Children's", "Comedy"], "created": at("1994-01-01")},
            **{"url": "http://films.example/title?Heavyweights"},
            "attributes": '{"released":"01-Jan-1994"}',
        },
    }
    assert got.users["186"] == {
        "user_id": "186",
        "attributes": '{"age":"39","gender":"F","occupation":"executive","zip":"00000"}',
    }


def test_movielens_1m() -> None:
    got = read("ml-1m", "movielens")
    assert bare(got) == [
        rating("1", "1193", 5, 978300760),
        rating("1", "661", 3, 978302109),
        rating("2", "1357", 5, 978298709),
    ]
    assert got.items["1193"] == {
        **{"item_id": "1193", "title": 'Amélie "Poulain" (2001)', "categories": ["Comedy"]}
    }
    assert got.items["661"]["categories"] == ["Animation", "Children's", "Musical"]
    assert got.users["2"]["attributes"] == (
        '{"age":"56","gender":"M","occupation":"16","zip":"70072"}'
    )


def test_movielens_latest_reads_ratings_and_films_of_the_folder() -> None:
    got = collect(SAMPLES / "ml-latest")
    problems = {report.path.name: report.problem for report in got.summary.files}
    assert problems == {
        "README.txt": "of no known dialect",
        "links.csv": "of no known dialect",
        "movies.csv": "",
        "ratings.csv": "",
    }
    assert bare(got) == [
        rating("1", "31", 2.5, 1260759144),
        rating("1", "1029", 3, 1260759179),
        rating("2", "31", 4.5, 835355493),
    ]
    assert got.items["1029"] == {
        **{"item_id": "1029", "title": "Tigre et dragon, Le (卧虎藏龙) (2000)"},
        "categories": ["Action", "Drama", "Romance"],
    }
    assert got.items["900"] == {"item_id": "900", "title": "Nothing (2003)"}


def test_recbole() -> None:
    got = read("recbole", "recbole")
    assert bare(got) == [
        {**rating("u1", "茶壶", 4, 1709284800), "properties": '{"city":"杭州"}'},
        {
            **rating("u2", "lamp-1", 5, 1709284860),
            **{"time": at("2024-03-01T09:21:00.5"), "properties": '{"city":"Leeds"}'},
        },
        rating("u2", "茶壶", 1, 1709284870),
    ]
    assert got.items == {
        "茶壶": {
            **{"item_id": "茶壶", "title": "紫砂 茶壶", "categories": ["厨房", "茶具"]},
            **{"price": cash("88.8"), "attributes": '{"vec":[0.5,1.25]}'},
        },
        "lamp-1": {
            **{"item_id": "lamp-1", "title": "Desk lamp", "categories": ["Home", "Lights"]},
            **{"price": cash("12.5"), "attributes": '{"vec":[]}'},
        },
    }
    assert got.users["u1"] == {"user_id": "u1", "attributes": '{"age":31.0,"job":"教师"}'}


def test_personalize() -> None:
    got = read("personalize", "personalize")
    assert bare(got) == [
        {
            **{"kind": "view", "user_id": "u1", "item_id": "lamp-1"},
            "time": at("2024-03-01T09:20:00"),
            "properties": '{"device":"phone","shown":["lamp-1","茶壶"]}',
        },
        {
            **{"kind": "purchase", "user_id": "u1", "item_id": "茶壶", "value": 2.5},
            "time": at("2024-03-01T09:21:00"),
        },
        {
            **{"kind": "cart", "user_id": "用户7", "item_id": "茶壶"},
            **{"time": at("2024-03-01T09:21:10"), "properties": '{"device":"desktop"}'},
        },
    ]
    assert got.items["lamp-1"] == {
        **{"item_id": "lamp-1", "price": cash("12.5"), "categories": ["Home > Lights"]},
        **{"created": at("2023-11-14T22:13:20"), "description": "Warm light"},
        "attributes": '{"gender":"Any"}',
    }
    assert got.items["茶壶"]["categories"] == ["厨房 > 茶具"]
    assert got.users["用户7"]["attributes"] == '{"age":"40","membership":"silver"}'


@pytest.mark.parametrize("name", ["ga4/export.jsonl", "ga4/export.json"])
def test_ga4_export(name: str) -> None:
    got = read(name, "ga4")
    assert got.summary.files[0].skipped == {"page_view": 1}
    visit = {"visitor_id": "ga.1", "session_id": "ga.1.77"}
    bought = {**visit, "kind": "purchase", "user_id": "用户7", "order_id": "T-1", "currency": "CNY"}
    assert bare(got) == [
        {
            **{**visit, "kind": "view", "item_id": "lamp-1", "price": cash("12.5")},
            **{"currency": "GBP", "time": at("2024-03-01T09:20:00")},
            "properties": '{"item_name":"Desk lamp","page_location":"https://shop.example/lamp"}',
        },
        {
            **{**bought, "item_id": "茶壶", "price": cash("88.8"), "quantity": 1},
            **{"time": at("2024-03-01T09:21:40"), "properties": '{"item_name":"紫砂茶壶"}'},
        },
        {
            **{**bought, "item_id": "lamp-1", "price": cash("110"), "quantity": 2},
            **{"time": at("2024-03-01T09:21:40"), "properties": '{"item_name":"Desk lamp"}'},
        },
        {
            **{"kind": "search", "visitor_id": "ga.2", "query": "茶 {具}"},
            "time": at("2024-03-01T09:22:30"),
        },
        *(
            {
                **{"kind": "impression", "visitor_id": "ga.2", "item_id": item},
                **{"position": place, "placement": "home", "time": at("2024-03-01T09:23:20")},
            }
            for place, item in ((1, "lamp-1"), (2, "茶壶"))
        ),
    ]


def test_ga4_measurement_protocol() -> None:
    got = read("ga4/protocol.json", "ga4")
    assert got.summary.files[0].skipped == {"session_start": 1}
    assert bare(got) == [
        {
            **{"kind": "cart", "user_id": "u1", "visitor_id": "ga.3", "item_id": "lamp-1"},
            **{"quantity": 1, "price": cash("12.5"), "currency": "GBP"},
            "time": at("2024-03-01T09:40:00"),
        }
    ]


def test_ga4_names_a_slate(tmp_path: Path) -> None:
    slate = {"request_id": "r1", "item_list_id": "home"}
    items = [{"item_id": "lamp-1", "index": 1}, {"item_id": "vase", "index": 2, "request_id": "r2"}]
    params = {**slate, "items": items}
    event = {"name": "view_item_list", "params": params, "timestamp_micros": "1709286000000000"}
    path = tmp_path / "body.json"
    path.write_text(json.dumps({"client_id": "ga.3", "events": [event]}))
    shown = {"kind": "impression", "visitor_id": "ga.3", "placement": "home"}
    when = {"time": at("2024-03-01T09:40:00")}
    assert bare(collect(path, dialect="ga4")) == [
        {**shown, **when, "item_id": "lamp-1", "position": 1, "request_id": "r1"},
        {**shown, **when, "item_id": "vase", "position": 2, "request_id": "r2"},
    ]


@pytest.mark.parametrize("name", ["segment/calls.jsonl", "segment/batch.json"])
def test_segment(name: str) -> None:
    got = read(name, "segment")
    assert got.summary.files[0].skipped == {"Coupon Applied": 1, "page call": 1}
    order = {"kind": "purchase", "user_id": "u1", "order_id": "O-1", "currency": "CNY"}
    assert bare(got) == [
        {
            **{"event_id": "m1", "kind": "view", "visitor_id": "a1", "item_id": "lamp-1"},
            **{"price": cash("12.5"), "currency": "GBP", "position": 3},
            **{"time": at("2024-03-01T09:00:00"), "original": at("2025-03-01T09:00:00")},
            **{"sent_at": at("2025-03-01T09:00:05"), "properties": '{"name":"Desk lamp"}'},
        },
        {
            **{**order, "event_id": "m2#0", "item_id": "茶壶", "price": cash("88.8")},
            **{"quantity": 1, "time": at("2024-03-01T09:05:00")},
            "properties": '{"sku":"T1","total":98.8}',
        },
        {
            **{**order, "event_id": "m2#1", "item_id": "lamp-1", "price": cash("10")},
            **{"quantity": 1, "time": at("2024-03-01T09:05:00"), "properties": '{"total":98.8}'},
        },
        {
            **{"event_id": "m3", "kind": "search", "visitor_id": "a2", "query": "茶具"},
            "time": at("2024-03-01T09:06:00"),
        },
        {
            **{"event_id": "m4", "kind": "rating", "user_id": "u1", "item_id": "茶壶", "value": 5},
            **{"time": at("2024-03-02T09:06:00"), "properties": '{"review_body":"很好"}'},
        },
    ]
    assert got.users == {"u1": {"user_id": "u1", "attributes": '{"city":"杭州","plan":"gold"}'}}


def test_merchant_text() -> None:
    assert read("merchant/feed.tsv", "merchant").items == {
        "lamp-1": {
            **{"item_id": "lamp-1", "group_id": "lamp", "title": "Desk lamp", "brand": "Lux"},
            **{"description": 'Warm "soft" light', "categories": ["Home > Lights"]},
            **{"price": cash("12.5"), "sale_price": cash("10"), "currency": "GBP"},
            **{"availability": "in_stock", "url": "https://shop.example/lamp"},
            **{"image": "https://shop.example/lamp.jpg", "attributes": '{"gtin":"0123"}'},
        },
        "茶壶": {
            **{"item_id": "茶壶", "title": "紫砂茶壶", "description": "手工", "brand": "宜兴"},
            **{"price": cash("88.8"), "currency": "CNY", "availability": "preorder"},
            **{"categories": ["厨房 > 茶具", "Home & Garden > Kitchen"]},
            "url": "https://shop.example/茶壶",
        },
    }


def test_merchant_rss() -> None:
    assert read("merchant/feed.xml", "merchant").items == {
        "lamp-1": {
            **{"item_id": "lamp-1", "title": "Desk lamp & bulb", "brand": "Lux"},
            **{"description": "Warm <b>light</b>", "categories": ["Home > Lights", "Office"]},
            **{"price": cash("12.5"), "currency": "GBP", "availability": "in_stock"},
            **{"url": "https://shop.example/lamp", "image": "https://shop.example/lamp.jpg"},
            "attributes": '{"shipping":{"country":"GB","price":"3.00 GBP"}}',
        },
        "茶壶": {
            **{"item_id": "茶壶", "group_id": "壶", "title": "紫砂茶壶"},
            **{"price": cash("88.8"), "currency": "CNY", "availability": "out_of_stock"},
        },
        "kettle": {
            **{"item_id": "kettle", "title": "Kettle", "price": cash("99"), "currency": "CNY"}
        },
    }


def test_merchant_atom() -> None:
    assert read("merchant/feed.atom", "merchant").items == {
        "lamp-1": {
            **{"item_id": "lamp-1", "title": "Desk lamp", "url": "https://shop.example/lamp"},
            **{"price": cash("12.5"), "currency": "GBP"},
        }
    }


LAMP = {
    **{"item_id": "lamp-1", "title": "Desk lamp", "description": "Warm {light}", "brand": "Lux"},
    **{"categories": ["Home > Lights"], "price": cash("12.5"), "currency": "GBP"},
    **{"availability": "in_stock", "url": "https://shop.example/lamp"},
    **{"image": "https://shop.example/lamp.jpg", "attributes": '{"color":"red"}'},
    "relations": '{"accessory_of":["desk-1"]}',
}


@pytest.mark.parametrize("name", ["schema-org/products.json", "schema-org/products.jsonl"])
def test_schema_org(name: str) -> None:
    got = read(name, "schema-org")
    assert got.summary.files[0].skipped == {"JSON-LD of type BreadcrumbList": 1}
    assert got.items == {
        "lamp-1": LAMP,
        "壶-大": {
            **{"item_id": "壶-大", "group_id": "壶", "title": "茶壶 大", "price": cash("120")},
            **{"currency": "CNY", "availability": "out_of_stock"},
        },
        "壶-小": {
            **{"item_id": "壶-小", "group_id": "壶", "title": "茶壶 小", "price": cash("0")},
            "currency": "CNY",
        },
    }


def test_schema_org_in_a_page() -> None:
    got = read("schema-org/page.html", "schema-org")
    assert got.items == {"lamp-1": LAMP, "g-1": {"item_id": "g-1", "title": "In a graph"}}


def test_gorse_in_one_document() -> None:
    got = read("gorse/all.json", "gorse")
    assert bare(got) == [
        {
            **{"kind": "view", "user_id": "u1", "item_id": "茶壶"},
            "time": at("2024-03-01T09:00:00"),
        },
        {
            **{"kind": "wish", "user_id": "用户7", "item_id": "lamp-1", "value": 1},
            "time": at("2024-03-01T01:01:00"),
        },
        {
            **{"kind": "purchase", "user_id": "u1", "item_id": "lamp-1"},
            "time": at("2024-03-01T10:00:00"),
        },
    ]
    assert got.items == {
        "lamp-1": {
            **{"item_id": "lamp-1", "title": "Desk lamp", "categories": ["Lights"]},
            **{"created": at("2024-01-01"), "attributes": '{"Labels":{"colour":"red"}}'},
            "attributes": '{"IsHidden":false,"Labels":{"colour":"red"}}',
        },
        "茶壶": {
            **{"item_id": "茶壶", "title": "紫砂茶壶", "created": at("2024-01-02")},
            **{"availability": "out_of_stock", "attributes": '{"IsHidden":true}'},
        },
    }
    assert got.users == {
        "u1": {"user_id": "u1", "attributes": '{"Labels":{"city":"杭州"}}'},
        "用户7": {"user_id": "用户7"},
    }
    parts = collect(SAMPLES / "gorse" / "feedback.json", SAMPLES / "gorse" / "items.jsonl")
    assert (parts.events, parts.items) == (got.events, got.items)


def test_a_dialect_can_be_named_where_it_cannot_be_guessed(tmp_path: Path) -> None:
    """A split of MovieLens is not read with its folder, but may be asked for."""
    split = tmp_path / "u1.base"
    split.write_bytes((SAMPLES / "ml-100k" / "u.data").read_bytes())
    assert not collect(split).events
    assert bare(collect(split, dialect="movielens"))[0] == rating("196", "242", 3, 881250949)
