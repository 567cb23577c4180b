"""Items and users: the last row of an id wins."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from endcap.events.sql import rows
from endcap.events.sql.backend import Database, Session
from endcap.events.store import Patched, Receipt
from endcap.schema.tables import ITEMS, USERS

PORTION: Final = 10_000
OBJECTS: Final = ("attributes", "relations")


class SQLCatalogue:
    """A `Catalogue` in two tables.

    Parameters
    ----------
    database
        What writes and what reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert_items(self, items: pa.Table) -> Receipt:
        """See `Catalogue.upsert_items`."""
        return self._upsert("items", "item_id", rows.conform(items, ITEMS))

    def patch_items(self, patches: pa.Table) -> Patched:
        """See `Catalogue.patch_items`; nobody else writes between what is read and written."""
        ids = patches["item_id"].to_pylist()
        among, bound = self._database.dialect.among("item_id", ids)
        select = f"SELECT {rows.names_sql(ITEMS.names)} FROM items {among}"

        def work(session: Session) -> Patched:
            was = rows.decode(session.execute(select, bound).fetchall(), ITEMS).to_pylist()
            known = {row["item_id"]: row for row in was}
            missing = [at for at, item_id in enumerate(ids) if item_id not in known]
            there = [patch for patch in patches.to_pylist() if patch["item_id"] in known]
            stored = sum(patched(known[patch["item_id"]], patch) for patch in there)
            self._replace_items(session, pa.Table.from_pylist(list(known.values()), schema=ITEMS))
            return Patched(Receipt(len(there), stored, len(there) - stored), missing)

        return self._database.committer.submit(work, len(ids)).result()  # type: ignore[no-any-return]

    def _replace_items(self, session: Session, items: pa.Table) -> None:
        if items.num_rows:
            columns, values = rows.encode(items, all_columns=True)
            dialect = self._database.dialect
            tail = _replace("items", "item_id", columns, dialect.unlike)
            dialect.insert(session, "items", columns, values, tail)

    def delete_items(self, item_ids: Sequence[str]) -> int:
        """See `Catalogue.delete_items`."""
        among, bound = self._database.dialect.among("item_id", item_ids)

        def work(session: Session) -> int:
            return session.execute(f"DELETE FROM items {among}", bound).rowcount

        return self._database.committer.submit(work, len(item_ids)).result()  # type: ignore[no-any-return]

    def items(self, item_ids: Sequence[str] | None = None) -> pa.Table:
        """See `Catalogue.items`."""
        return self._select("items", "item_id", ITEMS, item_ids)

    def position(self) -> int:
        """See `Catalogue.position`."""
        with self._database.readers.lend() as session:
            (last,) = session.execute("SELECT max(seq) FROM item_changes").fetchone()
        return last or 0

    def changed(self, after: int) -> list[str]:
        """See `Catalogue.changed`."""
        sql = "SELECT DISTINCT item_id FROM item_changes WHERE seq > ?"
        with self._database.readers.lend() as session:
            return [row[0] for row in session.execute(sql, (after,)).fetchall()]

    def items_at(self, position: int) -> pa.Table:
        """See `Catalogue.items_at`.

        What changes between the two readings is undone as well, for changes are read later.
        """
        names = rows.names_sql(ITEMS.names)
        now = self.items()
        with self._database.readers.lend() as session:
            undone = session.execute(
                f"SELECT {names}, was FROM item_changes WHERE seq IN "
                "(SELECT min(seq) FROM item_changes WHERE seq > ? GROUP BY item_id)",
                (position,),
            ).fetchall()
        touched = pa.array([row[0] for row in undone], pa.string())
        kept = now.filter(pc.invert(pc.is_in(now["item_id"], touched)))
        was = rows.decode([row[:-1] for row in undone if row[-1]], ITEMS)
        return pa.concat_tables([kept, pa.Table.from_batches([was])]).sort_by("item_id")

    def upsert_users(self, users: pa.Table) -> Receipt:
        """See `Catalogue.upsert_users`."""
        return self._upsert("users", "user_id", rows.conform(users, USERS))

    def users(self, user_ids: Sequence[str] | None = None) -> pa.Table:
        """See `Catalogue.users`."""
        return self._select("users", "user_id", USERS, user_ids)

    def _upsert(self, table: str, key: str, data: pa.Table) -> Receipt:
        columns, values = rows.encode(data, all_columns=True)
        tail = _replace(table, key, columns, self._database.dialect.unlike)
        count = data.num_rows

        def work(session: Session) -> Receipt:
            insert = self._database.dialect.insert
            changed = insert(session, table, columns, values, tail) if count else 0
            return Receipt(received=count, stored=changed, duplicate=count - changed)

        return self._database.committer.submit(work, count).result()  # type: ignore[no-any-return]

    def _select(
        self, table: str, key: str, schema: pa.Schema, ids: Sequence[str] | None
    ) -> pa.Table:
        among, bound = ("", ()) if ids is None else self._database.dialect.among(key, ids)
        sql = f"SELECT {rows.names_sql(schema.names)} FROM {table} {among} ORDER BY {key}"
        with self._database.readers.lend() as session:
            found = session.execute(sql, bound)
            parts = iter(partial(found.fetchmany, PORTION), [])  # as objects, rows are large
            batches = [rows.decode(part, schema) for part in parts]
        return pa.Table.from_batches(batches, schema).combine_chunks()


def _replace(table: str, key: str, columns: Sequence[str], unlike: str) -> str:
    """Replace the row that is there; one that would not change is left alone, and not counted."""
    others = [name for name in columns if name != key]
    new = rows.names_sql(others)
    fresh = ", ".join(f'excluded."{name}"' for name in others)
    old = ", ".join(f'{table}."{name}"' for name in others)
    return f"ON CONFLICT ({key}) DO UPDATE SET ({new}) = ({fresh}) WHERE ({old}) {unlike} ({fresh})"


def patched(item: dict[str, Any], patch: Mapping[str, Any]) -> bool:
    """Change of a row of `ITEMS` what a row of `PATCHES` gives; return whether it is another one.

    Objects gain or replace their keys one by one.
    """
    was = dict(item)
    for name in patch["given"]:
        item[name] = _merged(item[name], patch[name]) if name in OBJECTS else patch[name]
    return item != was


def _merged(was: str | None, given: str | None) -> str | None:
    """Return the canonical text of an object with the keys of another; null takes all away."""
    if was is None or given is None:
        return given
    tree = {**json.loads(was), **json.loads(given)}
    return json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
