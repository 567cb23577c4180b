"""What the page says when the store is full, and what it draws of a very long history."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_world import NOW, build, items, purchases
from starlette.applications import Starlette

from endcap.events.store import Receipt
from endcap.schema.errors import StoreFullError
from endcap.schema.settings import Settings, StoreSettings
from endcap.serve.console import Console, RuntimeBackend
from endcap.serve.console.seat import MAX_EVENTS
from endcap.serve.runtime import Runtime


class FullBackend(RuntimeBackend):
    """A shop whose disk is full."""

    async def collect(self, event: Mapping[str, Any]) -> Receipt:
        raise StoreFullError("No space is left for events.", hint="Free some.")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    views = [
        {
            "event_id": f"long{n}", "kind": "view", "user_id": "reader", "item_id": "k1",
            "time": (NOW - timedelta(hours=n)).isoformat(),
        }
        for n in range(MAX_EVENTS + 20)
    ]  # fmt: skip
    build(tmp_path / "data", items(), [*purchases(), *views])
    opened = Runtime.open(Settings(store=StoreSettings(folder=tmp_path / "data")))
    yield opened
    opened.close()


def ask(console: Console, method: str, path: str, **options: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        app = Starlette(routes=list(console.routes()))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://shop"
        ) as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def test_a_full_store_is_told_with_its_own_status(runtime: Runtime) -> None:
    form = {"event_id": "f", "kind": "view", "item_id": "k1", "user": "1000"}
    headers = {"sec-fetch-site": "same-origin", "accept-language": "zh"}
    answer = ask(
        Console(FullBackend(runtime)), "POST", "/console/events", data=form, headers=headers
    )
    assert answer.status_code == StoreFullError.http_status
    assert "存储没有接收该事件：No space is left for events." in answer.text
    assert answer.headers["content-security-policy"]


def test_a_long_history_is_counted_whole_and_drawn_in_part(runtime: Runtime) -> None:
    console = Console(RuntimeBackend(runtime))
    told = ask(console, "GET", "/index.json?user=reader").json()
    assert told["shopper"]["events"] == MAX_EVENTS + 20
    drawn = [deed for visit in told["visits"] for deed in visit["deeds"]]
    assert len(drawn) == MAX_EVENTS
    assert told["visits"][0]["time"] == int(NOW.timestamp() * 1e6)
    page = ask(console, "GET", "/?user=reader").text
    assert page.count('class="visit"') == 12
    assert f"and {MAX_EVENTS - 12} earlier visits" in page
    assert ask(console, "GET", "/?user=reader&all=1").text.count('class="visit"') == MAX_EVENTS
