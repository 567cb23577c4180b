"""Rows 24, 25 and 34: an answer in time, or an honest refusal; never a queue without end."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from served_shop import Served, hung_histories


@pytest.fixture
def stuck(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A shop whose histories cannot be read until the test is over, as behind a hung disk."""
    shop = serve(serve={"timeout_ms": 100, "waiting_slates": 6})
    shop.items({"item_id": "a"}, {"item_id": "gone", "availability": "out_of_stock"})
    with hung_histories(shop, monkeypatch):
        yield shop


def test_row_25_a_slate_that_takes_too_long_comes_from_the_catalogue(stuck: Served) -> None:
    for more in ({}, {"timeout_ms": 50}):
        began = time.monotonic()
        slate = stuck.slate(user_id="u", **more)
        assert time.monotonic() - began >= more.get("timeout_ms", 100) / 1000
        assert [item["item_id"] for item in slate["items"]] == ["a"]
        assert (slate["served_by"], slate["degraded"]) == ("catalogue", True)
        assert f"within {more.get('timeout_ms', 100)} ms" in slate["reason"]


def test_row_25_twin_without_a_deadline_the_shopper_waits_for_the_disk(stuck: Served) -> None:
    with pytest.raises(httpx.ReadTimeout):
        stuck.client.get("/v1/recommendations?user_id=u&timeout_ms=25000", timeout=1)


def test_row_24_who_asks_for_too_much_is_told_to_come_back_and_events_go_on(stuck: Served) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=stuck.client.base_url, timeout=30) as client:
            answers.append(client.get("/v1/recommendations?user_id=u&timeout_ms=3000"))

    crowd = [threading.Thread(target=ask) for _ in range(20)]
    for one in crowd:
        one.start()
    event = {"kind": "view", "visitor_id": "v", "item_id": "a"}
    assert stuck.client.post("/v1/events", json=event).json()["stored"] == 1
    for one in crowd:
        one.join()
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) >= 1
    assert len(answers) - len(refused) >= 6
    for answer in refused:
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("overloaded", "1")
    assert stuck.slate(user_id="u")["items"]  # and when they are gone, all is as before


def test_row_34_what_is_stuck_takes_no_more_threads(stuck: Served) -> None:
    before = threading.active_count()
    for _ in range(12):
        assert stuck.slate(user_id="u", timeout_ms=20)["degraded"]
    assert threading.active_count() <= before + 4
