"""Read and decode what a client sends, trusting none of it."""

import asyncio
import re
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from endcap.schema.errors import nearest
from endcap.serve.http.problems import ApiError, Fault

Query = TypeVar("Query", bound=msgspec.Struct)
BODY_SECONDS: Final = 10.0
"""A client that needs longer to send its body is cut off."""
AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
UNKNOWN: Final = re.compile(r"unknown field `(?P<name>.*)`", re.DOTALL)


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a JSON request.

    Raises
    ------
    ApiError
        415 when it is not JSON, 413 when it has more than `most` bytes (before it is read, where
        its length is announced), 408 when it comes too slowly.
    """
    _check_type(request)
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except TimeoutError as error:
        headers = {"connection": "close"}
        detail = f"The body did not arrive within {BODY_SECONDS:.0f} seconds."
        raise ApiError(408, "slow-body", detail, headers=headers) from error
    except ClientDisconnect as error:
        raise ApiError(400, "cut-body", "The connection ended before the body did.") from error
    return b"".join(parts)


def decode_body(content: bytes, kind: Any) -> Any:
    """Decode JSON into `kind`.

    Raises
    ------
    ApiError
        400 when it is no JSON, 422 naming the field when it is another JSON than asked for.
    """
    try:
        return _decode(content, kind)
    except msgspec.ValidationError as error:
        raise invalid(error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise no_json(error) from error


def convert_row(tree: Any, kind: Any) -> Any:
    """Make `kind` of a row that was decoded with its body; raises `ApiError` as `decode_body`."""
    try:
        return _converted(tree, kind)
    except msgspec.ValidationError as error:
        raise invalid(error, kind) from error


def _decode(content: bytes, kind: Any) -> Any:
    """Decode, taking 10.0 for 10 where a whole number is asked for, as JSON Schema does."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError:
        return msgspec.convert(_whole(msgspec.json.decode(content)), kind)


def _converted(tree: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError:
        return msgspec.convert(_whole(tree), kind)


def _whole(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _whole(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_whole(value) for value in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() else tree


def decode_query(request: Request, kind: type[Query]) -> Query:
    """Decode the query string into `kind`; a parameter may be repeated where it is a list.

    Raises
    ------
    ApiError
        422 naming the parameter.
    """
    lists = _lists(kind)
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise _bad(f"{name!r} is given more than once.", name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, kind) from error


def invalid(error: msgspec.ValidationError, kind: Any) -> ApiError:
    """Return the problem for JSON of the wrong shape, with the nearest right name."""
    match = AT.match(str(error))
    what, where = (match["what"], match["where"]) if match else (str(error), None)
    unknown = UNKNOWN.search(what)
    hint = ""
    if unknown:
        where = ".".join(filter(None, (where, unknown["name"])))
        hint = nearest(unknown["name"], _names(kind))
    return _bad(what, where, hint=hint)


def no_json(error: Exception) -> ApiError:
    """Return the problem for a body that cannot be read as JSON."""
    said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return ApiError(400, "no-json", f"The body is no JSON: {said}.")


def _bad(what: str, where: str | None, *, hint: str = "") -> ApiError:
    fault = Fault(what, "bad-value", field=where)
    detail = f"{where}: {what}" if where else what
    return ApiError(422, "invalid-request", detail, hint=hint, errors=[fault])


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        hint = "Send the header Content-Type: application/json."
        raise ApiError(415, "not-json", f"The content type is {kind or 'missing'!r}.", hint=hint)
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding not in {"", "identity"}:
        raise ApiError(415, "encoded", f"The content encoding {coding!r} is not understood.")


def _too_large(most: int) -> ApiError:
    hint = "Send fewer events at once; 'serve.max_body_bytes' sets the limit."
    headers = {"connection": "close"}  # the rest of the body is not read
    return ApiError(
        413, "body-too-large", f"The body has more than {most} bytes.", hint=hint, headers=headers
    )


@cache
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the parameters that may be repeated."""
    fields = msgspec.structs.fields(kind)
    return frozenset(field.encode_name for field in fields if _is_list(field.type))


def _is_list(kind: Any) -> bool:
    return "list" in str(kind) or "tuple" in str(kind)


def _names(kind: Any) -> list[str]:
    """Return the field names of a struct and of the structs within it."""
    schemas = msgspec.json.schema_components([kind])[1]
    return [name for schema in schemas.values() for name in schema.get("properties", {})]
