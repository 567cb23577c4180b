"""The outermost layer: names each request, times it, and answers even where we have a bug."""

import re
import time
from contextlib import ExitStack
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.schema.tokens import token
from endcap.serve.http.limiting import STATE
from endcap.serve.http.limiting import headers as rate_headers
from endcap.serve.http.problems import on_bug
from endcap.serve.runtime import Runtime

log = structlog.get_logger(__name__)
REQUEST_ID: Final = re.compile(r"[\w.\-:]{1,128}", re.ASCII)


class Gate:
    """Give each request an id (the caller's, where it is a sane one) and measure its time.

    The route template labels the measurement, so that the number of labels stays bounded.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime
        self._says = runtime.settings.serve.access_log
        self._templates: dict[Any, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if verdicts := scope["state"].get(STATE):
                    headers.update(rate_headers(verdicts))
                if self.runtime.draining:
                    headers["connection"] = "close"  # a kept connection would soon be cut
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), ExitStack() as stack:
            span = self._span(scope, request_id, stack)
            try:
                await self.app(scope, receive, answer)
            except Exception as error:
                if status:
                    raise  # half of an answer is out: all that is left is to cut it off
                await on_bug(Request(scope), error)(scope, receive, answer)
            finally:
                if span is not None:
                    self._finish(span, scope, status or 500)
                self._measure(scope, status or 500, time.perf_counter() - began)

    def _span(self, scope: Scope, request_id: str, stack: ExitStack) -> Any:
        """Begin a span for a request, until `stack` ends; None where nobody traces."""
        tracer = self.runtime.telemetry
        if tracer is None:
            return None
        headers = Headers(scope=scope)
        span = stack.enter_context(tracer.request(scope["method"], headers, request_id))
        named = structlog.contextvars.bound_contextvars(trace_id=tracer.trace_id(span))
        stack.enter_context(named)
        return span

    def _finish(self, span: Any, scope: Scope, status: int) -> None:
        route = self._template(scope)
        assert self.runtime.telemetry is not None
        self.runtime.telemetry.finish(span, f"{scope['method']} {route}", route, status)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = self._template(scope)
        self.runtime.metrics.requests.labels(method, route, f"{status // 100}xx").observe(seconds)
        if self._says:
            took = round(seconds * 1000, 3)
            log.info("request", method=method, route=route, status=status, duration_ms=took)

    def _template(self, scope: Scope) -> str:
        if not self._templates:
            routes = [route for route in scope["app"].routes if isinstance(route, Route)]
            self._templates = {route.endpoint: route.path_format for route in routes}
        return self._templates.get(scope.get("endpoint"), "unmatched")


METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else token()
