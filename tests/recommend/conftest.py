from collections.abc import Iterator
from typing import Any

import pytest
import structlog


@pytest.fixture(autouse=True, scope="module")
def logged() -> Iterator[list[Any]]:
    """What was logged, instead of pages of tracebacks from models that are meant to fail."""
    with structlog.testing.capture_logs() as lines:
        yield lines
