"""The OpenAPI 3.1 document, made of the operations' own types."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from endcap.recommend.recipe import NAME
from endcap.serve.http.access import SCHEMES, security
from endcap.serve.http.calls import JSON
from endcap.serve.http.operation import Operation
from endcap.serve.http.problems import MEDIA_TYPE, Problem

REF: Final = "#/components/schemas/{name}"
ALWAYS: Final = (422, 500)
MEANING: Final = {
    200: "Done.",
    202: "Stored: what is acknowledged is on disk.",
    400: "The body is no JSON.",
    401: "A living key is needed.",
    403: "This key may not do that.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "A request with this Idempotency-Key is still running, or somebody else changed it.",
    413: "The body or the batch is too large.",
    415: "The body is not application/json.",
    422: "The request has another shape than asked for.",
    429: "Too much at once; nothing was stored. Try again after Retry-After seconds.",
    500: "A fault of ours.",
    503: "Not now: the store takes no writes, or too much is asked at once.",
    507: "No space is left; nothing was stored.",
}
ALONE: Final = "Anything else is answered by a problem of its own."
APART: Final = "Anything else is not stored but kept in the quarantine, and the answer says why."
REQUEST_ID: Final = {"description": "The id of this request.", "schema": {"type": "string"}}
ANY_ID: Final = {"type": "string", "minLength": 1}
PATHS: Final = {"name": {"type": "string", "pattern": NAME}}
KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer again, and the work is done once.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def describe(app: FastAPI, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document: what FastAPI knows of its own routes, and our operations."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Events in, a personalised shelf out.",
        description="Unknown users and items are answered, not refused. See docs/http-api.md.",
        routes=app.routes,
    )
    refs, schemas = _schemas(operations)
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        described = _describe(operation, refs)
        document["paths"].setdefault(path, {})[operation.method.lower()] = described
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components["securitySchemes"] = SCHEMES
    return document


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    kinds: list[Any] = [Problem]
    for operation in operations:
        kinds += [operation.query, *operation.answers.values()]
        kinds += [kind for kind in (operation.body, operation.row) if kind]
    unique = list(dict.fromkeys(kinds))
    refs, schemas = msgspec.json.schema_components(unique, ref_template=REF)
    return dict(zip(unique, refs, strict=True)), schemas


def _describe(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": security(operation.access),
        "parameters": [*_path(operation), *_query(operation)] + [KEY] * operation.writes,
        "responses": {
            **{str(s): _answer(s, operation, refs[t]) for s, t in operation.answers.items()},
            **{
                str(s): _problem(s, refs)
                for s in sorted({*operation.errors, *ALWAYS, *_refusals(operation)})
            },
        },
    }
    if operation.body:
        examples = {name: {"value": value} for name, value in operation.examples.items()}
        out["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": _body(operation, refs), "examples": examples}},
        }
    return out


def _body(operation: Operation, refs: dict[Any, Any]) -> Any:
    """Return the schema of a body; that of rows says that what does not fit is kept apart."""
    if operation.row is None:
        return refs[operation.body]
    if operation.row is operation.body:
        return {"anyOf": [refs[operation.row], {"type": "object", "description": APART}]}
    _, components = msgspec.json.schema_components([operation.body], ref_template=REF)
    schema = components[operation.body.__name__]
    name = next(
        name for name, field in schema["properties"].items() if field.get("type") == "array"
    )
    told = APART if operation.writes else ALONE
    schema["properties"][name]["items"] = {"anyOf": [refs[operation.row], {"description": told}]}
    return schema


def _path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": PATHS.get(name, ANY_ID)}
        for name in re.findall(r"{(\w+)", operation.path)
    ]


def _query(operation: Operation) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([operation.query], ref_template=REF)
    described = components[operation.query.__name__]
    needed = described.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": _given(schema)}
        for name, schema in described.get("properties", {}).items()
    ]


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without null, which a query string cannot say."""
    branches = [b for b in schema.get("anyOf", []) if b != {"type": "null"}]
    if not branches:
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**rest, **branches[0]}


RATES: Final[dict[str, Any]] = {
    "RateLimit": {
        "description": 'Where a limit applies: requests left and seconds, `"actor";r=239;t=41`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'Where a limit applies: requests in how many seconds, `"actor";q=240;w=60`.',
        "schema": {"type": "string"},
    },
}


def _refusals(operation: Operation) -> tuple[int, ...]:
    return {"anybody": (), "public": (401, 429), "secret": (401, 403, 429)}[operation.access]


def _answer(status: int, operation: Operation, ref: Any) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": REQUEST_ID}
    if operation.access != "anybody":
        headers |= RATES
    if operation.writes:
        what = "true where an earlier answer was sent again."
        headers["Idempotent-Replayed"] = {"description": what, "schema": {"type": "string"}}
    content = {operation.media_type: {"schema": ref}}
    return {"description": MEANING[status], "headers": headers, "content": content}


def _problem(status: int, refs: dict[Any, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": REQUEST_ID}
    if status in {409, 429, 503}:
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
    content = {MEDIA_TYPE: {"schema": refs[Problem]}}
    return {"description": MEANING[status], "headers": headers, "content": content}
