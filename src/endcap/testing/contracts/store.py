"""What every store must do, whatever it is built on.

Subclass `StoreContract` in a test module and give it a fixture `opener` that opens the same
place each time it is called, empty at first; pytest then runs every test on your store.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import isnan

import pyarrow as pa

from endcap.events.sql.log import microseconds
from endcap.events.store import (
    Answered,
    Catalogue,
    EventLog,
    Quarantine,
    Receipt,
    Remembered,
    Store,
)
from endcap.schema.errors import ConflictError, DataError, EndcapError, StoreError
from endcap.schema.tables import EVENTS, PATCHES
from endcap.testing.contracts import sample_rows as rows
from endcap.testing.contracts.erasing import ErasureContract
from endcap.testing.contracts.sample_rows import START

Opener = Callable[[], Store]


class LogContract:
    """What holds for the event log."""

    def test_every_column_comes_back_exactly(self, opener: Opener) -> None:
        """Money to the last digit, times to the microsecond, text to the last byte, and nulls."""
        given = rows.events(rows.event(1), rows.full_event(2), rows.event(3, price=None))
        with closing(opener()) as store:
            assert store.log.append(given) == Receipt(received=3, stored=3)
            assert read(store).equals(given)

    def test_a_retry_stores_nothing(self, opener: Opener) -> None:
        """The first row of an id stays, within one batch and across batches."""
        with closing(opener()) as store:
            twice = rows.events(rows.event(1, kind="cart"), rows.event(1), rows.event(2))
            assert store.log.append(twice) == Receipt(received=3, stored=2, duplicate=1)
            again = rows.events(rows.event(2, kind="wish"), rows.event(3))
            assert store.log.append(again) == Receipt(received=2, stored=1, duplicate=1)
            assert read(store)["kind"].to_pylist() == ["cart", "view", "view"]
            assert store.log.count() == 3

    def test_a_retry_from_many_threads_stores_one_row(self, opener: Opener) -> None:
        """One event sent a hundred times by eight clients at once is one event."""
        with closing(opener()) as store, ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda _: store.log.append(rows.numbered(1, 2)), range(100)))
            assert sum(receipts, Receipt()) == Receipt(received=100, stored=1, duplicate=99)
            assert store.log.count() == 1

    def test_an_empty_batch_is_fine(self, opener: Opener) -> None:
        """Nothing in, nothing out, no error."""
        with closing(opener()) as store:
            assert store.log.append(rows.events()) == Receipt()
            assert list(store.log.scan()) == []

    def test_rows_that_would_change_are_refused(self, opener: Opener) -> None:
        """A missing id, a foreign column, NaN: refused whole, before anything is queued."""
        with closing(opener()) as store:
            for bad in (
                rows.numbered(1, 3).drop_columns(["kind"]),
                rows.numbered(1, 3).append_column("extra", pa.array([1, 2])),
                rows.events(rows.event(1), rows.event(2, event_id=None)),
                rows.events(rows.event(1), rows.event(2, value=float("nan"))),
            ):
                with refused(DataError):
                    store.log.submit(bad)
            assert store.log.count() == 0
            assert store.log.append(rows.numbered(1, 3)).stored == 2

    def test_scan_is_ordered_by_time(self, opener: Opener) -> None:
        """Whatever the order of arrival, and events of one moment in order of arrival."""
        with closing(opener()) as store:
            store.log.append(rows.events(*(rows.event(n) for n in (5, 1, 9))))
            store.log.append(rows.events(*(rows.event(n, time=START) for n in (8, 7, 6))))
            assert ids(store.log.scan()) == ["e8", "e7", "e6", "e1", "e5", "e9"]

    def test_scan_takes_a_half_open_window(self, opener: Opener) -> None:
        """``since <= time < until``, each by itself and together."""
        with closing(opener()) as store:
            store.log.append(rows.numbered(0, 10))
            third, seventh = START + timedelta(seconds=3), START + timedelta(seconds=7)
            assert ids(store.log.scan(third, seventh)) == ["e3", "e4", "e5", "e6"]
            assert ids(store.log.scan(since=seventh)) == ["e7", "e8", "e9"]
            assert ids(store.log.scan(until=third)) == ["e0", "e1", "e2"]
            assert ids(store.log.scan(seventh, third)) == []

    def test_scan_refuses_a_time_without_zone(self, opener: Opener) -> None:
        """Nobody knows which moment that is."""
        with closing(opener()) as store, refused(DataError):
            store.log.scan(since=datetime(2026, 1, 1))

    def test_scan_takes_kinds(self, opener: Opener) -> None:
        """No kinds named is all, an empty list is none."""
        with closing(opener()) as store:
            for number, kind in enumerate(("view", "cart", "purchase", "view")):
                store.log.append(rows.events(rows.event(number, kind=kind)))
            assert ids(store.log.scan(kinds=["cart", "purchase"])) == ["e1", "e2"]
            assert ids(store.log.scan(kinds=[])) == []
            assert len(ids(store.log.scan(kinds=None))) == 4

    def test_the_tail_comes_in_the_order_of_storing(self, opener: Opener) -> None:
        """Whatever the times of the events; nothing is missed and nothing read twice."""
        with closing(opener()) as store:
            assert store.log.newest() == 0
            assert list(store.log.tail(0, 100)) == []
            store.log.append(rows.events(rows.full_event(9), *(rows.event(n) for n in (5, 1))))
            first = store.log.newest()
            store.log.append(rows.events(*(rows.event(n, kind="cart") for n in (4, 5, 3))))
            last = store.log.newest()
            assert [ids([batch]) for _, batch in store.log.tail(0, first)] == [["e9", "e5", "e1"]]
            ((at, batch),) = store.log.tail(first, last)
            assert (at, ids([batch])) == (last, ["e4", "e3"])
            assert batch.schema.equals(EVENTS)
            assert ids(b for _, b in store.log.tail(0, last, ["view"])) == ["e5", "e1"]
            assert ids(b for _, b in store.log.tail(0, last, [])) == []
            ((_, whole),) = store.log.tail(0, first)
            assert whole.slice(0, 1).to_pylist() == rows.events(rows.full_event(9)).to_pylist()

    def test_a_long_tail_comes_in_pages(self, opener: Opener) -> None:
        """Ten thousand events: each once, and every page says where it ends."""
        with closing(opener()) as store:
            store.log.append(rows.numbered(0, 10_000))
            pages = list(store.log.tail(0, store.log.newest()))
            assert len(pages) > 1
            assert ids(batch for _, batch in pages) == [f"e{n}" for n in range(10_000)]
            resumed = store.log.tail(pages[0][0], store.log.newest())
            assert ids(b for _, b in resumed) == ids(b for _, b in pages[1:])

    def test_scan_takes_an_actor(self, opener: Opener) -> None:
        """An account by its id; a browser by its prefixed id, and only while it is nobody's."""
        with closing(opener()) as store:
            who = [("u1", None), ("u1", "v1"), (None, "v1"), (None, "u1"), ("visitor", None)]
            for n, (user, visitor) in enumerate(who):
                store.log.append(rows.events(rows.event(n, user_id=user, visitor_id=visitor)))
            assert ids(store.log.scan(actor="u1")) == ["e0", "e1"]
            assert ids(store.log.scan(actor="visitor:v1")) == ["e2"]
            assert ids(store.log.scan(actor="visitor:u1")) == ["e3"]
            assert ids(store.log.scan(actor="stranger")) == []
            assert ids(store.log.scan(START, START + timedelta(seconds=1), ["view"], "u1")) == [
                "e0"
            ]

    def test_a_history_is_what_a_scan_says(self, opener: Opener) -> None:
        """By time, of the kinds asked for, only what names an item; stars or NaN."""
        told = [
            rows.event(0, user_id="u1", value=4.0),
            rows.event(2, user_id="u1", kind="search", item_id=None),
            rows.event(1, user_id="u1", kind="purchase", item_id="b"),
            rows.event(3, user_id="u2"),
        ]
        with closing(opener()) as store:
            store.log.append(rows.events(*told))
            scanned = [
                (row["item_id"], row["kind"], microseconds(row["time"]))
                for batch in store.log.scan(kinds=["view", "purchase"], actor="u1")
                for row in batch.to_pylist()
            ]
            found = store.log.history("u1", ["view", "purchase", "search"])
            assert [deed[:3] for deed in found] == scanned
            assert [deed[1] for deed in found] == ["view", "purchase"]
            assert found[0][3] == 4.0
            assert isnan(found[1][3])
            assert store.log.history("u1", []) == store.log.history("nobody", ["view"]) == []

    def test_a_scan_gives_the_columns_asked_for(self, opener: Opener) -> None:
        """In the order of the schema, as the whole rows have them."""
        told = [rows.event(n, user_id=f"u{n}", price=Decimal("2.5000")) for n in (2, 0, 1)]
        with closing(opener()) as store:
            store.log.append(rows.events(*told))
            whole = pa.Table.from_batches(store.log.scan())
            for names in (["item_id"], ["price", "user_id", "time"]):
                part = pa.Table.from_batches(store.log.scan(columns=names))
                assert part.column_names == [name for name in EVENTS.names if name in names]
                assert part.to_pylist() == whole.select(part.column_names).to_pylist()

    def test_a_history_is_exact_to_the_last_bit(self, opener: Opener) -> None:
        """Whatever the ids, and stars that no short decimal says; impressions when asked for."""
        values = [1 / 3, 1 + 2**-24, -1e-308, 5e-324, 1.7976931348623157e308, 0.0]
        names = ["'; --", '"quoted"\\', "红色-😀", "line\nbreak\u202e", "\u0001\t", "a,b|c\x1f"]
        told = [
            rows.event(n, user_id="u1", kind="impression" if n == 3 else "view", item_id=i, value=v)
            for n, (i, v) in enumerate(zip(names, values, strict=True))
        ]
        with closing(opener()) as store:
            store.log.append(rows.events(*told))
            found = store.log.history("u1", ["view", "impression"])
            assert [(deed[0], deed[3]) for deed in found] == list(zip(names, values, strict=True))
            assert [deed[0] for deed in store.log.history("u1", ["view"])] == names[:3] + names[4:]

    def test_scan_streams_a_long_log(self, opener: Opener) -> None:
        """Tens of thousands of events, a third of them of one moment: each once, in batches."""
        count = 50_000
        with closing(opener()) as store:
            table = rows.numbered(0, count)
            same = pa.array([START if n % 3 else START + timedelta(days=n) for n in range(count)])
            at = EVENTS.get_field_index("time")
            table = table.set_column(at, EVENTS.field("time"), same.cast(EVENTS.field("time").type))
            store.log.append(table)
            batches = list(store.log.scan())
            assert len(batches) > 1
            assert all(batch.schema.equals(EVENTS) for batch in batches)
            found = pa.Table.from_batches(batches)
            assert sorted(found["event_id"].to_pylist()) == sorted(table["event_id"].to_pylist())
            assert all(a <= b for a, b in pairwise(found["time"].cast(pa.int64()).to_pylist()))

    def test_scan_sees_the_log_as_it_was(self, opener: Opener) -> None:
        """What is stored after the call is left out; leaving a scan half-way harms nothing."""
        with closing(opener()) as store:
            store.log.append(rows.numbered(0, 3))
            scan = store.log.scan()
            store.log.append(rows.numbered(3, 6))
            assert ids(scan) == ["e0", "e1", "e2"]
            next(store.log.scan())
            assert store.log.append(rows.numbered(6, 7)).stored == 1

    def test_readers_do_not_wait_for_writers(self, opener: Opener) -> None:
        """Many threads read while others write; each read is a whole number of batches."""
        with closing(opener()) as store, ThreadPoolExecutor(8) as pool:
            writes = [pool.submit(store.log.append, rows.numbered(n * 10, n * 10 + 10))
                      for n in range(40)]  # fmt: skip
            sizes = list(
                pool.map(lambda _: len(ids(store.log.scan(actor="visitor:v1"))), range(40))
            )
            assert sum((w.result() for w in writes), Receipt()).stored == 400
            assert all(size % 10 == 0 for size in sizes)
            assert len(ids(store.log.scan(actor="visitor:v1"))) == 400


