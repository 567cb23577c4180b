"""What imports and streams store, running servers know at once; a silent twin is not seen."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from served_shop import Served

from endcap.cli import app as cli
from endcap.events.opening import open_store
from endcap.schema.settings import Settings
from endcap.schema.tables import PATCHES
from endcap.serve.sharing import BusError, Change
from endcap.serve.sharing_file import FILE_NAME, FileBus
from endcap.serve.telling import open_telling
from endcap.testing.contracts.sample_rows import event, events
from endcap.testing.servers import RedisServer, until
from real_servers import needs_redis

NOW = datetime.now(UTC)


def recent(first: int, last: int, **more: Any) -> Any:
    rows = ({"time": NOW - timedelta(seconds=1000 - n), **more} for n in range(first, last))
    return events(*(event(n, item_id=f"i{n}", **row) for n, row in enumerate(rows, first)))


def history(shop: Served, who: str) -> list[str]:
    told = shop.client.get(f"/v1/users/{who}/history?limit=1000").json()["events"]
    return [row["item_id"] for row in told]


def told(folder: Path, **live: Any) -> Settings:
    return Settings.parse({"store": {"folder": folder}, "live": live})


def test_an_import_reaches_a_running_server(shop: Served, tmp_path: Path) -> None:
    assert history(shop, "ann") == []  # remembered as empty
    shop.slate(k=3)
    day = (NOW - timedelta(hours=1)).isoformat()
    rows = [f"{u},view,lamp,{day}" for u in ("ann", "bob", "cai", "dan")]
    files = tmp_path / "files"
    files.mkdir()
    (files / "events.csv").write_text("\n".join(["user_id,kind,item_id,time", *rows]))
    (files / "items.jsonl").write_text('{"item_id": "lamp", "title": "Lamp"}\n')
    assert cli.run(["import", str(files), "--folder", str(tmp_path)]) == 0
    until(lambda: history(shop, "ann") == ["lamp"], seconds=5)
    until(lambda: [i["item_id"] for i in shop.slate(k=3)["items"]] == ["lamp"], seconds=5)
    until(lambda: len(shop.runtime.live.live) == 1, seconds=5)  # trends count along


def test_each_way_of_changing_a_shop_is_told(shop: Served, tmp_path: Path) -> None:
    assert history(shop, "u1") == []
    with closing(open_telling(told(tmp_path))) as store:
        store.log.append(recent(0, 3, user_id="u1"))
        until(lambda: history(shop, "u1") == ["i2", "i1", "i0"], seconds=5)
        store.log.append(recent(3, 5, user_id=None, visitor_id="v"))
        store.alias("v", "u1")
        until(lambda: history(shop, "u1") == ["i4", "i3", "i2", "i1", "i0"], seconds=5)
        shop.items({"item_id": "gone"}, {"item_id": "kept"})
        store.catalogue.delete_items(["gone"])
        until(lambda: [i["item_id"] for i in shop.slate()["items"]] == ["kept"], seconds=5)
        patch = {"item_id": "kept", "title": "Kept", "given": ["title"], "line": 1, "payload": ""}
        store.catalogue.patch_items(pa.Table.from_pylist([patch], schema=PATCHES))
        until(lambda: shop.runtime.live.facts(["kept"])["kept"] == {"title": "Kept"}, seconds=5)
        counted = len(shop.runtime.live.live)
        store.log.append(recent(0, 3, user_id="u1"))  # nothing is counted twice
        store.log.append(recent(5, 6, user_id="u2"))
        until(lambda: len(shop.runtime.live.live) == counted + 1, seconds=5)


def test_what_is_older_than_counts_go_is_read_again_at_the_end(
    shop: Served, tmp_path: Path
) -> None:
    assert history(shop, "u1") == []
    with closing(open_telling(told(tmp_path))) as store:
        store.log.append(recent(0, 3, user_id="u1", time=NOW - timedelta(days=400)))
        time.sleep(0.2)
        assert history(shop, "u1") == []
    until(lambda: history(shop, "u1") == ["i2", "i1", "i0"], seconds=5)
    assert len(shop.runtime.live.live) == 0


def test_twin_a_writer_that_tells_nobody_is_not_seen(shop: Served, tmp_path: Path) -> None:
    assert history(shop, "u1") == []
    with closing(open_store(told(tmp_path).store)) as store:
        store.log.append(recent(0, 3, user_id="u1"))
    time.sleep(0.5)
    assert history(shop, "u1") == []


@needs_redis
def test_over_redis_where_servers_share_by_it(serve: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    try:
        shop = serve(live={"url": redis.url})
        assert history(shop, "u1") == []
        with closing(open_telling(told(tmp_path, url=redis.url))) as store:
            store.log.append(recent(0, 3, user_id="u1"))
        assert history(shop, "u1") == ["i2", "i1", "i0"]
        assert not (tmp_path / FILE_NAME).exists()
    finally:
        shop.client.get("/livez")
        redis.stop()


def test_a_ring_that_is_damaged_or_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    with closing(FileBus(tmp_path)) as writer, closing(FileBus(tmp_path)) as reader:
        reader.catch_up()
        writer.publish(Change("items", ids=("a",)))
        with (tmp_path / FILE_NAME).open("r+b") as file:
            file.seek(16)
            file.write(b"\xff" * 12)
        assert reader.catch_up() is None
        writer.publish(Change("items", ids=("b",)))
        assert [change.ids for change in reader.catch_up() or []] == [("b",)]
        closed = os.open(tmp_path / FILE_NAME, os.O_RDONLY)
        os.dup2(closed, writer._file.fileno())
        os.close(closed)
        with pytest.raises(BusError, match="ring: Bad file"):
            writer.publish(Change("items", ids=("c",)))
