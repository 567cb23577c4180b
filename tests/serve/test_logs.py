"""Log lines as operators read them: one for each request, which trace it is, what is often."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from endcap.serve.often import Often

ENDCAP = [str(Path(sys.prefix) / "bin" / "endcap"), "serve", "--port", "0"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "mine"}


def lines(folder: Path, asks: Any, **settings: str) -> list[dict[str, Any]]:
    """Return what `endcap serve` logs while `asks` is given a client of it."""
    command = [*ENDCAP, "--folder", str(folder)]
    env = os.environ | {f"ENDCAP_{name}": value for name, value in settings.items()}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        try:
            with httpx.Client(base_url=process.stdout.readline().strip(), timeout=30) as client:
                asks(client)
        finally:
            process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def some(client: httpx.Client) -> None:
    assert client.get("/v1/recommendations?user_id=u", headers=CALLER).status_code == 200
    assert client.delete("/v1/items/a%2Fb").status_code == 200
    assert client.get("/nowhere?secret=1").status_code == 404


def test_each_request_has_a_line_where_it_is_asked_for(tmp_path: Path) -> None:
    found = [
        line
        for line in lines(tmp_path, some, SERVE__ACCESS_LOG="true")
        if line["event"] == "request"
    ]
    told = [(line["method"], line["route"], line["status"]) for line in found]
    assert told == [
        ("GET", "/v1/recommendations", 200),
        ("DELETE", "/v1/items/{item_id}", 200),
        ("GET", "unmatched", 404),
    ]
    assert found[0]["request_id"] == "mine"
    assert len({line["request_id"] for line in found}) == 3
    assert all(0 < line["duration_ms"] < 60_000 for line in found)
    assert all("trace_id" not in line for line in found)
    assert "secret" not in json.dumps(found)


def test_by_default_nobody_is_written_down(tmp_path: Path) -> None:
    assert [line for line in lines(tmp_path, some) if line["event"] == "request"] == []


def test_every_line_of_a_traced_request_names_its_trace(tmp_path: Path) -> None:
    told = {"SERVE__ACCESS_LOG": "true", "TELEMETRY__ENDPOINT": "http://127.0.0.1:9"}
    found = [line for line in lines(tmp_path, some, **told) if "request_id" in line]
    assert len(found) == 3
    assert [line["trace_id"] for line in found if line["request_id"] == "mine"] == [TRACE]
    assert len({line["trace_id"] for line in found}) == 3
    assert all(len(line["trace_id"]) == 32 for line in found)


def test_what_is_often_is_said_once_a_second_with_its_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # one that was used before may hold on to a configuration of then
    monkeypatch.setattr("endcap.serve.often.log", structlog.get_logger())
    count = 0

    def each() -> None:
        nonlocal count
        count += 1

    async def burst() -> None:
        often = Often("slates late", each, every_s=0.2)
        for number in range(1_000):
            often(placement=f"p{number}")
        await asyncio.sleep(0.3)
        often(placement="again")
        often(placement="last")
        often.close()

    with capture_logs() as said:
        asyncio.run(burst())
    assert count == 1_002
    counts = [line["count"] for line in said]
    assert counts[:2] == [1, 999]
    assert sum(counts) == 1_002
    assert len(counts) <= 4
    assert {line["event"] for line in said} == {"slates late"}
    assert said[1]["placement"] == "p999"
    assert said[-1]["placement"] == "last"