class CatalogueContract:
    """What holds for items and users."""

    def test_items_come_back_exactly(self, opener: Opener) -> None:
        """Every column, ordered by id; after reopening, too."""
        given = rows.items(
            {"item_id": "b"}, rows.full_item("a"), {"item_id": "c", "categories": []}
        )
        with closing(opener()) as store:
            assert store.catalogue.upsert_items(given) == Receipt(received=3, stored=3)
        with closing(opener()) as store:
            assert store.catalogue.items().equals(given.take([1, 0, 2]))

    def test_the_last_row_of_an_item_wins(self, opener: Opener) -> None:
        """Null replaces a value; a row that changes nothing is a duplicate."""
        with closing(opener()) as store:
            upsert = store.catalogue.upsert_items
            both = rows.items(rows.full_item("a", title="old"), rows.full_item("a"))
            assert upsert(both) == Receipt(received=2, stored=2)
            assert upsert(both.slice(1)) == Receipt(received=1, duplicate=1)
            assert upsert(rows.items(rows.full_item("a", brand=None))).stored == 1
            (found,) = store.catalogue.items().to_pylist()
            assert (found["title"], found["brand"]) == ("title of a 灯", None)

    def test_items_can_be_asked_for_and_deleted(self, opener: Opener) -> None:
        """Unknown ids are no error; thousands of ids are fine."""
        with closing(opener()) as store:
            store.catalogue.upsert_items(rows.items(*({"item_id": n} for n in "abcd")))
            asked = ["d", "x", "a", *(f"no{n}" for n in range(40_000))]
            assert store.catalogue.items(asked)["item_id"].to_pylist() == ["a", "d"]
            assert store.catalogue.items([]).num_rows == 0
            assert store.catalogue.delete_items(["a", "x", "b"]) == 2
            assert store.catalogue.items()["item_id"].to_pylist() == ["c", "d"]

    def test_a_change_of_some_fields_leaves_the_others(self, opener: Opener) -> None:
        """Null where it is given; objects key by key; what is not there is told by its place."""
        items = rows.items(rows.full_item("a", attributes='{"x":1,"y":2}'), rows.full_item("b"))
        came = {"line": 1, "payload": "{}"}
        told = [
            {"item_id": "a", "stock": 5, "title": None, "given": ["stock", "title"], **came},
            {"item_id": "no", "stock": 1, "given": ["stock"], **came},
            {"item_id": "a", "attributes": '{"y":"灯"}', "given": ["attributes"], **came},
        ]
        with closing(opener()) as store:
            store.catalogue.upsert_items(items)
            patches = pa.Table.from_pylist(told, schema=PATCHES)
            patched = store.catalogue.patch_items(patches)
            assert patched.missing == [1]
            assert patched.receipt == Receipt(received=2, stored=2)
            changed = {"stock": 5, "title": None, "attributes": '{"x":1,"y":"灯"}'}
            full = rows.items(rows.full_item("a", **changed), rows.full_item("b"))
            assert store.catalogue.items().equals(full)

    def test_users_come_back_exactly(self, opener: Opener) -> None:
        """As items do."""
        given = rows.users({"user_id": "u2", "consent": "all"}, {"user_id": "u1"})
        with closing(opener()) as store:
            assert store.catalogue.upsert_users(given) == Receipt(received=2, stored=2)
            assert store.catalogue.upsert_users(given) == Receipt(received=2, duplicate=2)
            assert store.catalogue.users().equals(given.take([1, 0]))
            assert store.catalogue.users(["u2", "x"]).equals(given.slice(0, 1))


