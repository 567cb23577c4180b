"""A shop served for real: uvicorn on a free port, in a thread of the test's own process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from endcap.recommend.state import History
from endcap.serve.http.server import Server, address, listen


class Served:
    """A running application and a client of it."""

    def __init__(self, app: FastAPI, client: httpx.Client) -> None:
        self.app = app
        self.runtime = app.state.runtime
        self.client = client

    def post(self, *events: Any, **headers: str) -> httpx.Response:
        return self.client.post(
            "/v1/events/batch", json={"events": list(events)}, headers=_dashed(headers)
        )

    def items(self, *rows: dict[str, Any]) -> httpx.Response:
        return self.client.put("/v1/items", json={"items": list(rows)})

    def slate(self, **query: Any) -> dict[str, Any]:
        answer = self.client.get("/v1/recommendations", params=query)
        assert answer.status_code == 200, answer.text
        slate: dict[str, Any] = answer.json()
        return slate

    def metric(self, name: str) -> float:
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def served(app: FastAPI) -> Iterator[Served]:
    """Serve `app` until the block ends."""
    bound = listen("127.0.0.1", 0)
    server = Server(app, drain_seconds=4, notice_seconds=0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        with httpx.Client(base_url=address(bound), timeout=30) as client:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield Served(app, client)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def hung_histories(shop: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no history of a shop be read until this ends, as behind a hung disk."""
    over = threading.Event()

    def history(actor: str) -> History:
        over.wait(30)
        return History.of([])

    monkeypatch.setattr(shop.runtime.live, "history", history)
    yield
    over.set()
