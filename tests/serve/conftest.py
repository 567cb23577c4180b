"""Fixtures of the served shop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from served_shop import Served, served

from endcap.schema.settings import Settings
from endcap.serve.http.app import create_app


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a shop in the test's own folder, with settings such as ``events={…}``."""
    with ExitStack() as stack:

        def start(**settings: dict[str, Any]) -> Served:
            patient = {"timeout_ms": 30_000, **settings.get("serve", {})}  # machines may be busy
            values = {
                **settings,
                "serve": patient,
                "store": {"folder": tmp_path, **settings.get("store", {})},
            }
            return stack.enter_context(served(create_app(Settings.parse(values))))

        yield start


@pytest.fixture
def shop(serve: Callable[..., Served]) -> Served:
    """A shop with default settings."""
    return serve()