class QuarantineContract:
    """What holds for rows that failed validation."""

    def test_rows_are_kept_once(self, opener: Opener) -> None:
        """Reading the same file twice adds nothing, with and without a source and line."""
        nowhere = {"source": None, "line": None}
        given = rows.quarantined(rows.faulty(1), rows.faulty(2), rows.faulty(2, **nowhere))
        with closing(opener()) as store:
            assert store.quarantine.put(given) == Receipt(received=3, quarantined=3)
            assert store.quarantine.put(given) == Receipt(received=3, duplicate=3)
            other = rows.quarantined(rows.faulty(1, reason="bad-price"))
            assert store.quarantine.put(other) == Receipt(received=1, quarantined=1)
            assert store.quarantine.reasons() == {"bad-time": 3, "bad-price": 1}
            assert store.quarantine.put(rows.quarantined()) == Receipt()

    def test_the_newest_come_first(self, opener: Opener) -> None:
        """In pages, exactly as they arrived."""
        given = rows.quarantined(*(rows.faulty(n) for n in range(5)))
        with closing(opener()) as store:
            store.quarantine.put(given)
            assert store.quarantine.rows().equals(given.take([4, 3, 2, 1, 0]))
            assert store.quarantine.rows(limit=2, offset=1).equals(given.take([3, 2]))
            assert store.quarantine.rows(offset=5).num_rows == 0


