"""What keeps the console's pages safe: headers for every page, and a check on its own POSTs."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' https: http:",  # a shop's pictures live where the shop keeps them
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types htmx default",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # "no-referrer" would make browsers send `Origin: null` with the page's own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every page."""


def own_post(request: Request) -> bool:
    """Return whether a POST was sent by a page of this very origin.

    Browsers name the sender in ``Sec-Fetch-Site``; over plain HTTP to another machine they leave
    it out and ``Origin`` decides. A POST with neither did not come from a page.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")


def safe_url(value: object) -> str | None:
    """Return `value` if it is an absolute http(s) URL, else None: ``javascript:`` never shows."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value.strip())
    except ValueError:
        return None
    return value.strip() if parts.scheme in ("http", "https") and parts.netloc else None
