"""Who may do what: every route of the application asks for a key, unless it says otherwise."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from endcap.serve.console.login import COOKIE
from endcap.serve.console.login import PATH as LOGIN
from endcap.serve.http.limiting import heed
from endcap.serve.http.problems import ApiError
from endcap.serve.keys import Key
from endcap.serve.runtime import Runtime

Access = Literal["anybody", "public", "secret"]
"""Who may: ``public``: public and secret keys; ``secret``: secret ones alone."""
NEEDED: Final[Mapping[Access, frozenset[str]]] = {
    "public": frozenset({"public", "secret"}),
    "secret": frozenset({"secret"}),
}
SCHEMES: Final[dict[str, Any]] = {
    "secretKey": {
        "type": "http", "scheme": "bearer", "description": "sk_…: everything; for servers.",
    },
    "publicKey": {
        "type": "http", "scheme": "bearer",
        "description": "pk_…: writes events and reads slates; for browsers.",
    },
}  # fmt: skip
"""The security schemes of the OpenAPI document."""
ASK: Final = {"www-authenticate": 'Bearer realm="endcap"'}


def security(access: Access) -> list[dict[str, list[str]]]:
    """Return what the OpenAPI document says of an operation."""
    schemes = {"anybody": (), "public": ("publicKey", "secretKey"), "secret": ("secretKey",)}
    return [{scheme: []} for scheme in schemes[access]]


class Lock:
    """The application of one route, behind the question for a key.

    Without any key the shop is open: then the server listens on the loopback address only.

    Parameters
    ----------
    pages
        Whether it is a page of the console: then a cookie will do, and whoever has none is shown
        where to sign in.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime, access: Access, *, pages: bool) -> None:
        self.app = app
        self._keys = runtime.keys
        self._rates = runtime.rates
        self._access = access
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or raise `ApiError` 401 or 403."""
        request = Request(scope)
        if self._access != "anybody" and self._keys.all():
            key = self._cookie(request) if self._pages else None
            key = key or self._keys.find(_given(request, self._access))
            if key is None and self._pages and "text/html" in request.headers.get("accept", ""):
                await RedirectResponse(LOGIN, 303)(scope, receive, send)
                return
            _check(key, self._access)
            scope.setdefault("state", {})["key_kind"] = key.kind if key else ""
            if key:
                scope["state"]["key"] = key
                heed(scope, self._rates.key(key))
        await self.app(scope, receive, send)

    def _cookie(self, request: Request) -> Key | None:
        return self._keys.unseal(request.cookies.get(COOKIE, ""))


def lock(route: Route, runtime: Runtime, access: Access, *, pages: bool = False) -> Route:
    """Put a lock on a route, and return it."""
    route.app = Lock(route.app, runtime, access, pages=pages)
    return route


def _given(request: Request, access: Access) -> str:
    """Return the key of a request.

    A browser that closes a page can send no header: a public key may stand in the address, too.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    named = request.query_params.get("key", "") if access == "public" else ""
    return named if named.startswith("pk_") else ""


def _check(key: Key | None, access: Access) -> None:
    if key is None:
        hint = "Send the header Authorization: Bearer sk_…; `endcap keys create` makes a key."
        raise ApiError(401, "no-key", "This needs a living key.", hint=hint, headers=ASK)
    if key.kind not in NEEDED[access]:
        hint = "A public key writes events and reads slates; use a secret one, from a server."
        raise ApiError(403, "key-too-weak", f"A {key.kind} key may not do this.", hint=hint)
