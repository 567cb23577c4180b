"""What a web framework costs: CPU of one POST of 20 events, decoded, checked and answered."""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import pydantic
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

EVENT = {
    "event_id": "5f0c1c2e", "kind": "view", "time": "2026-11-24T14:00:00Z", "user_id": "12347",
    "item_id": "22423", "quantity": 2, "price": "12.75", "currency": "GBP",
}  # fmt: skip
BODY = msgspec.json.encode({"events": [EVENT] * 20})


class ModelEvent(pydantic.BaseModel):
    event_id: str
    kind: str
    time: str
    user_id: str
    item_id: str
    quantity: int
    price: str
    currency: str


class ModelBatch(pydantic.BaseModel):
    events: list[ModelEvent]


class StructEvent(msgspec.Struct):
    event_id: str
    kind: str
    time: str
    user_id: str
    item_id: str
    quantity: int
    price: str
    currency: str


class StructBatch(msgspec.Struct):
    events: list[StructEvent]


def fastapi_pydantic() -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def post(batch: ModelBatch) -> dict[str, int]:
        return {"received": len(batch.events)}

    return app


def fastapi_msgspec() -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def post(request: Request) -> Response:
        batch = msgspec.json.decode(await request.body(), type=StructBatch)
        return Response(msgspec.json.encode({"received": len(batch.events)}))

    return app


def plain_route() -> FastAPI:
    """A plain Starlette route in the FastAPI application, as the server has them."""
    app = FastAPI()

    async def post(request: Request) -> Response:
        batch = msgspec.json.decode(await request.body(), type=StructBatch)
        return Response(msgspec.json.encode({"received": len(batch.events)}))

    app.router.routes.append(Route("/", post, methods=["POST"]))
    return app


SCOPE: dict[str, Any] = {
    "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/",
    "raw_path": b"/", "query_string": b"", "root_path": "", "client": None, "server": None,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}  # fmt: skip


async def _call(app: FastAPI, times: int) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    for _ in range(times):
        await app(dict(SCOPE), receive, send)


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure each stack in turn, several times, and report the median of CPU per request."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks http_stack")
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(argv).quick
    times, rounds = (200, 3) if quick else (2000, 7)
    stacks = {f.__name__: f() for f in (fastapi_pydantic, fastapi_msgspec, plain_route)}
    spent: dict[str, list[float]] = {name: [] for name in stacks}
    for app in stacks.values():
        asyncio.run(_call(app, 50))
    for _ in range(rounds):
        for name, app in stacks.items():
            began = time.process_time()
            asyncio.run(_call(app, times))
            spent[name].append((time.process_time() - began) / times * 1e6)
    figures = {f"{name}_cpu_us": round(statistics.median(runs), 1) for name, runs in spent.items()}
    for name, value in figures.items():
        print(f"{name:<24}{value:>8.1f} µs")
    names = ("fastapi", "starlette", "pydantic", "msgspec")
    return {
        "figures": figures,
        "protocol": f"{rounds} rounds of {times} requests of 20 events, called in process",
        "versions": {name: version(name) for name in names},
    }
