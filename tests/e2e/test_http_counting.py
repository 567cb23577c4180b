"""Rows 5 and 8: retrying is free, and every event sent is accounted for."""

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_shop import ShopProcess, stored

pytestmark = pytest.mark.slow
CLASSES = ("received", "stored", "duplicate", "rejected", "quarantined")


def counted(client: httpx.Client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    values = dict(line.split() for line in lines if line.startswith("endcap_events_"))
    return {name: float(values[f"endcap_events_{name}_total"]) for name in CLASSES}


def sent(seed: int, count: int) -> list[dict[str, Any]]:
    """Return events of which one in twenty is malformed and one in ten a repetition."""
    rng = random.Random(seed)
    events: list[dict[str, Any]] = []
    for n in range(count):
        good = {"event_id": f"{seed}-{n}", "kind": "view", "user_id": "u", "item_id": f"i{n % 9}"}
        bad = {**good, rng.choice(["kind", "user_id"]): rng.choice(["null", "", "?\0"])}
        told = [e for e in events[-50:] if e["event_id"] and "class" not in e]
        dice = rng.random()
        events.append(bad if dice < 0.05 else rng.choice(told) if dice < 0.15 and told else good)
    return events


def expected(events: list[dict[str, Any]]) -> Counter[str]:
    """Count as the client knows it: by what it made, not by what the server says."""
    count: Counter[str] = Counter(received=len(events))
    seen: set[str] = set()
    for event in events:
        if event["kind"] != "view" or event["user_id"] != "u":
            count["quarantined"] += 1
        elif event["event_id"] in seen:
            count["duplicate"] += 1
        else:
            seen.add(event["event_id"])
            count["stored"] += 1
    return count


def test_row_8_the_servers_count_is_the_clients_count(tmp_path: Path) -> None:
    total: Counter[str] = Counter()
    with ShopProcess(tmp_path / "shop") as shop:

        def send(seed: int) -> None:
            events = sent(seed, 2500)
            with shop.client() as client:
                for start in range(0, len(events), 100):
                    batch = {"events": events[start : start + 100]}
                    assert client.post("/v1/events/batch", json=batch).status_code == 202
            total.update(expected(events))

        threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with shop.client() as client:
            counts = counted(client)
        assert shop.stop() == 0
    assert counts == {name: total[name] for name in CLASSES}
    assert counts["received"] == 10_000
    assert counts["received"] == sum(counts[name] for name in CLASSES[1:])
    assert total["quarantined"] > 250
    assert total["duplicate"] > 500
    assert len(stored(tmp_path / "shop")) == total["stored"]


def test_row_5_a_hundred_retries_from_eight_clients_are_one_row(tmp_path: Path) -> None:
    event = {"event_id": "once", "kind": "view", "user_id": "u", "item_id": "a"}
    outcomes: list[str] = []
    with ShopProcess(tmp_path / "shop") as shop:

        def retry() -> None:
            with shop.client() as client:
                for _ in range(13):
                    receipt = client.post("/v1/events", json=event).json()
                    outcomes.append("stored" if receipt["stored"] else "duplicate")

        threads = [threading.Thread(target=retry) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(outcomes) == {"stored": 1, "duplicate": 103}
    assert stored(tmp_path / "shop") == ["once"]
