"""What a slate costs inside a server: ``python -m benchmarks.serving_inside JSON``.

The application is called in its own process, with no socket in between, one request after the
other, each of a shopper whose history is not in memory. Processor time is that of all threads:
impressions and records are written before the clock stops. It does not rise with the load of the
machine as time on the wall does, so that two versions can be compared on a busy one.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import psutil
import uvloop

from benchmarks.serving_load import FILTER, K
from endcap.recommend.slate import Request
from endcap.schema.settings import Settings
from endcap.serve import threads
from endcap.serve.answered import answer, witness_of
from endcap.serve.http.app import create_app
from endcap.serve.runtime import Runtime

WARM = 100
"""Questions before the first that counts."""


async def run(work: dict[str, Any]) -> dict[str, float]:
    """Return milliseconds of processor time for a slate alone, and for a whole request."""
    threads.one_for_each_request()
    place = {"store": {"folder": work["folder"]}, "serve": {"timeout_ms": 30_000}}
    app = create_app(Settings.parse(place))
    runtime: Runtime = app.state.runtime
    bodies = _bodies(work["items"], work["count"] + WARM)
    async with app.router.lifespan_context(app):
        runtime.warmed()
        threads.keep_what_is_loaded()
        slates = await _each(runtime, bodies, lambda body: _slate(runtime, body))
        requests = await _each(runtime, bodies, lambda body: _request(app, body))
    used = psutil.Process().memory_full_info()
    return {
        "slate_cpu_ms": slates,
        "request_cpu_ms": requests,
        "rss_mb": round(used.rss / 1e6),
        "own_mb": round(used.uss / 1e6),
    }


def _bodies(items: int, count: int) -> list[dict[str, Any]]:
    seen = np.random.default_rng(2).integers(0, items, (count, 5)).tolist()
    users = items // 5 + 1
    return [
        {
            "user_id": f"u{number % users}",
            "context_items": [f"i{n}" for n in page],
            "k": K,
            "filter": FILTER,
        }
        for number, page in enumerate(seen)
    ]


async def _each(
    runtime: Runtime, bodies: list[dict[str, Any]], ask: Callable[[Any], Awaitable[None]]
) -> float:
    runtime.live.reload()  # it knows no history any more
    for body in bodies[:WARM]:
        await ask(body)
    began = time.process_time()
    for body in bodies[WARM:]:
        await ask(body)
    runtime.impressions.flush()
    runtime.answered.flush()
    return round((time.process_time() - began) / (len(bodies) - WARM) * 1e3, 2)


async def _slate(runtime: Runtime, body: dict[str, Any]) -> None:
    recommender, request = runtime.recommender.current, Request(**body)
    answer(recommender, request, witness_of(runtime.live, recommender.asks(request)))


async def _request(app: Any, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/v1/recommendations", "raw_path": b"/v1/recommendations",
        "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1), "state": {},
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    coming = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise SystemExit(f"the application answered {message['status']}")

    await app(scope, receive, send)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))), flush=True)
