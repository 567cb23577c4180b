"""What a browser says it bought is a claim: kept, seen by whoever claims it, weighed less."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served

from endcap.prepare.run import prepare_store
from endcap.schema.settings import Settings
from endcap.schema.trust import claim, is_claimed
from endcap.serve.keys import KeyRing


def bearer(folder: Path, kind: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {KeyRing(folder).create(kind)[0]}"}


def purchase(n: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"p{n}", "kind": "purchase", "user_id": f"u{n}", "item_id": "lamp", "price": 2,
        "currency": "GBP", **more,
    }  # fmt: skip


def stored(shop: Served) -> dict[str, dict[str, Any]]:
    batches = shop.runtime.store.log.scan()
    return {row["event_id"]: row for batch in batches for row in batch.to_pylist()}


def test_a_public_keys_purchase_is_marked_and_a_secret_keys_is_not(
    shop: Served, tmp_path: Path
) -> None:
    public, secret = bearer(tmp_path, "public"), bearer(tmp_path, "secret")
    forged = {"endcap_trust": "proved", "colour": '"endcap_trust":"claimed"'}
    post = shop.client.post
    assert post("/v1/events", json=purchase(1), headers=public).status_code == 202
    assert post("/v1/events", json=purchase(2), headers=secret).status_code == 202
    assert post("/v1/events", json=purchase(3, properties=forged), headers=public).is_success
    view = {**purchase(4), "kind": "view", "properties": forged}
    assert post("/v1/events", json=view, headers=public).is_success
    rows = stored(shop)
    assert [is_claimed(rows[f"p{n}"]["properties"]) for n in (1, 2, 3, 4)] == [
        True, False, True, False,
    ]  # fmt: skip
    kept = json.loads(rows["p3"]["properties"])
    assert kept == {**forged, "endcap_trust": "claimed"}
    history = shop.client.get("/v1/users/u1/history", headers=secret).json()["events"]
    assert [(row["item_id"], row["kind"]) for row in history] == [("lamp", "purchase")]


def test_everybody_else_hears_less_of_it(serve: Callable[..., Served], tmp_path: Path) -> None:
    shop = serve(prepare={"claimed_weight": 0.5})
    public, secret = bearer(tmp_path, "public"), bearer(tmp_path, "secret")
    claimed = purchase(1, item_id="claimed", user_id="a")
    proved = purchase(2, item_id="proved", user_id="b")
    assert shop.client.post("/v1/events", json=claimed, headers=public).is_success
    assert shop.client.post("/v1/events", json=proved, headers=secret).is_success
    counts = {name: item.count for name, item in shop.runtime.live.live._items.items()}
    assert counts["claimed"] == pytest.approx(counts["proved"] / 2, rel=1e-3)


@pytest.mark.parametrize(("weight", "share"), [(0.5, 0.5), (1.0, 1.0), (0.0, None)])
def test_training_weighs_claims_or_leaves_them_out(
    shop: Served, tmp_path: Path, weight: float, share: float | None
) -> None:
    public, secret = bearer(tmp_path, "public"), bearer(tmp_path, "secret")
    shop.client.post("/v1/events", json=purchase(1), headers=public)
    shop.client.post("/v1/events", json=purchase(2), headers=secret)
    settings = Settings.parse(
        {"store": {"folder": tmp_path}, "prepare": {"claimed_weight": weight}}
    )
    data = prepare_store(shop.runtime.store, settings).dataset
    found = {data.users.ids([u])[0]: w for u, w in zip(
        data.column("user").tolist(), data.column("weight").tolist(), strict=True)}  # fmt: skip
    if share is None:
        assert set(found) == {"u2"}
    else:
        assert found["u1"] == pytest.approx(share * found["u2"], rel=1e-3)


def test_no_text_of_a_client_can_pass_for_the_mark() -> None:
    assert is_claimed(claim(None))
    assert is_claimed(claim('{"a": 1, "endcap_trust": "proved"}'))
    assert not is_claimed(json.dumps({"note": '"endcap_trust":"claimed"'}))
    assert not is_claimed(None)
