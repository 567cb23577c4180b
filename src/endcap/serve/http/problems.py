"""Every error as RFC 9457 ``application/problem+json`` with a stable code and a next step."""

import http
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from endcap.schema.errors import BusyError, EndcapError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = {429: 1, 503: 5}
HINTS: Final = {
    404: "The routes are listed in /openapi.json.",
    405: "The Allow header names the methods of this route.",
    500: "The log of the server has the details under this request_id.",
}

log = structlog.get_logger(__name__)


class Fault(msgspec.Struct, omit_defaults=True):
    """One thing that is wrong, and where.

    Attributes
    ----------
    index
        Position in the batch, from 0; None where there is no batch.
    code
        Stable and never translated.
    """

    message: str
    code: str
    field: str | None = None
    index: int | None = None
    event_id: str | None = None


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of an error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    instance: str = ""
    hint: str = ""
    errors: list[Fault] = []


class ApiError(Exception):
    """A request that is answered with a problem.

    Parameters
    ----------
    status, code, detail
        HTTP status, stable code, and a sentence naming the value.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str = "",
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.hint, self.errors, self.headers = hint, list(errors), dict(headers or {})


def problem(request: Request, error: ApiError) -> Problem:
    """Return what is said of `error`."""
    return Problem(
        type=f"urn:endcap:error:{error.code}",
        title=http.HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=getattr(request.state, "request_id", ""),
        instance=request.url.path,
        hint=error.hint or HINTS.get(error.status, ""),
        errors=error.errors,
    )


def respond(request: Request, error: ApiError) -> Response:
    """Return the answer to `error`."""
    headers = error.headers
    if error.status in RETRY_SECONDS:
        headers.setdefault("retry-after", str(RETRY_SECONDS[error.status]))
    body = msgspec.json.encode(problem(request, error))
    return Response(body, error.status, headers=headers, media_type=MEDIA_TYPE)


def refusal(request: Request, error: Exception) -> ApiError:
    """Return what becomes of whatever was raised in answering a request.

    Strangers are not told about our insides: what nobody foresaw is in the log alone.
    """
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, EndcapError):
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return ApiError(500, "internal", "The server met an unexpected error.")
    headers = {}
    if isinstance(error, BusyError):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if error.http_status >= 500:
        log.error("request failed", code=error.code, detail=error.message, path=request.url.path)
    return ApiError(error.http_status, error.code, error.message, hint=error.hint, headers=headers)


async def on_refusal(request: Request, error: Exception) -> Response:
    """Answer an `ApiError`, or an error of our own tree by the status it carries."""
    return respond(request, refusal(request, error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: no such route, wrong method."""
    assert isinstance(error, HTTPException)
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = f"{request.method} {request.url.path}: {error.detail}."
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        headers["allow"] = ", ".join(_allowed(request))
    return respond(request, ApiError(error.status_code, code, detail, headers=headers))


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes of this path; the router names those of the first alone."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    met = request.scope["endpoint"]
    path = next(route.path for route in routes if route.endpoint == met)
    return sorted({m for route in routes if route.path == path for m in route.methods or ()})


def on_bug(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw."""
    return respond(request, refusal(request, error))


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    ApiError: on_refusal,
    EndcapError: on_refusal,
    HTTPException: on_http_exception,
}
"""For `FastAPI(exception_handlers=…)`."""
