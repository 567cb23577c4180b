"""An import is idempotent, free of order, and says what it did."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from collecting import NOW, SAMPLES, ListStore, collect, lines_of, write

from endcap.events.guess import files_of
from endcap.events.importer import import_paths
from endcap.events.opening import open_store
from endcap.schema.errors import BusyError, DataError, PluginError
from endcap.schema.settings import StoreSettings

FOLDERS = sorted(path.name for path in SAMPLES.iterdir())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_second_run_adds_nothing(folder: str) -> None:
    for path in sorted((SAMPLES / folder).iterdir()):
        store = ListStore()
        first = collect(path, store=store)
        again = collect(path, store=store)
        assert again.contents == first.contents
        assert (first.summary.total.stored > 0) == bool(first.summary.files[0].dialect)
        assert again.summary.total.stored == 0
        assert again.summary.total.duplicate == first.summary.total.received


@pytest.mark.parametrize("name", ["own/events.csv", "own/events.jsonl", "recbole/shop.inter"])
def test_the_order_of_lines_does_not_matter(name: str, tmp_path: Path) -> None:
    lines = lines_of(SAMPLES / name)
    head = 0 if name.endswith("jsonl") else 1
    body = [*lines[head:], b"bad line\n", *lines[head : head + 2]]
    random.Random(3).shuffle(body)
    got = collect(write(tmp_path / Path(name).name, [*lines[:head], *body]))
    assert got.contents == collect(SAMPLES / name).contents
    assert got.summary.total.duplicate == 2
    assert len(got.bad) == 1


def test_the_summary_tells_what_happened(tmp_path: Path) -> None:
    rows = [
        *("user_id,item_id,kind,time", "u1,i1,buy,2024-01-02", "null,i1,buy,2024-01-02"),
        *("u1,i1,view,2024-01-01", "u1,i1,view,3024-01-01", "u1,i1,view,3024-01-02", "u1"),
    ]
    path = write(tmp_path / "log.csv", ["\n".join(rows).encode()])
    told: list[tuple[int, int, str]] = []
    summary = import_paths(
        [path],
        store=None,
        now=NOW,
        progress=lambda done, total, note="": told.append((done, total, note)),
    )
    assert summary.kinds == {"purchase": 1, "view": 1}
    assert (summary.first, summary.last) == (
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 2, tzinfo=UTC),
    )
    reasons = {name: (seen.count, seen.first) for name, seen in summary.reasons.items()}
    assert reasons == {
        "placeholder-id": (1, f"{path}:3"),
        "future-time": (2, f"{path}:5"),
        "wrong-columns": (1, f"{path}:7"),
    }
    receipt = summary.receipts["events"]
    assert (receipt.received, receipt.stored, receipt.quarantined) == (6, 2, 4)
    size = path.stat().st_size
    assert told[-1] == (size, size, "log.csv: 6 rows")


def test_a_file_without_kinds_tells_of_views_or_ratings(tmp_path: Path) -> None:
    visits = write(tmp_path / "a.csv", [b"customer;sku;date\nu;i;2024-01-01\n"])
    stars = write(tmp_path / "b.tsv", [b"uid\titem\trating\tts\nu\ti\t4\t1700000000\n"])
    got = collect(visits, stars)
    assert sorted(row["kind"] for row in got.events.values()) == ["rating", "view"]


def test_columns_in_chinese(tmp_path: Path) -> None:
    text = "用户ID,商品ID,行为,时间,数量\n张三,茶壶,加购,2024-01-01 08:00:00,2\n"
    (row,) = collect(write(tmp_path / "a.csv", [text.encode("gb18030")])).events.values()
    assert (row["user_id"], row["item_id"], row["kind"], row["quantity"]) == (
        "张三",
        "茶壶",
        "cart",
        2,
    )


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [b"user_id,item_id,item_id\nu,i,i\n"])
    write(tmp_path / "b.csv", [b""])
    write(tmp_path / "c.png", [b"\x89PNG\r\n\0\0\0\0"])
    write(tmp_path / ".hidden.csv", [b"user_id,item_id\n"])
    wide = ",".join(["user_id", "item_id", *(f"c{n}" for n in range(3000))])
    write(tmp_path / "d.csv", [wide.encode() + b"\n"])
    problems = {r.path.name: r.problem for r in collect(tmp_path).summary.files}
    assert sorted(problems) == ["a.csv", "b.csv", "c.png", "d.csv"]
    assert "two columns named 'item_id'" in problems["a.csv"]
    assert problems["b.csv"] == "the file is empty"
    assert problems["c.png"] == "of no known dialect"
    assert "3002 columns" in problems["d.csv"]


def test_paths_and_dialects_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        collect(tmp_path / "no.csv")
    with pytest.raises(PluginError, match="movielens"):
        collect(SAMPLES, dialect="movielense")


def test_a_named_dialect_skips_other_files_of_a_folder() -> None:
    got = collect(SAMPLES / "ml-latest", dialect="movielens")
    assert {report.path.name for report in got.summary.files if report.rows} == {
        *("movies.csv", "ratings.csv"),
    }


def test_a_file_named_twice_is_read_once() -> None:
    folder = SAMPLES / "own"
    files = [
        path for path, _ in files_of([folder / "items.csv", folder, folder / "." / "items.csv"])
    ]
    assert len(files) == len(set(files)) == 3


class BusyStore(ListStore):
    """Refuses every other batch once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def submit(self, events):  # type: ignore[no-untyped-def]
        self.asked += 1
        if self.asked % 2:
            raise BusyError("full", retry_after=0.001)
        return super().submit(events)


def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    rows = [f"u{n},i,view,{1_700_000_000 + n}" for n in range(25_000)]
    path = write(tmp_path / "log.csv", ["\n".join(["user_id,item_id,kind,time", *rows]).encode()])
    store = BusyStore()
    assert len(collect(path, store=store).events) == 25_000
    assert store.asked == 6


def test_every_sample_goes_into_the_real_store_and_comes_out_the_same(tmp_path: Path) -> None:
    store = open_store(StoreSettings(folder=tmp_path / "data"))
    try:
        for _ in range(2):
            summary = import_paths([SAMPLES], store=store, now=NOW)
            assert summary.total.balanced
        assert summary.receipts["events"].stored == 0
        wanted = collect(SAMPLES)
        kept = [row for batch in store.log.scan() for row in batch.to_pylist()]
        assert {row["event_id"] for row in kept} == set(wanted.events)
        by_id = {row["event_id"]: row for row in kept}
        for key, row in wanted.events.items():
            assert {name: by_id[key][name] for name in row} == row
        items = {row["item_id"] for row in store.catalogue.items().to_pylist()}
        assert items == set(wanted.items)
    finally:
        store.close()
