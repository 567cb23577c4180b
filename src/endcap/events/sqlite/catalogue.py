"""Items and users on SQLite: the last row of an id wins."""

import json
import sqlite3
from collections.abc import Sequence

import pyarrow as pa

from endcap.events.sqlite import rows
from endcap.events.sqlite.committer import Committer
from endcap.events.sqlite.engine import Readers
from endcap.events.store import Receipt
from endcap.schema.tables import ITEMS, USERS


class SQLiteCatalogue:
    """A `Catalogue` in two tables.

    Parameters
    ----------
    committer, readers
        What writes and what reads.
    """

    def __init__(self, committer: Committer, readers: Readers) -> None:
        self._committer = committer
        self._readers = readers

    def upsert_items(self, items: pa.Table) -> Receipt:
        """See `Catalogue.upsert_items`."""
        return self._upsert("items", "item_id", rows.conform(items, ITEMS))

    def delete_items(self, item_ids: Sequence[str]) -> int:
        """See `Catalogue.delete_items`."""
        among, bound = _among("item_id", item_ids)

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(f"DELETE FROM items {among}", bound).rowcount

        return self._committer.submit(work, len(item_ids)).result()  # type: ignore[no-any-return]

    def items(self, item_ids: Sequence[str] | None = None) -> pa.Table:
        """See `Catalogue.items`."""
        return self._select("items", "item_id", ITEMS, item_ids)

    def upsert_users(self, users: pa.Table) -> Receipt:
        """See `Catalogue.upsert_users`."""
        return self._upsert("users", "user_id", rows.conform(users, USERS))

    def users(self, user_ids: Sequence[str] | None = None) -> pa.Table:
        """See `Catalogue.users`."""
        return self._select("users", "user_id", USERS, user_ids)

    def _upsert(self, table: str, key: str, data: pa.Table) -> Receipt:
        columns, values = rows.encode(data, all_columns=True)
        sql = _upsert_sql(table, key, columns)
        count = data.num_rows

        def work(connection: sqlite3.Connection) -> Receipt:
            changed = rows.insert(connection, sql, values) if count else 0
            return Receipt(received=count, stored=changed, duplicate=count - changed)

        return self._committer.submit(work, count).result()  # type: ignore[no-any-return]

    def _select(
        self, table: str, key: str, schema: pa.Schema, ids: Sequence[str] | None
    ) -> pa.Table:
        among, bound = ("", ()) if ids is None else _among(key, ids)
        sql = f"SELECT {rows.names_sql(schema.names)} FROM {table} {among} ORDER BY {key}"
        with self._readers.lend() as connection:
            found = connection.execute(sql, bound).fetchall()
        return pa.Table.from_batches([rows.decode(found, schema)])


def _upsert_sql(table: str, key: str, columns: Sequence[str]) -> str:
    """Insert or replace; a row that is there already is left alone, and so not counted."""
    others = [name for name in columns if name != key]
    new = rows.names_sql(others)
    fresh = ", ".join(f'excluded."{name}"' for name in others)
    old = ", ".join(f'{table}."{name}"' for name in others)
    tail = f"ON CONFLICT ({key}) DO UPDATE SET ({new}) = ({fresh}) WHERE ({old}) IS NOT ({fresh})"
    return rows.insert_sql(table, columns, tail)


def _among(key: str, ids: Sequence[str]) -> tuple[str, tuple[str]]:
    """Any number of ids as one parameter: SQLite limits how many a statement may have."""
    return f"WHERE {key} IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
