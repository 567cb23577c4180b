"""Past slates made again over HTTP: the same bits, or a clear word of what is gone."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_shop import Served

from endcap.cli import app as cli
from endcap.recommend.artefacts import current
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.testing.servers import until

NOW = datetime.now(UTC)
ITEMS = 24


def goods(n: int, **more: Any) -> dict[str, Any]:
    return {"item_id": f"i{n}", "title": f"{'red' if n % 2 else 'blue'} thing {n}",
            "brand": "ABC"[n % 3], "price": 5 + n, "stock": 3, **more}  # fmt: skip


def view(number: int, who: str, item: int, **more: Any) -> dict[str, Any]:
    when = NOW - timedelta(minutes=500 - number)
    return {"event_id": f"e{number}", "kind": "view", "time": when.isoformat(),
            "item_id": f"i{item}", **({"user_id": who} if who[0] == "u" else {"visitor_id": who}),
            **more}  # fmt: skip


def learn(shop: Served, folder: Path) -> None:
    """Train with the real models and let the server take it up."""
    settings = Settings.parse({"store": {"folder": folder}})
    train_store(shop.runtime.store, load_recipe("simple"), settings)
    shop.runtime.recommender.reload()


@pytest.fixture
def lively(shop: Served, tmp_path: Path) -> tuple[Served, list[dict[str, Any]]]:
    """A shop in which everything changes while it answers, and all that it answered."""
    rng = np.random.default_rng(4)
    people = [*(f"u{n}" for n in range(8)), "v1", "v2"]
    shop.items(*(goods(n) for n in range(ITEMS)))
    number = 0

    def act(n: int) -> None:
        nonlocal number
        rows = []
        for _ in range(n):
            kind = ("view", "cart", "purchase")[int(rng.integers(3))]
            item = int(rng.integers(ITEMS))
            rows.append(view(number, people[int(rng.integers(10))], item, kind=kind))
            number += 1
        assert shop.post(*rows).status_code == 202

    answered: list[dict[str, Any]] = []

    def ask(n: int) -> None:
        for _ in range(n):
            who = people[int(rng.integers(10))]
            asked = {"k": int(rng.integers(3, 9)), "seed": int(rng.integers(3))}
            asked["user_id" if who[0] == "u" else "visitor_id"] = who
            if rng.random() < 0.4:
                asked |= {"context_items": f"i{rng.integers(ITEMS)}", "placement": "similar"}
            if rng.random() < 0.3:
                asked |= {"filter": "price < 20", "boost": "1 + 0.1 * price"}
            answered.append(shop.slate(**asked))
            act(2)

    act(80)
    ask(3)
    learn(shop, tmp_path)
    ask(8)
    shop.items(goods(3, stock=0), goods(4, title="Another name", price=99))
    shop.client.delete("/v1/items/i7")
    ask(6)
    shop.client.post("/v1/alias", json={"visitor_id": "v1", "user_id": "u3"})
    rules = {
        "diversity": 0.3,
        "reach": 0.2,
        "fatigue": {"half_after": 2},
        "pins": [{"item": "i5", "position": 2}],
        "quotas": [{"by": "brand", "max": 2}],
    }
    home = shop.client.get("/v1/placements/home").json()["placement"] | {"rules": rules}
    assert shop.client.put("/v1/placements/home", json=home).status_code == 200
    ask(8)
    shop.items(*(goods(n, price=40 - n) for n in range(ITEMS)))
    learn(shop, tmp_path)
    ask(6)
    shop.runtime.impressions.flush()
    return shop, answered


def replay(shop: Served, slate: dict[str, Any]) -> dict[str, Any]:
    answer = shop.client.get(f"/v1/slates/{slate['request_id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_slate_is_made_again_after_all_that_changed(
    lively: tuple[Served, list[dict[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, answered = lively
    assert len({slate["artefact"] for slate in answered}) == 3
    assert any(slate["rules"] for slate in answered)
    for slate in answered:
        again = replay(shop, slate)
        assert (again["identical"], again["gone"]) == (True, [])
        assert again["slate"]["items"] == slate["items"]
    code = cli.run(["replay", answered[9]["request_id"], "--folder", str(tmp_path)])
    assert code == 0
    assert "identical" in capsys.readouterr().out


def test_the_present_would_answer_otherwise(
    lively: tuple[Served, list[dict[str, Any]]],
) -> None:
    """The twin: without what was kept, the same questions get other answers."""
    shop, answered = lively
    changed = 0
    for slate in answered[3:17]:
        request = replay(shop, slate)["request"]
        now = shop.client.post("/v1/recommendations", json=request).json()
        changed += now["items"] != slate["items"]
    assert changed > 7


def test_what_is_gone_is_said(lively: tuple[Served, list[dict[str, Any]]], tmp_path: Path) -> None:
    shop, answered = lively
    first, last = answered[3], answered[-1]
    assert first["artefact"] != last["artefact"] == current(tmp_path)
    shutil.rmtree(tmp_path / "models" / first["artefact"])
    lost = replay(shop, first)
    assert (lost["identical"], lost["slate"]) == (False, None)
    assert first["artefact"] in lost["gone"][0]
    assert lost["answered"] == [item["item_id"] for item in first["items"]]
    with sqlite3.connect(tmp_path / "events.db") as database:
        database.execute("DELETE FROM events WHERE kind <> 'impression'")
    lost = replay(shop, next(slate for slate in reversed(answered) if slate["items"]))
    assert not lost["identical"]
    assert "the log no longer has" in lost["gone"][0]


def test_an_unknown_slate_is_no_slate(shop: Served) -> None:
    answer = shop.client.get("/v1/slates/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-slate")


def test_nothing_is_kept_where_nobody_wants_it(serve: Callable[..., Served]) -> None:
    shop = serve(serve={"replay_days": 0})
    shop.items(goods(1))
    slate = shop.slate(user_id="u1", k=1)
    assert shop.client.get(f"/v1/slates/{slate['request_id']}").status_code == 404


def test_what_is_too_old_goes_when_a_server_starts(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(serve={"replay_days": 0})
    shop.items(*(goods(n) for n in range(3)))
    assert shop.runtime.store.catalogue.position() == 3
    again = serve(serve={"replay_days": 0})
    until(lambda: again.runtime.store.catalogue.position() == 0)
    again.items(goods(9))
    assert again.runtime.store.catalogue.position() == 4
