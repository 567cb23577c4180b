"""One command serves and learns: the worker beside the server comes and goes with it."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from http_shop import ENDCAP, ShopProcess

pytestmark = pytest.mark.slow
QUICK = {
    "ENDCAP_WORKER__RECIPE": "simple",
    "ENDCAP_WORKER__LOOK_SECONDS": "0.2",
    "ENDCAP_WORKER__NICE": "0",
}
COMMAND = [*ENDCAP, "--with-worker"]


def workers(shop: ShopProcess, *, but: int = 0) -> list[psutil.Process]:
    found = psutil.Process(shop.process.pid).children()
    return [p for p in found if p.pid != but and "--tied" in " ".join(p.cmdline())]


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_events_become_a_model_without_another_command(tmp_path: Path) -> None:
    with ShopProcess(tmp_path / "shop", COMMAND, env=QUICK) as shop, shop.client() as client:
        rows = [
            {"kind": "purchase", "user_id": f"u{n % 20}", "item_id": f"i{n % 20 % 3 + n // 20}"}
            for n in range(100)
        ]
        assert client.get("/version").json()["artefact"] == ""
        assert client.post("/v1/events/batch", json={"events": rows}).json()["stored"] == 100
        artefact = wait_for(lambda: client.get("/version").json()["artefact"])
        slate = client.get("/v1/recommendations?user_id=u1&k=3").json()
        assert slate["artefact"] == artefact
        counted = 'endcap_train_runs_total{result="promoted"} 1.0'
        wait_for(lambda: counted in client.get("/metrics").text)
        (tied,) = workers(shop)
        assert shop.stop() == 0
        assert gone(tied)
        assert "Fatal" not in shop.said()


def test_it_is_replaced_when_it_dies_and_dies_with_a_killed_server(tmp_path: Path) -> None:
    with ShopProcess(tmp_path / "shop", COMMAND, env=QUICK) as shop:
        (first,) = workers(shop)
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: gone(first))
        (second,) = wait_for(lambda: workers(shop, but=first.pid))
        wait_for((tmp_path / "shop" / "worker.json").exists)
        shop.kill()
        wait_for(lambda: gone(second))
