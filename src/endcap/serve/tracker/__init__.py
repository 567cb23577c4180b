"""The script that a shop's pages load: ``GET /endcap.js``. The folder is an npm package, too."""

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH: Final = "/endcap.js"


@cache
def _script() -> tuple[bytes, bytes, str]:
    content = (files(__package__) / "endcap.js").read_bytes()
    return content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:12]


async def serve(request: Request) -> Response:
    """Answer with the script; for an hour a browser need not ask again."""
    content, packed, digest = _script()
    headers = {
        "ETag": f'"{digest}"',
        "Vary": "Accept-Encoding",
        "Cache-Control": "public, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",  # a script: it holds no secret
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = packed
    return Response(content, media_type="text/javascript; charset=utf-8", headers=headers)


def routes() -> list[Route]:
    """Return the route of the script."""
    return [Route(PATH, serve, methods=["GET"], include_in_schema=False)]
