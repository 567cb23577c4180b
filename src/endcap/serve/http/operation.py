"""One operation of the API: what it takes and answers, as types, and who does the work.

The same declaration routes the request, decodes it, and writes its page of the OpenAPI document,
so that the document cannot say something else than the code does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from endcap.serve.http.access import Access, lock
from endcap.serve.http.bodies import decode_body, decode_query, read_body
from endcap.serve.http.calls import JSON, Call, Handler
from endcap.serve.http.idempotency import once
from endcap.serve.http.limiting import limit_asker
from endcap.serve.runtime import Runtime


class IdConvertor(Convertor[str]):
    """An id in a path: it may hold slashes, but what follows it is not part of it."""

    regex = r".+(?<!/similar)(?<!/history)"

    def convert(self, value: str) -> str:
        """Return the id."""
        return value

    def to_string(self, value: str) -> str:
        """Return the part of the path."""
        return value


register_url_convertor("id", IdConvertor())


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A route of the API.

    Attributes
    ----------
    access
        Whose key opens it.
    answers
        Type of the answer, by status.
    query, body
        msgspec types of the query string and of the JSON body (None: no body).
    row
        Type of the rows in the body (or of the body, where it is a single one). A row may be
        anything: what does not fit is kept apart, so the handler decodes the body itself.
    writes
        Whether it changes something: then it honours `Idempotency-Key`.
    crowds
        Whether too many may come at once: then one more is refused before its body is read.
    errors
        Statuses of the problems it can answer with.
    examples
        Bodies to try, by name.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    handler: Handler
    access: Access
    answers: Mapping[int, Any]
    query: type[msgspec.Struct] = Nothing
    body: Any = None
    row: type[msgspec.Struct] | None = None
    writes: bool = False
    crowds: bool = False
    errors: tuple[int, ...] = ()
    media_type: str = JSON
    examples: Mapping[str, Any] = field(default_factory=dict)

    def route(self, runtime: Runtime) -> Route:
        """Return the route that serves it, to whom it may."""
        route = Route(self.path, self._serve, methods=[self.method], name=self.name)
        return lock(route, runtime, self.access)

    async def _serve(self, request: Request) -> Response:
        runtime: Runtime = request.app.state.runtime
        if self.crowds:
            runtime.crowd.admit()
        call = Call(request, runtime, decode_query(request, self.query))
        content = b""
        if self.body is not None:
            content = await read_body(request, runtime.settings.serve.max_body_bytes)
            call.body = content if self.row else decode_body(content, self.body)
        if self.access == "public":
            limit_asker(call, call.query if self.body is None else call.body)
        answer = await (once(call, content, self.handler) if self.writes else self.handler(call))
        return answer.response()
