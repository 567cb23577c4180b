"""Single events that arrive in the same moment are one batch, and nobody notices."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_shop import Served

from endcap.serve.keys import KeyRing

AT_ONCE = 40


def view(event_id: str, who: str = "u", **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "kind": "view", "user_id": who, "item_id": "a", **more}


def post_all(
    shop: Served, events: Sequence[dict[str, Any]], headers: dict[str, str] | None = None
) -> list[httpx.Response]:
    """Post each by itself, all at once."""

    async def run() -> list[httpx.Response]:
        most = httpx.Limits(max_connections=AT_ONCE)
        url = shop.client.base_url
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=most) as client:
            posts = (client.post("/v1/events", json=e, headers=headers) for e in events)
            return await asyncio.gather(*posts)

    return asyncio.run(run())


def test_each_is_told_what_became_of_its_own(shop: Served) -> None:
    events = [view(f"e{n % 60}", f"u{n % 7}") for n in range(120)]
    events[10] = view("e10", kind="?")
    events[70] = view("e10", time="never")
    answers = post_all(shop, events)
    assert {answer.status_code for answer in answers} == {202}
    told = [answer.json() for answer in answers]
    assert sum(receipt["stored"] for receipt in told) == 59
    assert sum(receipt["duplicate"] for receipt in told) == 59
    assert all(receipt["received"] == 1 for receipt in told)
    assert [receipt["errors"][0]["code"] for receipt in (told[10], told[70])] == [
        "unknown-kind",
        "bad-time",
    ]
    assert {e["index"] for receipt in told for e in receipt["errors"]} == {0}
    stored = [i for batch in shop.runtime.store.log.scan() for i in batch["event_id"].to_pylist()]
    assert sorted(stored) == sorted({f"e{n}" for n in range(60)} - {"e10"})
    assert shop.runtime.store.quarantine.reasons() == {"unknown-kind": 1, "bad-time": 1}
    assert shop.metric("endcap_events_received_total") == 120
    assert shop.metric("endcap_events_quarantined_total") == 2
    assert shop.metric("endcap_commit_duration_seconds_count") < 118  # or they were not together
    pages = [shop.client.get(f"/v1/users/u{n}/history?limit=100").json() for n in range(7)]
    assert sum(len(page["events"]) for page in pages) == 59


def test_who_comes_too_often_does_not_take_the_others_along(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(limits={"actor_per_minute": 5})
    key = {"authorization": f"Bearer {KeyRing(tmp_path).create('public')[0]}"}
    events = [view(f"g{n}", "greedy", kind="purchase") for n in range(20)]
    events += [view(f"m{n}", f"modest{n}") for n in range(20)]
    answers = post_all(shop, events, key)
    assert Counter(answer.status_code for answer in answers[:20]) == {202: 5, 429: 15}
    assert {answer.status_code for answer in answers[20:]} == {202}
    (batch,) = shop.runtime.store.log.scan()
    assert batch.num_rows == 25
    claims = [p for p in batch["properties"].to_pylist() if p]
    assert len(claims) == 5  # purchases, from a browser


def test_a_fault_of_one_is_not_the_others(shop: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a bug of ours: whoever is stored with it is stored without it."""
    log = shop.runtime.store.log
    real = log.submit_each

    def odd(rows: Any) -> Any:
        if "poison" in rows["event_id"].to_pylist():
            raise ValueError("this one")
        return real(rows)

    monkeypatch.setattr(log, "submit_each", odd)
    answers = post_all(shop, [*(view(f"e{n}") for n in range(30)), view("poison")])
    assert [answer.status_code for answer in answers] == [202] * 30 + [500]
    assert log.count() == 30


def test_twice_in_one_moment_without_an_id_is_two_events(shop: Served) -> None:
    event = view("")
    del event["event_id"]
    told = [answer.json()["stored"] for answer in post_all(shop, [event] * 30)]
    assert told == [1] * 30
