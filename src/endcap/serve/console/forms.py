"""Small forms that the console's own pages send."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_FORM_BYTES: Final = 16_384


class FormError(ValueError):
    """A form that cannot be understood; its text is a key of the messages."""


async def read_form(request: Request) -> dict[str, str]:
    """Read a small urlencoded form; a field given twice, or too many bytes, is refused."""
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_FORM_BYTES:
            raise FormError("error.too_big")
    try:
        pairs = parse_qsl(content.decode(), errors="strict", max_num_fields=16)
    except ValueError as error:
        raise FormError("error.request") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise FormError("error.request")
    return form
