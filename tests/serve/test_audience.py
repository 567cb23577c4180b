"""Whom an item is for, over HTTP: pages that together are what the whole says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.client import Client, Refused
from endcap.recommend.places.audience import audience
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.serve.keys import KeyRing

USERS = 29


def taught(shop: Served, folder: Path) -> None:
    """Train on a checkerboard: even users have even items, but for one withheld each."""
    rows = [
        {"kind": "purchase", "user_id": f"u{u:02}", "item_id": f"i{i:02}", "event_id": f"{u}-{i}"}
        for u in range(USERS)
        for i in range(13)
        if (u - i) % 2 == 0 and i != u % 13
    ]
    assert shop.post(*rows).json()["stored"] == len(rows)
    settings = Settings.parse({"store": {"folder": folder}})
    train_store(shop.runtime.store, load_recipe("simple"), settings)
    shop.runtime.recommender.reload()


@pytest.fixture
def trained(shop: Served, tmp_path: Path) -> Served:
    taught(shop, tmp_path)
    return shop


def pages(shop: Served, limit: int) -> list[dict[str, Any]]:
    ask: dict[str, Any] = {"items": ["i04"], "limit": limit}
    out = [shop.client.get("/v1/audience", params=ask).json()]
    while out[-1]["next"]:
        body = {**ask, "cursor": out[-1]["next"]}
        out.append(shop.client.post("/v1/audience", json=body).json())
    return out


def test_pages_together_are_the_whole_audience(trained: Served) -> None:
    runtime = trained.runtime
    model = runtime.recommender.current.loaded
    home = runtime.recommender.current.placements["home"]
    whole = audience(model, home, ["i04"], runtime.live)
    assert whole[0].user_id in {"u04", "u17"}
    parts = pages(trained, 7)
    assert [part["asked"] for part in parts] == [7, 14, 21, 28, 29]
    assert {(part["users"], part["artefact"]) for part in parts} == {(USERS, model.id)}
    found = sorted((-m["score"], m["user_id"]) for part in parts for m in part["members"])
    assert [user for _, user in found] == [member.user_id for member in whole]
    assert [-score for score, _ in found] == pytest.approx([member.score for member in whole])
    for part in parts:
        scores = [member["score"] for member in part["members"]]
        assert scores == sorted(scores, reverse=True)
    with Client(str(trained.client.base_url)) as client:
        asked = client.audience(["i04"], k=2)
    assert [member.user_id for member in asked] == [member.user_id for member in whole[:2]]


def test_who_buys_it_meanwhile_is_left_out(trained: Served) -> None:
    before = [member["user_id"] for part in pages(trained, 1000) for member in part["members"]]
    trained.post({"kind": "purchase", "user_id": before[0], "item_id": "i04"})
    after = [member["user_id"] for part in pages(trained, 1000) for member in part["members"]]
    assert after == before[1:]


@pytest.mark.parametrize(
    ("ask", "status", "said"),
    [
        ({"items": ["no-such"]}, 422, "no-such"),
        ({"items": []}, 422, "items"),
        ({"items": ["i04"], "placement": "hmoe"}, 404, "'home'"),
        ({"items": ["i04"], "limit": 1001}, 422, "limit"),
        ({"items": ["i04"], "cursor": "ff"}, 422, "cursor"),
        ({"items": ["i04"], "cursor": "62792f37"}, 409, "new model"),
        ({"items": ["i"] * 1001}, 422, "items"),
    ],
)
def test_mistakes_are_named(trained: Served, ask: Any, status: int, said: str) -> None:
    answer = trained.client.post("/v1/audience", json=ask)
    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_without_a_model_nobody_is_known_and_no_artefact_named(shop: Served) -> None:
    page = shop.client.get("/v1/audience", params={"items": "i04"}).json()
    assert (page["artefact"], page["users"], page["members"], page["next"]) == ("", 0, [], None)


def test_a_browser_may_not_ask(trained: Served, tmp_path: Path) -> None:
    browser, _ = KeyRing(tmp_path).create("public")
    with (
        Client(str(trained.client.base_url), key=browser) as client,
        pytest.raises(Refused) as refused,
    ):
        client.audience(["i04"])
    assert (refused.value.status, refused.value.problem) == (403, "key-too-weak")


def test_one_at_a_time(trained: Served) -> None:
    survey = trained.runtime.turns.survey
    asyncio.run(survey.acquire())
    answer = trained.client.get("/v1/audience", params={"items": "i04"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert trained.client.get("/v1/recommendations").status_code == 200
    survey.release()
    assert trained.client.get("/v1/audience", params={"items": "i04"}).status_code == 200
