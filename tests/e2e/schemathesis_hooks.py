"""Each generated request gets an idempotency key of its own: reusing one is refused by design."""

import uuid
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    headers = case.headers or {}
    name = next((h for h in headers if h.lower() == "idempotency-key"), None)
    if name and 0 < len(headers[name]) <= 255 and headers[name].isascii():
        headers[name] = uuid.uuid4().hex
