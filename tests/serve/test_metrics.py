"""What operators are told: how long stages take, what is refused or late, swaps, and the bus."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry, Histogram
from served_shop import Served, hung_histories
from structlog.testing import capture_logs

from endcap.schema.stages import STAGES, stage
from endcap.serve.stage_times import SECONDS, ManyHistogram, StageTimes
from endcap.testing.servers import RedisServer, until
from real_servers import needs_redis

DOCS = Path(__file__).parents[2] / "docs"


def counts(shop: Served) -> dict[str, float]:
    """Return how often each stage was."""
    told = shop.client.get("/metrics").text
    found = re.findall(r'endcap_stage_duration_seconds_count\{stage="(\w+)"\} (\S+)', told)
    assert {name for name, _ in found} == set(STAGES)
    return {name: float(count) for name, count in found}


def test_every_stage_of_a_slate_and_of_an_event_is_timed(shop: Served) -> None:
    shop.items({"item_id": "a"})
    before = counts(shop)
    assert shop.post({"kind": "view", "user_id": "u", "item_id": "a"}).json()["stored"] == 1
    for _ in range(5):
        shop.slate(user_id="u")
    shop.runtime.impressions.flush()
    after = counts(shop)
    passed = {name: after[name] - before[name] for name in STAGES}
    assert (passed["history"], passed["compose"], passed["say"]) == (5, 5, 5)
    assert passed["write"] >= 2  # the event, and impressions behind the answers
    assert passed["read"] >= 1  # the first, of which nobody knows how long it takes
    assert passed["wait"] + passed["read"] >= 5
    assert (passed["retrieve"], passed["rank"]) == (0, 0)  # there is no model yet


def test_many_values_at_once_are_told_as_one_after_the_other() -> None:
    values = [0.0, 0.0001, 0.00011, 0.3, 0.3, 7.0]
    texts = []
    for kind in (Histogram, ManyHistogram):
        registry = CollectorRegistry()
        child = kind("took", "Time.", ("what",), buckets=SECONDS, registry=registry).labels("x")
        if isinstance(child, ManyHistogram):
            child.observe_many(values)
        else:
            for value in values:
                child.observe(value)
        (family,) = registry.collect()
        texts.append(
            [(s.name, s.labels, s.value) for s in family.samples if "created" not in s.name]
        )
    assert texts[0] == texts[1]
    assert len(texts[0]) == len(SECONDS) + 3


def test_who_is_closed_counts_no_more() -> None:
    registry = CollectorRegistry()
    times = StageTimes(registry)
    with stage("compose"):
        pass
    times.close()
    with stage("compose"):
        pass
    labels = {"stage": "compose"}
    assert registry.get_sample_value("endcap_stage_duration_seconds_count", labels) == 1


@pytest.fixture
def stuck(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A shop with room for one slate, whose histories cannot be read until the test is over."""
    shop = serve(serve={"timeout_ms": 50, "waiting_slates": 1})
    with hung_histories(shop, monkeypatch):
        yield shop


def test_what_is_late_and_what_is_refused_is_counted_and_warned_of(
    stuck: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one that was used before may hold on to a configuration of then
    monkeypatch.setattr("endcap.serve.often.log", structlog.get_logger())
    with capture_logs() as said:
        _late_and_refused(stuck)
        stuck.runtime.misses.close()
    for event, count in (("slates late", 3), ("slates refused", 1)):
        lines = [line for line in said if line["event"] == event]
        assert sum(line["count"] for line in lines) == count
        assert {line["log_level"] for line in lines} == {"warning"}
    assert lines[0]["under_way"] == 1


def _late_and_refused(stuck: Served) -> None:
    assert stuck.metric("endcap_slates_late_total") == 0
    for _ in range(2):
        stuck.slate(user_id="u")
    assert stuck.metric("endcap_slates_late_total") == 2
    assert stuck.metric("endcap_slates_refused_total") == 0

    def ask() -> None:
        httpx.get(f"{stuck.client.base_url}/v1/recommendations?user_id=u&timeout_ms=3000")

    waits = threading.Thread(target=ask)
    waits.start()
    until(lambda: stuck.runtime.slates)
    assert stuck.client.get("/v1/recommendations?user_id=u").status_code == 503
    waits.join()
    assert stuck.metric("endcap_slates_refused_total") == 1
    assert stuck.metric("endcap_slates_late_total") == 3


def test_an_artefact_that_takes_over_is_counted(shop: Served, tmp_path: Path) -> None:
    assert shop.metric("endcap_artefact_swaps_total") == 0
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "current").write_text("20260101T000000000-deadbeef")
    shop.runtime.recommender.reload()
    assert shop.metric("endcap_artefact_swaps_total") == 1


@needs_redis
def test_the_gauge_of_the_bus_follows_redis(serve: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    try:
        shop = serve(live={"url": server.url})
        until(lambda: shop.metric("endcap_live_bus_up") == 1)
        server.stop()
        until(lambda: shop.metric("endcap_live_bus_up") == 0)
        server.start()
        until(lambda: shop.metric("endcap_live_bus_up") == 1)
    finally:
        server.stop()


def test_the_manual_names_every_metric(shop: Served) -> None:
    manual = (DOCS / "http-api.md").read_text(encoding="utf-8")
    told = re.findall(r"^# HELP (\w+)", shop.runtime.metrics.text().decode(), re.MULTILINE)
    names = [name for name in told if not name.endswith("_created")]
    assert len(names) > 15
    events = re.compile(r"endcap_events_\w+_total")
    assert [name for name in names if f"`{name}" not in manual and not events.match(name)] == []