class DocumentsContract:
    """What holds for documents."""

    def test_every_version_stays(self, opener: Opener) -> None:
        """Versions count from 1; the last one is found by its prefix; a deletion is one too."""
        with closing(opener()) as store:
            assert store.documents.latest() == {}
            first = store.documents.write("place/home", "one")
            store.documents.write("place/home", "two")
            gone = store.documents.write("place/cart", None)
            store.documents.write("other", "x")
            assert (first.version, first.body) == (1, "one")
            assert [d.body for d in store.documents.history("place/home")] == ["two", "one"]
            assert [d.version for d in store.documents.history("place/home")] == [2, 1]
            latest = store.documents.latest("place/")
            assert {name: d.body for name, d in latest.items()} == {
                "place/cart": None,
                "place/home": "two",
            }
            assert latest["place/cart"] == gone
            assert abs(gone.written / 1e6 - datetime.now(UTC).timestamp()) < 3600

    def test_documents_survive_and_are_seen_by_others(self, opener: Opener) -> None:
        """What one wrote, another that has the place open reads, and a later one too."""
        with closing(opener()) as other:
            with closing(opener()) as store:
                store.documents.write("place/home", "überall\n")
            assert other.documents.latest()["place/home"].body == "überall\n"
        with closing(opener()) as again:
            assert again.documents.latest()["place/home"].version == 1

    def test_nobody_overwrites_what_they_have_not_seen(self, opener: Opener) -> None:
        """Of many who write upon the same version one succeeds; nothing else suffers."""
        with closing(opener()) as store, ThreadPoolExecutor(8) as pool:

            def write(n: int) -> bool:
                try:
                    store.documents.write("place/home", str(n), expected=0)
                except ConflictError:
                    return False
                return True

            assert sum(pool.map(write, range(20))) == 1
            assert len(store.documents.history("place/home")) == 1
            assert store.log.append(rows.numbered(1, 2)).stored == 1


