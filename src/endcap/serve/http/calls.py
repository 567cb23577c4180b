"""What a handler is given and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from endcap.events.store import Receipt, Remembered
from endcap.serve.runtime import Runtime

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what is sent; anything but bytes is encoded as JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)

    def response(self) -> Response:
        """Return it as a response."""
        headers = dict(self.headers)
        return Response(self.content, self.status, headers=headers, media_type=self.media_type)


@dataclass(slots=True)
class Call:
    """One request, decoded.

    Attributes
    ----------
    query
        An instance of the operation's `query` type.
    body
        An instance of the operation's `body` type; the bytes themselves where it takes rows.
    key, body_hash
        The `Idempotency-Key` (empty: none) and the hash that its answer is remembered with.
    """

    request: Request
    runtime: Runtime
    query: Any = None
    body: Any = None
    key: str = ""
    body_hash: str = ""

    def path(self, name: str) -> str:
        """Return a path parameter."""
        value: str = self.request.path_params[name]
        return value

    def remembering(
        self, answer: Callable[[Receipt], Answer]
    ) -> Callable[[Receipt], Remembered] | None:
        """Return what the store is to keep of the answer to a receipt; None without a key."""
        if not self.key:
            return None

        def remember(receipt: Receipt) -> Remembered:
            given = answer(receipt)
            return Remembered(self.body_hash, given.status, given.content)

        return remember


Handler = Callable[[Call], Awaitable[Answer]]
