"""The schema is made whole, matches its description, and is never downgraded by accident."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from endcap.events.sql import migrate as revisions
from endcap.events.sql import tables
from endcap.events.sqlite import migrate, open_store
from endcap.schema.errors import StoreError
from endcap.schema.settings import StoreSettings


def schema_of(path: Path) -> dict[str, list[object]]:
    """Return tables, columns and indexes as SQLite reports them."""
    database = sqlite3.connect(path)
    names = database.execute(
        "SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'alembic%' "
        "AND name NOT LIKE 'sqlite_autoindex_alembic%' AND type <> 'trigger'"
    ).fetchall()
    out: dict[str, list[object]] = {}
    for name, kind in names:
        pragma = "table_info" if kind == "table" else "index_xinfo"
        out[name] = database.execute(f"PRAGMA {pragma}({name})").fetchall()
        if kind == "table":
            listed = database.execute(f"PRAGMA index_list({name})").fetchall()
            out[name] += sorted(row[1:] for row in listed)
    database.close()
    return out


def test_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    migrate.upgrade(tmp_path / "migrated.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'described.db'}")
    tables.METADATA.create_all(engine)
    engine.dispose()
    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "described.db")


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", revisions.SCRIPTS)
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(s.revision for s in scripts)[::-1] == revisions.REVISIONS


def test_a_migrated_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    migrate.upgrade(path)
    before = path.read_bytes()
    migrate.upgrade(path)
    assert path.read_bytes() == before


def test_every_step_can_be_undone(tmp_path: Path) -> None:
    from alembic import command

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    config = Config()
    config.set_main_option("script_location", revisions.SCRIPTS)
    with engine.begin() as bound:
        config.attributes["connection"] = bound
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        assert set(sa.inspect(bound).get_table_names()) == {"alembic_version"}
    engine.dispose()


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    settings = StoreSettings(folder=tmp_path)
    open_store(settings).close()
    database = sqlite3.connect(tmp_path / "events.db")
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()
    before = (tmp_path / "events.db").read_bytes()
    with pytest.raises(StoreError, match="'9999', newer than"):
        open_store(settings)
    assert (tmp_path / "events.db").read_bytes() == before


def test_what_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("user_id,item_id\n" * 100)
    with pytest.raises(StoreError, match="no readable SQLite database"):
        open_store(StoreSettings(folder=tmp_path))
    assert (tmp_path / "events.db").read_text().startswith("user_id")


def test_a_foreign_table_of_the_same_name_is_refused_untouched(tmp_path: Path) -> None:
    """A half-migrated file cannot exist, so what looks like one is somebody else's."""
    path = tmp_path / "events.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE items (mine)")
    database.close()
    with pytest.raises(StoreError, match="cannot be brought to the current schema"):
        open_store(StoreSettings(folder=tmp_path))
    database = sqlite3.connect(path)
    assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("items",)]
    database.close()


def test_many_may_open_a_new_folder_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(StoreSettings(folder=tmp_path)), range(6)))
    for store in stores:
        assert store.healthy() == (True, "")
        store.close()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(StoreSettings(folder=tmp_path / "file" / "shop"))
