"""Two servers of one shop, each in a folder of its own, over PostgreSQL and Redis of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa

from endcap.events.opening import open_store
from endcap.schema.settings import Settings
from endcap.testing.servers import PostgresServer, RedisServer

PATIENT = {"ENDCAP_SERVE__TIMEOUT_MS": "30000"}
"""No answer from the catalogue because the machine is busy: it would say nothing."""


@contextmanager
def replicas(made: Path, count: int) -> Iterator[list[str]]:
    """Serve what a shop's folder holds from `count` servers while the block lasts.

    Yields
    ------
    Their addresses.
    """
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres, redis = PostgresServer(), RedisServer(place)
        stack.callback(postgres.remove)
        stack.callback(redis.stop)
        url = postgres.new_database()
        _copy(made, url)
        told = {"ENDCAP_STORE__URL": url, "ENDCAP_LIVE__URL": redis.url, **PATIENT}
        yield [
            stack.enter_context(_replica(made, place / f"replica{n}", told)) for n in range(count)
        ]


def _copy(made: Path, url: str) -> None:
    """Copy catalogue and events to PostgreSQL."""
    here = open_store(Settings.parse({"store": {"folder": made}}).store)
    there = open_store(Settings.parse({"store": {"folder": made, "url": url}}).store)
    there.catalogue.upsert_items(here.catalogue.items())
    for _, batch in here.log.tail(0, here.log.newest()):
        there.log.append(pa.Table.from_batches([batch]))
    for store in (here, there):
        store.close()


@contextmanager
def _replica(made: Path, folder: Path, told: dict[str, str]) -> Iterator[str]:
    shutil.copytree(made / "models", folder / "models", symlinks=True)
    command = [sys.executable, "-m", "endcap", "serve", "--folder", str(folder), "--port", "0"]
    env = {**os.environ, **told}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait(60)
