"""The ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from endcap.schema.settings import Settings
from endcap.schema.version import __version__
from endcap.serve.console import Console, RuntimeBackend
from endcap.serve.http.gate import Gate
from endcap.serve.http.openapi import describe
from endcap.serve.http.operations import OPERATIONS
from endcap.serve.http.problems import HANDLERS
from endcap.serve.runtime import Runtime
from endcap.serve.tracker import routes as tracker_routes


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its `app.state.runtime` is open until the app's lifespan ends.

    Raises
    ------
    EndcapError
        When the store cannot be opened.
    """
    runtime = Runtime.open(settings)
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
    app.router.routes += [operation.route() for operation in OPERATIONS]
    app.router.routes += Console(RuntimeBackend(runtime)).routes()
    app.router.routes += tracker_routes()
    app.add_middleware(Gate, runtime=runtime)
    app.openapi = lambda: describe(app, OPERATIONS)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    runtime: Runtime = app.state.runtime
    try:
        yield
    finally:
        runtime.close()
