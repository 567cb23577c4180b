"""The console's shop, served once for each worker."""

from collections.abc import Iterator

import httpx
import pytest
from console_world import build, items, purchases, serving


@pytest.fixture(scope="session")
def console_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a small shop; each test writes for a shopper of its own."""
    folder = tmp_path_factory.mktemp("console") / "data"
    build(folder, items(), purchases())
    with serving(folder) as address:
        yield address


@pytest.fixture
def web(console_site: str) -> Iterator[httpx.Client]:
    """A browser-like client that follows redirects."""
    headers = {"sec-fetch-site": "same-origin"}
    with httpx.Client(
        base_url=console_site, headers=headers, follow_redirects=True, timeout=30
    ) as c:
        yield c