class SlatesContract:
    """What holds for slates as they were answered, and for the catalogue as it was."""

    def test_the_catalogue_is_found_as_it_was(self, opener: Opener) -> None:
        """Every change can be undone: new items, other values, the same again, deletions."""
        items = rows.items(rows.full_item("a"), rows.full_item("b"), {"item_id": "c"})
        ids = items["item_id"].to_pylist()
        with closing(opener()) as store:
            met = [(store.catalogue.position(), store.catalogue.items())]

            def note() -> None:
                met.append((store.catalogue.position(), store.catalogue.items()))

            assert store.catalogue.upsert_items(items).stored == len(ids)
            note()
            assert store.catalogue.upsert_items(items).duplicate == len(ids)
            assert store.catalogue.position() == met[-1][0]
            titled = items.slice(0, 1).set_column(
                items.column_names.index("title"), "title", pa.array(["Another"])
            )
            assert store.catalogue.upsert_items(titled).stored == 1
            note()
            assert store.catalogue.delete_items(ids[:2]) == 2
            note()
            store.catalogue.upsert_items(items)
            note()
            assert [p for p, _ in met] == sorted({p for p, _ in met})
            after = [sorted(store.catalogue.changed(position)) for position, _ in met]
            assert after == [ids, ids[:2], ids[:2], ids[:2], []]
            for position, was in met:
                assert store.catalogue.items_at(position).equals(was)

    def test_a_slate_is_kept_until_it_is_pruned(self, opener: Opener) -> None:
        """The first word about a slate stays; what is older than asked for goes."""
        old, new = (Answered(name, at, "u", b"\x00bits") for name, at in (("a", 5), ("b", 5000)))
        with closing(opener()) as store:
            store.slates.put([old, new._replace(actor=None)])
            store.slates.put([old._replace(record=b"other")])
        with closing(opener()) as store:
            assert store.slates.get("a") == old
            assert store.slates.get("nobody") is None
            assert store.slates.prune(datetime.fromtimestamp(0.001, UTC)) == 1
            assert store.slates.get("a") is None
            assert store.slates.get("b") == new._replace(actor=None)

    def test_many_slates_are_kept_at_once(self, opener: Opener) -> None:
        """Also where some are told twice, and for some nobody is known."""
        told = [
            Answered(f"r{n % 240}", 10**n % 10**15, None if n % 3 else "u", bytes([n % 251]))
            for n in range(250)
        ]
        with closing(opener()) as store:
            store.slates.put(told)
            assert [store.slates.get(f"r{n}") for n in range(240)] == told[:240]


