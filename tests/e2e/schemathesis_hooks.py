"""Each generated request gets an idempotency key of its own: reusing one is refused by design."""

import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

# A schema says that these are texts; that they are expressions it cannot say.
schemathesis.openapi.format("endcap-filter", st.sampled_from(["", "price < 50", "stock > 0"]))
schemathesis.openapi.format("endcap-boost", st.sampled_from(["", "1 + 0.2 * (price < 5)"]))
schemathesis.openapi.format("endcap-field", st.sampled_from(["brand", "categories"]))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    headers = case.headers or {}
    name = next((h for h in headers if h.lower() == "idempotency-key"), None)
    if name and 0 < len(headers[name]) <= 255 and headers[name].isascii():
        headers[name] = uuid.uuid4().hex
