"""What many tests share."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from endcap.testing.servers import PostgresServer

pa.array([""])  # with its first list Arrow imports pandas, which is to be on no test's clock


@pytest.fixture(scope="session")
def demo_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder made by the demo from the first events of the box.

    It is built once for all parallel workers, and must not be written to.
    """
    from endcap.testing.demo import Demo

    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if parallel else base) / "shared" / "demo-data"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "models" / "current").exists():
            with (folder.parent / "demo.log").open("w") as told:
                Demo(folder, Console(file=told), limit=60_000).run()
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this run's own."""
    server = PostgresServer()
    yield server
    server.remove()
