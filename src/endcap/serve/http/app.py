"""The ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from limits.storage import SlidingWindowCounterSupport
from starlette.routing import BaseRoute, Route

from endcap.schema.settings import Settings
from endcap.schema.version import __version__
from endcap.serve.console import Console, RuntimeBackend, assets
from endcap.serve.console.login import Login
from endcap.serve.http.access import lock
from endcap.serve.http.gate import Gate
from endcap.serve.http.openapi import describe
from endcap.serve.http.operations import OPERATIONS
from endcap.serve.http.problems import HANDLERS
from endcap.serve.http.straight import StraightWay
from endcap.serve.runtime import Runtime
from endcap.serve.sharing import LiveBus
from endcap.serve.tracker import routes as tracker_routes


def create_app(
    settings: Settings,
    *,
    bus: LiveBus | None = None,
    counts: SlidingWindowCounterSupport | None = None,
) -> FastAPI:
    """Return the application; its `app.state.runtime` is open until the app's lifespan ends.

    Parameters
    ----------
    bus
        Over which workers of one machine follow each other; unused where the settings name one.
    counts
        Where workers of one machine count together how often somebody comes.

    Raises
    ------
    EndcapError
        When the store cannot be opened.
    """
    runtime = Runtime.open(settings, bus=bus, counts=counts)
    app = FastAPI(
        title="Endcap",
        version=__version__,
        lifespan=_lifespan,
        exception_handlers=HANDLERS,
        docs_url=None,  # its page loads scripts from elsewhere; the console has one of ours
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    routes = _routes(runtime)
    app.router.routes += routes
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.serve.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
        expose_headers=["x-request-id", "retry-after", "ratelimit", "ratelimit-policy"],
        max_age=3600,
    )
    app.add_middleware(StraightWay, routes=[route for route in routes if isinstance(route, Route)])
    app.add_middleware(Gate, runtime=runtime)
    app.openapi = lambda: describe(app, OPERATIONS)  # type: ignore[method-assign]
    return app


def _routes(runtime: Runtime) -> list[BaseRoute]:
    open_to_all = [*Login(runtime.keys).routes(), *tracker_routes()]
    pages = [
        route if route.path.startswith(assets.URL) else lock(route, runtime, "secret", pages=True)
        for route in Console(RuntimeBackend(runtime)).routes()
    ]
    return [*(operation.route(runtime) for operation in OPERATIONS), *open_to_all, *pages]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    runtime: Runtime = app.state.runtime
    try:
        await runtime.warm_up()
        yield
    finally:
        runtime.close()
