"""Row 28: who comes too often waits, the others do not; headers say how much is left."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_shop import Served

from endcap.schema.settings import LimitSettings, LiveSettings
from endcap.serve.keys import Key, KeyRing
from endcap.serve.rates import Rates, open_rates
from endcap.serve.rates_shared import SharedCounts, make_counts
from endcap.testing.servers import RedisServer, until
from real_servers import needs_redis


def bearer(folder: Path, kind: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {KeyRing(folder).create(kind)[0]}"}


def ask(shop: Served, headers: dict[str, str], who: str = "v") -> httpx.Response:
    params = {"visitor_id": who, "k": 1}
    return shop.client.get("/v1/recommendations", params=params, headers=headers)


def view(n: int, who: str = "v") -> dict[str, str]:
    return {"event_id": f"{who}{n}", "kind": "view", "visitor_id": who, "item_id": "i"}


def test_row_28_who_comes_too_often_is_refused_and_nobody_else(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(limits={"secret_per_minute": 20, "actor_per_minute": 5})
    greedy, modest = bearer(tmp_path, "secret"), bearer(tmp_path, "secret")
    answers = [ask(shop, greedy).status_code for _ in range(40)]
    assert answers == [200] * 20 + [429] * 20
    assert [ask(shop, modest).status_code for _ in range(10)] == [200] * 10
    assert shop.client.get("/livez").status_code == 200


def test_row_28_twin_without_a_limit_the_greedy_are_never_refused(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(limits={"secret_per_minute": 0})
    greedy = bearer(tmp_path, "secret")
    answers = [ask(shop, greedy) for _ in range(40)]
    assert {answer.status_code for answer in answers} == {200}
    assert all("ratelimit" not in answer.headers for answer in answers)


def test_headers_and_problem_say_how_much_and_how_long(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(limits={"public_per_minute": 100, "actor_per_minute": 3})
    key = bearer(tmp_path, "public")
    first = ask(shop, key)
    assert first.headers["ratelimit-policy"] == '"key";q=100;w=60, "actor";q=3;w=60'
    assert first.headers["ratelimit"].startswith('"key";r=99;t=')
    assert '"actor";r=2;t=' in first.headers["ratelimit"]
    assert [ask(shop, key).status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(shop, key)
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["code"], problem["status"]) == ("rate-limited", 429)
    assert "3 requests a minute" in problem["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert '"actor";r=0' in refused.headers["ratelimit"]
    assert ask(shop, key, "somebody else").status_code == 200


def test_a_shopper_is_counted_by_events_and_nothing_of_a_refused_batch_is_stored(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    shop = serve(limits={"actor_per_minute": 10})
    key = bearer(tmp_path, "public")
    body = {"events": [view(n) for n in range(8)]}
    assert shop.client.post("/v1/events/batch", json=body, headers=key).json()["stored"] == 8
    more = {"events": [view(n) for n in range(8, 12)]}
    assert shop.client.post("/v1/events/batch", json=more, headers=key).status_code == 429
    assert shop.runtime.store.log.count() == 8
    other = {"events": [view(n, "w") for n in range(4)]}
    assert shop.client.post("/v1/events/batch", json=other, headers=key).status_code == 202
    secret = bearer(tmp_path, "secret")  # a shop's own server speaks for many
    assert shop.client.post("/v1/events/batch", json=more, headers=secret).status_code == 202


KEY = Key("abc", "public", "", "", "")
LIMITS = LimitSettings(public_per_minute=10, actor_per_minute=6)


def came(workers: Sequence[Rates], times: int) -> tuple[int, int]:
    """Let a key and a shopper come `times`, to one worker after the other; return who got in."""
    turns = [workers[n % len(workers)] for n in range(times)]
    keys = [verdict.ok for rates in turns if (verdict := rates.key(KEY))]
    shoppers = [verdict.ok for rates in turns if (verdict := rates.actor("v"))]
    return sum(keys), sum(shoppers)


def test_workers_of_a_server_count_together(tmp_path: Path) -> None:
    make_counts(tmp_path / "rates")
    workers = [Rates(LIMITS, SharedCounts(tmp_path / "rates")) for _ in range(3)]
    assert came(workers, 30) == (10, 6)
    for worker in workers:
        worker.close()


def test_twin_workers_that_count_alone_let_in_three_times_as_many() -> None:
    assert came([Rates(LIMITS) for _ in range(3)], 30) == (30, 18)
    assert Rates(LimitSettings(actor_per_minute=0)).actor("v") is None


@needs_redis
def test_servers_that_share_a_redis_count_together_and_outlive_it(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    live = LiveSettings(url=server.url, prefix="rates")
    servers = [open_rates(LIMITS, live) for _ in range(3)]
    try:
        assert came(servers, 30) == (10, 6)
        server.stop()
        assert came(servers, 30) == (30, 18)
        server.start()
        until(lambda: came(servers, 300) == (0, 0) or came(servers, 3) == (0, 0))
    finally:
        for one in servers:
            one.close()
        server.stop()


def test_counts_slide_with_the_minute_and_strangers_make_room(tmp_path: Path) -> None:
    now = [6000.0]
    make_counts(tmp_path / "rates", slots=64)
    counts = SharedCounts(tmp_path / "rates", clock=lambda: now[0])
    assert [counts.acquire_sliding_window_entry("v", 6, 60) for _ in range(7)] == [True] * 6 + [
        False
    ]
    now[0] += 90  # half of the minute before still counts
    assert [counts.acquire_sliding_window_entry("v", 6, 60) for _ in range(4)] == [True] * 3 + [
        False
    ]
    now[0] += 120
    assert counts.get_sliding_window("v", 60)[::2] == (0, 0)
    assert counts.acquire_sliding_window_entry("v", 6, 60, 5)
    for stranger in range(500):
        assert counts.acquire_sliding_window_entry(f"s{stranger}", 6, 60)
    assert counts.get_sliding_window("v", 60)[2] == 5  # who comes often is not the one to leave
    counts.clear_sliding_window("v", 60)
    assert counts.get_sliding_window("v", 60)[2] == 0
    counts.close()


@pytest.mark.parametrize("cost", [7, 1000])
def test_more_at_once_than_a_minute_allows_is_refused_and_costs_nothing(cost: int) -> None:
    rates = Rates(LimitSettings(actor_per_minute=6))
    verdict = rates.actor("v", cost)
    assert verdict is not None
    assert not verdict.ok
    after = rates.actor("v", 6)
    assert after is not None
    assert after.ok
