"""``endcap probe`` against a real server: what it finds, and that it leaves nothing behind."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from served_shop import Served

from endcap.cli import app as cli
from endcap.client.probing import Effect, summary
from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.actors import PROBE
from endcap.schema.settings import Settings
from endcap.testing.servers import free_port, until

PROBING = [str(Path(sys.prefix) / "bin" / "endcap"), "probe"]


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """Shoppers keep to lamps or to tables; the models are trained."""
    shop = serve()
    shop.items(*[{"item_id": f"{k}{n}", "title": f"{k} {n}"} for k in ("lamp", "table")
                 for n in range(12)])  # fmt: skip
    shop.post(
        *[
            {"kind": "view", "user_id": f"u{u}", "item_id": f"{kind}{(u + n * n) % 12}"}
            for u in range(40)
            for n in range(4)
            for kind in [("lamp", "table")[u % 2]]
        ]
    )
    settings = Settings.parse({"store": {"folder": tmp_path}})
    train_store(shop.runtime.store, load_recipe("simple"), settings)
    shop.runtime.recommender.reload()
    return shop


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, float | None]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["what"]: line["seconds"] for line in lines}


def test_it_finds_every_effect_and_leaves_nothing_to_learn_from(
    shop: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(shop.client.base_url)
    asked = ["probe", url, "--json", "--like", "lamp1", "--others"]
    assert cli.run([*asked, "--timeout", "60s"]) == 0
    seen = found(capsys)
    assert set(seen) == {"new-item", "self", "others", "withdrawn-item"}
    assert all(seconds is not None and seconds > 0 for seconds in seen.values())
    ids = {item["item_id"] for item in shop.client.get("/v1/items?limit=100").json()["items"]}
    assert len(ids) == 24
    store = open_store(Settings.parse({"store": {"folder": tmp_path}}).store)
    data = prepare_store(store, Settings()).dataset
    store.close()
    assert not [user for user in data.users.array.to_pylist() if PROBE in user]
    assert set(data.items.array.to_pylist()) == ids


def test_what_does_not_show_is_said(shop: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """The twin: without models nobody ranks what was posted just now."""
    (shop.runtime.settings.store.folder / "models" / "current").unlink()
    shop.runtime.recommender.reload()
    asked = ["probe", str(shop.client.base_url), "--json", "--timeout", "0.5s"]
    assert cli.run(asked) == 1
    seen = found(capsys)
    assert seen["new-item"] is None
    assert seen["self"] is not None


def test_a_server_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["probe", "http://127.0.0.1:1"]) == 1
    assert "endcap serve" in capsys.readouterr().err


def test_what_others_see_shows_each_time_however_busy_the_shop(
    shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place among the first 50 would not move: hundreds have looked at what goes together."""
    for n in range(0, 900, 30):
        shop.post(
            *[
                {"kind": "view", "user_id": f"n{who}", "item_id": f"{kind}{item}"}
                for who in range(n, n + 30)
                for kind in [("lamp", "table")[who % 2]]
                for item in (who % 12, (who + 1 + who % 3) % 12)
            ]
        )
    asked = ["probe", str(shop.client.base_url), "--json", "--others", "--count", "4"]
    assert cli.run([*asked, "--timeout", "60s"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {line["what"]: line for line in lines}
    assert (told["others"]["probes"], told["others"]["missed"]) == (4, 0)
    assert 0 < told["others"]["p50_ms"] <= told["others"]["p99_ms"]


def test_a_server_that_does_not_count_along_is_caught(
    shop: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.runtime.live, "_count", lambda rows: None)
    url = str(shop.client.base_url)
    assert cli.run(["probe", url, "--json", "--others", "--timeout", "0.5s"]) == 1
    assert found(capsys)["others"] is None


def test_told_to_stop_it_takes_its_item_along(shop: Served) -> None:
    """In the middle of a probe, and between two; what a killed one left goes, too."""
    killed, other = f"{PROBE}-killed-item", f"{PROBE}-other-item"
    expiry = {killed: "2026-01-02T03:04:05+00:00", other: "2999-01-02T03:04:05+00:00"}
    shop.items(*({"item_id": i, "expires": when} for i, when in expiry.items()))
    for middle in (True, False):
        port = free_port()
        command = [*PROBING, str(shop.client.base_url), "--every", "1s", "--like", "lamp1"]
        with subprocess.Popen([*command, "--metrics-port", str(port)]) as probing:
            if middle:
                until(lambda: not set(left(shop)) <= {killed, other}, seconds=60)
            else:
                until(lambda: 'effect_seconds_count{what="self"}' in told(port), seconds=60)  # noqa: B023
            probing.send_signal(signal.SIGTERM)
            assert probing.wait(60) == 0
        assert left(shop) == [other]


def left(shop: Served) -> list[str]:
    """Return the items of probes in the catalogue."""
    return [i for i in shop.runtime.live.item_ids() if i.startswith(PROBE)]


def told(port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return ""


def test_quantiles_are_times_that_were_measured() -> None:
    runs = [[Effect("self", n / 1000, 1)] for n in range(100, 0, -1)]
    runs.append([Effect("self", None, 9)])
    figures = {"probes": 101, "missed": 1, "p50_ms": 50.0, "p99_ms": 99.0}
    assert summary(runs) == {"self": figures}
