"""The document names every route, and its examples work."""

from typing import Any

from served_shop import Served

from endcap.serve.http.operations import OPERATIONS


def test_every_operation_is_there_with_its_errors_and_types(shop: Served) -> None:
    document = shop.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    told = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert len(told) == len(OPERATIONS)
    for operation in told.values():
        assert {"422", "500"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            kind = next(iter(answer["content"]))
            assert (kind == "application/problem+json") is (
                int(status) >= 400 and kind != "application/json"
            )
    names = document["components"]["schemas"]
    assert {"Event", "Item", "User", "SlateOut", "ReceiptOut", "Problem"} <= set(names)


def test_the_examples_in_the_document_are_accepted(shop: Served) -> None:
    document = shop.client.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
            for example in content.get("application/json", {}).get("examples", {}).values():
                named = path.replace("{name}", "home")
                answer = shop.client.request(method, named, json=example["value"])
                assert answer.status_code in {200, 202}, answer.text
                assert answer.json().get("quarantined", 0) == 0, answer.text
                tried += 1
    assert tried >= 7
