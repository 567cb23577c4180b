"""Rows 3, 4 and 11: a disk that fails, a disk that is full, and clocks that are wrong."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_shop import ShopProcess, stored

pytestmark = pytest.mark.slow


def view(event_id: str, **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "kind": "view", "user_id": "u", "item_id": "a", **more}


def post(client: httpx.Client, *events: dict[str, Any]) -> httpx.Response:
    return client.post("/v1/events/batch", json={"events": list(events)})


def answers_slates(client: httpx.Client) -> bool:
    answer = client.get("/v1/recommendations?user_id=u")
    return answer.status_code == 200 and [i["item_id"] for i in answer.json()["items"]] == ["a"]


def traceable() -> bool:
    strace = shutil.which("strace")
    return (
        bool(strace) and subprocess.run([str(strace), "-qq", "true"], check=False).returncode == 0
    )


@pytest.mark.skipif(not traceable(), reason="needs strace and the right to trace")
def test_row_3_a_failed_fsync_is_never_acknowledged_and_slates_go_on(tmp_path: Path) -> None:
    """Every fsync fails from some moment on; whatever was acknowledged was stored before it."""
    folder = tmp_path / "shop"
    acknowledged = set()
    with ShopProcess(folder) as shop, shop.client() as client:
        assert client.put("/v1/items", json={"items": [{"item_id": "a"}]}).status_code == 200
        assert shop.stop() == 0
    inject = "inject=fdatasync,fsync:error=EIO:when=12+"
    before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject]
    with ShopProcess(folder, before=before) as shop, shop.client() as client:
        for n in range(60):
            answer = post(client, view(f"e{n}"))
            if answer.status_code == 202:
                acknowledged.add(f"e{n}")
            else:
                break
        assert answer.status_code == 503, shop.said()
        assert answer.headers["retry-after"]
        assert answer.json()["code"] == "store-read-only"
        refused = {f"later-{n}" for n in range(5)}
        for event_id in refused:
            assert post(client, view(event_id)).status_code == 503  # and it is not tried again
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["store"]["ok"]) == (503, False)
        assert client.get("/livez").status_code == 200
        assert answers_slates(client)
        subprocess.run(["kill", "-9", str(_child(shop))], check=True)
    rows = set(stored(folder))
    assert acknowledged <= rows
    assert not refused & rows


def _child(shop: ShopProcess) -> int:
    """Return the server that a tracer runs."""
    tasks = Path(f"/proc/{shop.process.pid}/task/{shop.process.pid}/children").read_text()
    return int(tasks.split()[0])


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.torture
def test_row_4_a_full_disk_is_survived_and_heals_without_a_restart(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    with small_disk(tmp_path / "disk", "6m") as disk:
        folder = disk / "shop"
        with ShopProcess(folder) as shop, shop.client() as client:
            assert client.put("/v1/items", json={"items": [{"item_id": "a"}]}).status_code == 200
            for n in range(400):
                batch = [view(f"{n}-{k}", properties={"x": "y" * 900}) for k in range(50)]
                answer = post(client, *batch)
                if answer.status_code != 202:
                    break
                acknowledged |= {event["event_id"] for event in batch}
            assert answer.status_code == 507, answer.text
            assert answer.json()["code"] == "store-full"
            assert answers_slates(client)
            again = [{**event, "event_id": f"full {event['event_id']}"} for event in batch]
            assert post(client, *again).status_code == 507
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            end = time.monotonic() + 30
            while (healed := post(client, view("healed"))).status_code != 202:
                assert time.monotonic() < end, healed.text
                time.sleep(0.2)
            assert client.get("/readyz").status_code == 200
            acknowledged.add("healed")
            assert shop.stop() == 0
        rows = stored(folder)
        assert acknowledged <= set(rows)
        assert not any(row.startswith("full") for row in rows)
        assert len(rows) == len(set(rows))


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def false_clock(jump: str) -> dict[str, str]:
    """Return the environment of a program whose wall clock is `jump` off."""
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": jump, "DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.skipif(FAKETIME is None, reason="needs faketime")
def test_row_11_a_server_whose_clock_jumps_forgets_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    seen = []
    for n, jump in enumerate(("+0", "-1h", "+1y")):
        with ShopProcess(folder, env=false_clock(jump)) as shop, shop.client() as client:
            assert client.put("/v1/items", json={"items": [{"item_id": "a"}]}).status_code == 200
            receipt = post(client, view("always the same"), view(f"e{n}")).json()
            seen.append((receipt["stored"], receipt["duplicate"]))
            now = datetime.now(UTC)
            told = post(
                client,
                view(f"corrected {n}", time=(now - timedelta(seconds=30)).isoformat())
                | {"sent_at": now.isoformat()},
            ).json()
            assert told["stored"] == 1, told
            assert answers_slates(client) or jump == "+0"
            assert shop.stop() == 0, shop.said()
    assert seen == [(2, 0), (1, 1), (1, 1)]
    assert len(stored(folder)) == 7


@pytest.mark.skipif(FAKETIME is None, reason="needs faketime")
def test_row_11_a_client_a_year_off_is_corrected(tmp_path: Path) -> None:
    """The clients are programs of their own under a false clock."""
    program = (
        "import sys, datetime, httpx; now = datetime.datetime.now(datetime.UTC).isoformat();"
        "print(now[:4]);"
        "e = {'kind': 'view', 'user_id': 'u', 'item_id': 'a', 'event_id': sys.argv[2],"
        " 'time': now, 'sent_at': now};"
        "print(httpx.post(sys.argv[1] + '/v1/events', json=e).json()['stored'])"
    )
    with ShopProcess(tmp_path / "shop") as shop:
        for jump in ("+1y", "-1y"):
            command = [sys.executable, "-c", program, shop.url, jump]
            env = {**os.environ, **false_clock(jump)}
            year, count = subprocess.check_output(command, text=True, env=env).split()
            assert int(year) != datetime.now(UTC).year
            assert count == "1"
        with shop.client() as client:
            events = client.get("/v1/users/u/history").json()["events"]
    for event in events:
        off = datetime.now(UTC) - datetime.fromisoformat(event["time"])
        assert abs(off) < timedelta(seconds=60)
    assert len(events) == 2
