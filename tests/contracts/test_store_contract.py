"""Every store that we ship keeps the contract."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from endcap.events.opening import open_store
from endcap.events.postgres import PostgresStore
from endcap.events.sqlite import SQLiteStore
from endcap.events.store import Store
from endcap.schema.settings import StoreSettings
from endcap.testing.contracts.erasing import leave_traces
from endcap.testing.contracts.store import Opener, StoreContract
from endcap.testing.servers import PostgresServer
from real_servers import needs_postgres


@needs_postgres
class TestPostgres(StoreContract):
    """A real server; each test has a database of its own."""

    @pytest.fixture
    def opener(self, postgres: PostgresServer) -> Iterator[Opener]:
        opened: list[Store] = []
        settings = StoreSettings(url=postgres.new_database())

        def opener() -> Store:
            opened.append(open_store(settings))
            assert isinstance(opened[-1], PostgresStore)
            return opened[-1]

        yield opener
        for store in opened:
            store.close()


class TestSQLite(StoreContract):
    """The embedded store, opened as an application opens it."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Iterator[Opener]:
        opened: list[Store] = []

        def opener() -> Store:
            opened.append(open_store(StoreSettings(folder=tmp_path / "shop" / "data")))
            assert isinstance(opened[-1], SQLiteStore)
            return opened[-1]

        yield opener
        for store in opened:
            store.close()

    def test_not_a_byte_of_a_person_is_left_in_any_file(
        self, opener: Opener, tmp_path: Path
    ) -> None:
        with closing(opener()) as store:
            leave_traces(store, "ann-of-cleves", "v-of-cleves", namesake=False)
            store.erase(["ann-of-cleves", "visitor:v-of-cleves"])
        whole = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert whole
        assert not [path for path in whole if b"of-cleves" in path.read_bytes()]
