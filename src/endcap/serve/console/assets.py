"""The console's own scripts, styles and vendored libraries, served from memory."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

URL: Final = "/console/static"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, packed once, and the hash that names this version of it."""

    content: bytes
    packed: bytes
    digest: str
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Return every file that may be asked for, by path: nothing else can be reached."""
    return dict(_walk(files(__package__) / "static", ""))


def _walk(folder: Traversable, above: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        suffix = entry.name.rpartition(".")[2]
        if entry.is_dir():
            found += _walk(entry, f"{above}{entry.name}/")
        elif suffix in _TYPES:
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            packed = gzip.compress(content, mtime=0)
            found.append((above + entry.name, Asset(content, packed, digest, _TYPES[suffix])))
    return found


def url(name: str) -> str:
    """Return the address of a file; it changes when the file does, so it may be kept for ever."""
    return f"{URL}/{name}?v={assets()[name].digest}"


async def serve(request: Request) -> Response:
    """Answer a request for one file."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        return PlainTextResponse("No such file.", 404)
    headers = {
        "ETag": f'"{asset.digest}"',
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "public, max-age=31536000, immutable"
        if request.query_params.get("v") == asset.digest
        else "no-cache",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        packed = {**headers, "Content-Encoding": "gzip"}
        return Response(asset.packed, media_type=asset.media_type, headers=packed)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
