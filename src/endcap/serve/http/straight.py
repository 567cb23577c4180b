"""The straight way to a route: its method and path say which it is, and nothing lies between.

On its way through the application a request is compared with one route after another and wrapped
by each layer, which for most requests have nothing to do. That costs more than all the rest of the
HTTP of a slate.
"""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.serve.http.problems import HANDLERS


class StraightWay:
    """Serve routes whose path has no parameters at once; all else goes through the application.

    So does what comes from a page of another origin: that is for CORS to answer.

    Parameters
    ----------
    app
        The application.
    routes
        Its routes.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self.app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._route(scope)
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["endpoint"], scope["path_params"] = route.endpoint, {}
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).add_vary_header("Origin")  # as CORS has it
            await send(message)

        try:
            await route.app(scope, receive, answer)
        except _FORESEEN as error:
            if started:
                raise
            handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
            response = await handler(Request(scope), error)
            await response(scope, receive, answer)

    def _route(self, scope: Scope) -> Route | None:
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        route = self._routes.get((scope["method"], scope["path"]))
        if route is None or any(name == b"origin" for name, _ in scope["headers"]):
            return None
        return route


_FORESEEN: Final = tuple(kind for kind in HANDLERS if isinstance(kind, type))
