"""Placements and their rules, edited while the shop runs."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_shop import Served

from endcap.models.chances import Chances, Curve
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings

POPULAR = {"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}
ITEMS = [
    {"item_id": f"i{n}", "brand": "AB"[n % 2], "price": 10 + n, "created": f"2026-01-0{n + 1}"}
    for n in range(6)
]


def put(shop: Served, name: str, body: Any, **query: Any) -> Any:
    return shop.client.put(f"/v1/placements/{name}", json=body, params=query)


def pin(item: str, position: int) -> dict[str, Any]:
    return {"item": item, "position": position}


def shown(shop: Served, **query: Any) -> list[str]:
    return [item["item_id"] for item in shop.slate(**query)["items"]]


def test_an_edit_shapes_the_next_slate_and_undo_takes_it_back(shop: Served) -> None:
    shop.items(*ITEMS)
    plain = shown(shop, k=4)
    assert plain == ["i5", "i4", "i3", "i2"]
    rules = {"pins": [{"item": "i0", "position": 1}], "quotas": [{"by": "brand", "max": 2}]}
    answer = put(shop, "home", {"levels": [POPULAR], "rules": rules})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["origin"], answer.json()["version"]) == ("edited", 1)
    assert answer.json()["placement"]["rules"]["pins"] == rules["pins"]
    slate = shop.slate(k=4, prices=True)
    got = [item["item_id"] for item in slate["items"]]
    assert got[0] == "i0"
    assert sum(int(i[1:]) % 2 for i in got) == 2
    assert [rule["name"] for rule in slate["rules"]] == ["at most 2 of each brand", "pin at 1"]
    assert all(rule["met"] and rule["price"] is not None for rule in slate["rules"])
    assert shop.slate(k=4)["rules"][0]["price"] is None
    undone = shop.client.post("/v1/placements/home/undo").json()["placements"]
    assert [(place["origin"], place["version"]) for place in undone] == [("recipe", 2)]
    assert shown(shop, k=4) == plain


def taught(shop: Served, folder: Path) -> None:
    """Train on purchases that make later items more popular, with chances that fall by place."""
    rows = [
        {"kind": "purchase", "user_id": f"u{u}", "item_id": f"i{i}", "event_id": f"{u}-{i}"}
        for i in range(6)
        for u in range(2 + i)
    ]
    assert shop.post(*rows).json()["stored"] == len(rows)
    curve = Curve(np.array([0.0, 0.0, -1.0]), np.array([-2.0, 0.0]), np.array([0.0, 0.5]))
    chances = Chances({("popular", "purchase"): curve}, {})
    settings = Settings.parse({"store": {"folder": folder}})
    recipe = load_recipe("simple")
    train_store(shop.runtime.store, recipe, settings, chances=lambda data: chances)
    shop.runtime.recommender.reload()


def test_an_objective_orders_the_next_slate_and_is_told_when_asked(
    shop: Served, tmp_path: Path
) -> None:
    shop.items(*({**item, "price": 1 + 9 * (n == 3)} for n, item in enumerate(ITEMS)))
    rules = {"objective": {"revenue": 1.0}}
    assert put(shop, "home", {"levels": [POPULAR], "rules": rules}).status_code == 200
    (rule,) = shop.slate(k=2)["rules"]
    assert rule["relaxed"] == "no chances were learnt: run endcap train"
    taught(shop, tmp_path)
    slate = shop.slate(k=2)
    assert slate["objective"] == {"revenue": 1.0}
    assert slate["items"][0]["item_id"] == "i3"
    assert slate["items"][0]["expected"] is None
    slate = shop.slate(k=2, explain="counterfactual")
    told = slate["items"][0]["expected"]
    assert told["click"] is None
    assert told["value"] == told["revenue"] == pytest.approx(10 * told["purchase"])
    assert slate["expected"]["purchase"] == pytest.approx(
        sum(item["expected"]["purchase"] for item in slate["items"])
    )
    wrong = {"levels": [POPULAR], "rules": {"objective": {"returns": "attributes.back"}}}
    answer = put(shop, "home", wrong)
    assert answer.status_code == 422
    assert "attributes.back" in answer.text


def test_a_new_place_lives_and_goes(shop: Served) -> None:
    shop.items(*ITEMS)
    cheap = {"levels": [POPULAR], "filter": "price < 12"}
    assert put(shop, "cheap", cheap).status_code == 200
    assert shown(shop, placement="cheap") == ["i1", "i0"]
    names = [p["name"] for p in shop.client.get("/v1/placements").json()["placements"]]
    assert {"home", "similar", "cheap"} <= set(names)
    assert shop.client.get("/v1/placements/cheap").json()["placement"]["filter"] == "price < 12"
    assert shop.client.delete("/v1/placements/cheap").json() == {"placements": []}
    assert shop.client.get("/v1/placements/cheap").status_code == 404
    assert "no placement 'cheap'" in shop.slate(placement="cheap")["reason"]
    versions = shop.client.get("/v1/placements/cheap/versions").json()["versions"]
    assert [(v["version"], v["placement"] is None) for v in versions] == [(2, True), (1, False)]
    shop.client.post("/v1/placements/cheap/undo")
    assert shown(shop, placement="cheap") == ["i1", "i0"]


@pytest.mark.parametrize(
    ("body", "hint", "where"),
    [
        ({"levels": [{**POPULAR, "weights": {"populr": 1}}]}, "'popular'", "populr"),
        ({"levels": [{**POPULAR, "wieghts": {}}]}, "'weights'", "wieghts"),
        ({"levels": [POPULAR], "fliter": "true"}, "'filter'", "fliter"),
        ({"levels": [POPULAR], "filter": "pirce < 5"}, "'price'", "^"),
        ({"levels": [POPULAR], "filter": "attributes.no == 5"}, "", "attributes.no"),
        ({"levels": [POPULAR], "rules": {"divresity": 1}}, "'diversity'", "divresity"),
        ({"levels": [POPULAR], "rules": {"exclude": "attributes.x > 1"}}, "", "attributes.x"),
        ({"levels": [POPULAR], "closed": {"then": "smilar"}}, "'similar'", "smilar"),
        ({"levels": []}, "", "levels"),
        ({"levels": [{**POPULAR, "name": "catalogue"}]}, "", "catalogue"),
    ],
)
def test_mistakes_are_refused_by_name_and_change_nothing(
    shop: Served, body: Any, hint: str, where: str
) -> None:
    shop.items(*ITEMS)
    before = shown(shop)
    answer = put(shop, "home", body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert where in problem["detail"]
    assert hint in problem.get("hint", "") + problem["detail"]
    assert shown(shop) == before
    assert shop.client.get("/v1/placements/home").json()["version"] == 0


def test_nobody_overwrites_what_they_have_not_seen(shop: Served) -> None:
    assert put(shop, "home", {"levels": [POPULAR]}, version=0).status_code == 200
    late = put(shop, "home", {"levels": [POPULAR]}, version=0)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert put(shop, "home", {"levels": [POPULAR]}, version=1).json()["version"] == 2
    assert shop.client.delete("/v1/placements/home", params={"version": 1}).status_code == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/v1/placements/home"), ("POST", "/v1/placements/home/undo")],
)
def test_what_was_never_edited_cannot_be_taken_back(shop: Served, method: str, path: str) -> None:
    assert shop.client.request(method, path).status_code == 404


def test_a_bad_name_is_refused(shop: Served) -> None:
    assert put(shop, "Home Page", {"levels": [POPULAR]}).status_code == 422


def test_the_same_key_edits_once(shop: Served) -> None:
    body = {"levels": [POPULAR]}
    for _ in range(2):
        answer = shop.client.put(
            "/v1/placements/home", json=body, headers={"idempotency-key": "edit-1"}
        )
        assert answer.json()["version"] == 1


def test_edits_are_durable_and_at_once_in_every_process(serve: Callable[..., Served]) -> None:
    one, two = serve(), serve()
    one.items(*ITEMS)
    two.runtime.live.reload()
    for n in range(5):
        body = {"levels": [POPULAR], "rules": {"pins": [{"item": f"i{n}", "position": 1}]}}
        assert put(one if n % 2 else two, "home", body).json()["version"] == n + 1
        assert shown(one, k=3)[0] == shown(two, k=3)[0] == f"i{n}"
    again = serve()
    assert shown(again, k=3)[0] == "i4"


def test_requests_under_way_see_one_version_or_the_other(shop: Served) -> None:
    shop.items(*ITEMS)
    one, two = (
        {"levels": [POPULAR], "rules": {"pins": [pin(a, 1), pin(b, 2)]}}
        for a, b in (("i0", "i1"), ("i1", "i0"))
    )
    put(shop, "home", one)
    end = threading.Event()

    def edit() -> None:
        while not end.is_set():
            for body in (two, one):
                assert put(shop, "home", body).status_code == 200

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        seen = {tuple(shown(shop, k=4)[:2]) for _ in range(60)}
    finally:
        end.set()
        editor.join()
    assert seen <= {("i0", "i1"), ("i1", "i0")}


def test_browsers_are_not_told_the_rules(shop: Served, tmp_path: Any) -> None:
    from endcap.serve.keys import KeyRing

    shop.items(*ITEMS)
    put(shop, "home", {"levels": [POPULAR], "rules": {"quotas": [{"by": "brand", "max": 1}]}})
    ring = KeyRing(tmp_path)
    public, secret = (ring.create(kind)[0] for kind in ("public", "secret"))  # type: ignore[arg-type]
    told = {
        key: shop.client.get(
            "/v1/recommendations", headers={"authorization": f"Bearer {key}"}
        ).json()["rules"]
        for key in (public, secret)
    }
    assert told[public] == []
    assert len(told[secret]) == 1


def test_fatigue_counts_what_this_server_showed(shop: Served) -> None:
    shop.items(*ITEMS)
    put(shop, "home", {"levels": [POPULAR], "rules": {"fatigue": {"cap": 2}}})
    for _ in range(2):
        assert shown(shop, k=2, visitor_id="v") == ["i5", "i4"]
        shop.runtime.impressions.flush()
    assert shown(shop, k=2, visitor_id="v") == ["i3", "i2"]
    shop.post({"kind": "click", "visitor_id": "v", "item_id": "i5"})
    assert "i5" in shown(shop, k=2, visitor_id="v")


def test_a_list_is_ranked_and_none_is_lost(shop: Served) -> None:
    shop.items(*ITEMS)
    given = ["i2", "nowhere", "i5", "i1"]
    answer = shop.client.post("/v1/recommendations", json={"rank": given, "k": 10})
    slate = answer.json()
    assert [item["item_id"] for item in slate["items"]] == ["i2", "i5", "i1"]
    assert slate["served_by"] == "given"


def test_brands_for_a_shopper(shop: Served) -> None:
    shop.items(*ITEMS)
    found = shop.client.get("/v1/groups", params={"by": "brand"}).json()
    assert [group["value"] for group in found["groups"]] == ["B", "A"]
    assert found["groups"][0]["item_ids"] == ["i5", "i3", "i1"]
    wrong = shop.client.get("/v1/groups", params={"by": "brnd"})
    assert (wrong.status_code, wrong.json()["hint"]) == (422, "Did you mean 'brand'?")


def test_an_editor_is_told_what_may_follow(shop: Served) -> None:
    shop.items(*ITEMS)

    def told(before: str) -> dict[str, Any]:
        answer = shop.client.get("/v1/filters/suggestions", params={"before": before})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    assert told("pri")["suggestions"][0] == {"text": "price", "kind": "field", "about": "a number"}
    assert told("price < 5 and bra")["start"] == 14
    assert [s["text"] for s in told("brand == ")["suggestions"]][:2] == ['"A"', '"B"']


def test_a_place_may_show_one_variant_of_each_product(shop: Served) -> None:
    shop.items(*({**item, "group_id": "all"} for item in ITEMS))
    home = {"levels": [{"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}]}
    assert put(shop, "home", {**home, "variants": "one"}).status_code == 200
    assert len(shop.client.get("/v1/recommendations", params={"k": 5}).json()["items"]) == 1
    assert put(shop, "home", {**home, "variants": "each"}).status_code == 200
    assert len(shop.client.get("/v1/recommendations", params={"k": 5}).json()["items"]) == 5
    wrong = put(shop, "home", {**home, "variants": "some"})
    assert wrong.status_code in {400, 422}


def test_what_if_is_told_over_http_where_it_is_asked_for(shop: Served, tmp_path: Path) -> None:
    shop.items(*ITEMS)
    rows = [
        {"kind": "view", "user_id": f"u{u}", "item_id": f"i{i}", "event_id": f"{u}-{i}"}
        for u in range(8)
        for i in range(6)
        if (u + i) % 3
    ]
    assert shop.post(*rows).json()["stored"] == len(rows)
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe("simple"), settings)
    shop.runtime.recommender.reload()
    asked = {"visitor_id": "v", "context_items": "i1", "k": 3, "placement": "similar"}
    plain = shop.slate(**asked)
    told = shop.slate(**asked, explain="counterfactual", lang="zh")
    assert [i["item_id"] for i in told["items"]] == [i["item_id"] for i in plain["items"]]
    assert all(item["counterfactual"] is None for item in plain["items"])
    found = told["items"][0]["counterfactual"]
    assert (found["without"], found["among"]) == ("i1", 100)
    assert "i1" in found["why"]
    assert "位" in found["why"]
    answer = shop.client.get("/v1/recommendations", params={**asked, "explain": "why"})
    assert answer.status_code == 422