class ParcelsContract:
    """What holds for bytes that are handed on."""

    def test_parcels_come_whole_and_in_order(self, opener: Opener) -> None:
        """The last one under a name stands, however many parts it and the one before had."""
        with closing(opener()) as store:
            store.parcels.put("a/1", [b"old", b"older", b"oldest"])
            store.parcels.put("a/1", (bytes([n]) * 3 for n in (0, 255)))
            store.parcels.put("a/2", [b""])
            store.parcels.put("b", [b"x"])
            store.parcels.delete("b")
        with closing(opener()) as store:
            assert list(store.parcels.get("a/1")) == [b"\0" * 3, b"\xff" * 3]
            assert list(store.parcels.get("a/2")) == [b""]
            assert list(store.parcels.get("b")) == []
            assert store.parcels.names() == store.parcels.names("a/") == ["a/1", "a/2"]


class StoreContract(
    LogContract,
    CatalogueContract,
    QuarantineContract,
    DocumentsContract,
    SlatesContract,
    ParcelsContract,
    ErasureContract,
):
    """What holds for a whole store."""

    def test_it_is_a_store(self, opener: Opener) -> None:
        """It has all the parts, and is well."""
        with closing(opener()) as store:
            assert isinstance(store, Store)
            assert isinstance(store.log, EventLog)
            assert isinstance(store.catalogue, Catalogue)
            assert isinstance(store.quarantine, Quarantine)
            assert store.healthy() == (True, "")

    def test_everything_survives_reopening(self, opener: Opener) -> None:
        """Events, answers and aliases."""
        answer = _told(Receipt(received=2, stored=1, duplicate=1))
        with closing(opener()) as store:
            twice = rows.events(rows.full_event(1), rows.event(1))
            store.log.submit(twice, key="k", remember=_told).result()
            store.alias("v1", "u1")
            store.alias("v2", "u1")
            store.alias("v1", "u2")
        with closing(opener()) as store:
            assert read(store).equals(rows.events(rows.full_event(1)))
            assert store.log.append(rows.numbered(1, 2)).duplicate == 1
            assert store.aliases() == {"v1": "u2", "v2": "u1"}
            store.alias("v3", "u1")
            for who in ("u1", "visitor:v2", "visitor:v3"):
                assert store.aliases([who]) == {"v2": "u1", "v3": "u1"}
            assert store.aliases(["u2", "visitor:nobody", "nobody"]) == {"v1": "u2"}
            assert store.aliases([]) == store.aliases(["visitor:nobody"]) == {}
            assert store.recall("k") == answer
            assert store.recall("other") is None

    def test_each_row_is_told_whether_it_was_new(self, opener: Opener) -> None:
        """Also where one comes twice at once, and beside what others store in the same moment."""
        with closing(opener()) as store:
            store.log.append(rows.numbered(2, 4))
            beside = [store.log.submit(rows.numbered(n, n + 1)) for n in range(90, 99)]
            four = rows.events(*(rows.event(n) for n in (1, 2, 5, 5)))
            assert store.log.submit_each(four).result() == [True, False, True, False]
            assert store.log.submit_each(EVENTS.empty_table()).result() == []
            assert [future.result().stored for future in beside] == [1] * 9
            assert store.log.count() == 13

    def test_the_first_answer_under_a_key_stays(self, opener: Opener) -> None:
        """Two requests with one key race: whoever was stored first is replayed to both."""
        with closing(opener()) as store:
            for stored in (1, 0):
                assert store.log.submit(
                    rows.numbered(1, 2), key="k", remember=_told
                ).result() == Receipt(received=1, stored=stored, duplicate=1 - stored)
            assert store.recall("k") == _told(Receipt(received=1, stored=1))

    def test_a_key_is_reserved_for_one_store_at_a_time(self, opener: Opener) -> None:
        """Whoever shares the place has to wait, until it is released or its owner is gone."""
        with closing(opener()) as one:
            two = opener()
            assert [two.reserve("a"), one.reserve("b")] == [True, True]
            assert [one.reserve("a"), two.reserve("a"), two.reserve("b")] == [False] * 3
            two.release("a")
            two.release("b")  # not its own: nothing happens
            assert [one.reserve("a"), two.reserve("b"), two.reserve("c")] == [True, False, True]
            two.close()
            assert one.reserve("c")

    def test_two_stores_share_a_place(self, opener: Opener) -> None:
        """A server and an import: both write, each sees what the other stored."""
        with closing(opener()) as one, closing(opener()) as two, ThreadPoolExecutor(8) as pool:
            batches = [rows.numbered(n * 5, n * 5 + 10) for n in range(40)]
            receipts = pool.map(lambda n: (one, two)[n % 2].log.append(batches[n]), range(40))
            total = sum(receipts, Receipt())
            assert total.balanced
            assert (total.stored, total.duplicate) == (205, 195)
            assert one.log.count() == two.log.count() == 205

    def test_closing_finishes_what_is_queued(self, opener: Opener) -> None:
        """Every future is resolved and every row is there; closing again does nothing."""
        store = opener()
        futures = [store.log.submit(rows.numbered(n, n + 1)) for n in range(200)]
        store.close()
        assert [f.result(timeout=0).stored for f in futures] == [1] * 200
        store.close()
        well, why = store.healthy()
        assert not well
        assert why
        with refused(StoreError):
            store.log.submit(rows.numbered(1, 2))
        with closing(opener()) as again:
            assert again.log.count() == 200


def read(store: Store) -> pa.Table:
    """Return the whole log."""
    return pa.Table.from_batches(store.log.scan(), schema=EVENTS)


def ids(batches: Iterable[pa.RecordBatch]) -> list[str]:
    """Return the event ids, in the order given."""
    return [name for batch in batches for name in batch["event_id"].to_pylist()]


@contextmanager
def refused(kind: type[EndcapError]) -> Iterator[None]:
    """Expect an error that says what was wrong."""
    caught: EndcapError | None = None
    try:
        yield
    except kind as error:
        caught = error
    assert caught is not None, f"no {kind.__name__} was raised"
    assert caught.message


def _told(receipt: Receipt) -> Remembered:
    body = f"stored {receipt.stored}, duplicate {receipt.duplicate}".encode() + b"\x00\xff"
    return Remembered("hash", 202, body)
