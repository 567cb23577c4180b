"""Addresses of the console's pages, always composed and never pasted together."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request

from endcap.schema.actors import VISITOR_PREFIX


def link(path: str = "/", /, **query: object) -> str:
    """Return a page's address with its parameters; None and empty ones are left out.

    Examples
    --------
    >>> link(user="a&b", like=None), link("/events")
    ('/?user=a%26b', '/events')
    """
    kept = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def here(request: Request, **changed: str) -> str:
    """Return the address of this very page with some parameters changed."""
    return link(request.url.path, **{**request.query_params, **changed})


def who_query(actor: str) -> Mapping[str, str]:
    """Return the parameters that name an actor."""
    if actor.startswith(VISITOR_PREFIX):
        return {"visitor": actor.removeprefix(VISITOR_PREFIX)}
    return {"user": actor}


def plain_name(actor: str) -> str:
    """Return an actor's id as a page shows it."""
    return actor.removeprefix(VISITOR_PREFIX)
