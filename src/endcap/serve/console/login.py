"""Signing in to the console with a secret key; what the browser keeps, scripts cannot read."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from endcap.serve.console.forms import FormError, read_form
from endcap.serve.console.guard import own_post
from endcap.serve.console.render import page
from endcap.serve.keys import SESSION_SECONDS, KeyRing

PATH: Final = "/console/login"
COOKIE: Final = "endcap_session"


class Login:
    """The page that asks for a key, and takes it.

    Parameters
    ----------
    keys
        The keys of the shop.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def routes(self) -> list[Route]:
        """Return the routes, which need no key."""
        return [
            Route(PATH, self.ask, methods=["GET"], include_in_schema=False),
            Route(PATH, self.enter, methods=["POST"], include_in_schema=False),
        ]

    def ask(self, request: Request) -> Response:
        """Show the form."""
        return page(request, "login.html", wrong=False)

    async def enter(self, request: Request) -> Response:
        """Take a secret key and give a cookie for it."""
        try:
            given = (await read_form(request)).get("key", "").strip()
        except FormError:
            given = ""
        key = self._keys.find(given) if own_post(request) else None
        if key is None or key.kind != "secret":
            return page(request, "login.html", status=403, wrong=True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE, self._keys.seal(key), max_age=SESSION_SECONDS, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer
