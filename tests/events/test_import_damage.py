"""A damaged copy of each dialect's sample loses no good row and names each bad one."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from collecting import SAMPLES, Collected, collect, lines_of, write

HEADED = (
    *("own/events.csv", "own/items.csv", "ml-latest/ratings.csv", "ml-latest/movies.csv"),
    *("recbole/shop.inter", "recbole/shop.item", "recbole/shop.user"),
    *("personalize/interactions.csv", "personalize/items.csv", "personalize/users.csv"),
    "merchant/feed.tsv",
)
HEADLESS = (
    *("own/events.jsonl", "ml-100k/u.data", "ml-100k/u.item", "ml-100k/u.user"),
    *("ml-1m/ratings.dat", "ml-1m/movies.dat", "ml-1m/users.dat"),
    *("ga4/export.jsonl", "segment/calls.jsonl", "schema-org/products.jsonl", "gorse/items.jsonl"),
)
GARBAGE = (b"\xff\xfe\x9d rubbish\n", b'"never closed\n', b"{broken\n", b"?,?\n", b"\0\0\0\0\n")


def records(name: str) -> tuple[list[bytes], list[bytes]]:
    """Return the header lines and the records, of which one of own/items.csv has two lines."""
    lines = lines_of(SAMPLES / name)
    head = lines[:1] if name in HEADED else []
    body = lines[len(head) :]
    if name == "own/items.csv":
        body = [body[0] + body[1], *body[2:]]
    return head, body


def missing(wanted: Collected, got: Collected) -> list[object]:
    """Return the good rows of `wanted` that `got` has not."""
    return [
        row
        for here, there in zip(wanted.contents, got.contents, strict=True)
        for key, row in here.items()
        if there.get(key) != row
    ]


def damaged_file(tmp_path: Path, name: str, lines: list[bytes]) -> Path:
    return write(tmp_path / Path(name).name, lines)


@pytest.mark.parametrize("name", [*HEADED, *HEADLESS])
def test_garbage_between_lines(name: str, tmp_path: Path) -> None:
    head, body = records(name)
    whole = collect(SAMPLES / name)
    dialect = whole.summary.files[0].dialect
    for place in range(len(body) + 1):
        garbage = GARBAGE[place % len(GARBAGE)]
        lines = [*head, *body[:place], garbage, *body[place:]]
        got = collect(damaged_file(tmp_path, name, lines), dialect=dialect)
        assert not missing(whole, got)
        at = b"".join(lines[: len(head) + place]).count(b"\n") + 1
        assert [bad["line"] for bad in got.bad] == [at], garbage
        assert got.bad[0]["reason"] in {
            *("bad-encoding", "bad-csv", "open-quote", "wrong-columns", "bad-json"),
            *("unknown-kind", "missing-kind", "bad-record"),
        }


@pytest.mark.parametrize("name", [*HEADED, *HEADLESS])
def test_flipped_bits_harm_their_own_record_alone(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    head, body = records(name)
    dialect = collect(SAMPLES / name).summary.files[0].dialect
    for _ in range(12):
        place = rng.randrange(len(body))
        broken = bytearray(body[place])
        at = rng.randrange(len(broken))
        broken[at] ^= 1 << rng.randrange(8)
        if b"\n" in (broken[at : at + 1], body[place][at : at + 1]):
            continue  # that changes which lines there are
        others = [*head, *body[:place], *body[place + 1 :]]
        wanted = collect(damaged_file(tmp_path, name, others), dialect=dialect)
        lines = [*head, *body[:place], bytes(broken), *body[place + 1 :]]
        got = collect(damaged_file(tmp_path, name, lines), dialect=dialect)
        assert not missing(wanted, got), (place, bytes(broken))


@pytest.mark.parametrize("name", [*HEADED, *HEADLESS])
def test_a_cut_end_costs_the_last_record_at_most(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    head, body = records(name)
    dialect = collect(SAMPLES / name).summary.files[0].dialect
    for _ in range(8):
        place = rng.randrange(len(body))
        cut = rng.randrange(1, len(body[place]))
        before = collect(damaged_file(tmp_path, name, [*head, *body[:place]]), dialect=dialect)
        lines = [*head, *body[:place], body[place][:cut]]
        got = collect(damaged_file(tmp_path, name, lines), dialect=dialect)
        assert not missing(before, got)


# Documents: each record is rewritten in its place


def documents() -> Iterator[tuple[str, str, str, list[str], str]]:
    """Yield name, dialect, what stands before, the records, what stands after."""
    for name, dialect in (
        ("ga4/export.json", "ga4"),
        ("gorse/feedback.json", "gorse"),
        ("schema-org/products.json", "schema-org"),
    ):
        tree = json.loads((SAMPLES / name).read_text("utf-8"))
        yield name, dialect, "[\n", [json.dumps(x, ensure_ascii=False) for x in tree], "\n]\n"
    calls = json.loads((SAMPLES / "segment/batch.json").read_text("utf-8"))["batch"]
    texts = [json.dumps(call, ensure_ascii=False, indent=1) for call in calls]
    yield "segment/batch.json", "segment", '{"batch": [\n', texts, '\n], "sentAt": "2024"}\n'
    feed = (SAMPLES / "merchant/feed.xml").read_text("utf-8")
    before, after = feed.index("<item>"), feed.rindex("</item>") + len("</item>")
    items = re.findall(r"<item>.*?</item>", feed, re.DOTALL)
    yield "merchant/feed.xml", "merchant", feed[:before], items, feed[after:]


def spoil(text: str, rng: random.Random) -> bytes:
    """Damage a record: flip a bit, lose a slice, or gain some rubbish."""
    raw = bytearray(text.encode())
    at = rng.randrange(1, len(raw))
    how = rng.randrange(3)
    if how == 0:
        raw[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        del raw[at : at + rng.randrange(1, 30)]
    else:
        raw[at:at] = rng.choice((b'"', b"}", b"]", b"\xff\xff", b"\0", b"<b>", b"\\"))
    return bytes(raw)


@pytest.mark.parametrize("document", [*documents()], ids=lambda d: d[0])
def test_a_damaged_record_of_a_document_costs_no_other(
    document: tuple[str, str, str, list[str], str], tmp_path: Path
) -> None:
    name, dialect, before, texts, after = document
    rng = random.Random(name)
    joint = "\n" if dialect == "merchant" else ",\n"
    path = tmp_path / Path(name).name

    def put(parts: list[bytes], tail: str = after) -> Collected:
        path.write_bytes(before.encode() + joint.encode().join(parts) + tail.encode())
        return collect(path, dialect=dialect)

    whole = put([text.encode() for text in texts])
    assert not whole.bad
    assert not missing(collect(SAMPLES / name), whole)
    for _ in range(30):
        place = rng.randrange(len(texts))
        good = [text.encode() for text in texts]
        others = put([*good[:place], *good[place + 1 :]])
        broken = spoil(texts[place], rng)
        got = put([*good[:place], broken, *good[place + 1 :]])
        assert not missing(others, got), broken
        lost = missing(put([good[place]]), got)
        named = got.bad or got.summary.files[0].skipped != others.summary.files[0].skipped
        assert named or len(lost) <= len(missing(got, others))  # or it is there, altered
    for place in range(len(texts)):
        cut = texts[place][: rng.randrange(1, len(texts[place]))].encode()
        kept = put([text.encode() for text in texts[:place]])
        got = put([*(text.encode() for text in texts[:place]), cut], tail="")
        assert not missing(kept, got)
        reasons = [bad["reason"] for bad in got.bad]  # bad-json: the variant of a group was saved
        assert reasons in (["truncated"], ["bad-record"], ["bad-json", "truncated"]), cut


def test_a_page_with_a_broken_script_gives_its_other_products(tmp_path: Path) -> None:
    page = (SAMPLES / "schema-org" / "page.html").read_text("utf-8")
    path = tmp_path / "page.html"
    path.write_text(page.replace('"sku": "lamp-1"', '"sku": "lamp-1', 1), "utf-8")
    got = collect(path)
    assert list(got.items) == ["g-1"]
    assert [(bad["reason"], bad["line"]) for bad in got.bad] == [("bad-json", 4)]


# Compressed and columnar files

ROWS = [f"u{n % 97},i{n % 89},view,{1_700_000_000 + n}" for n in range(5000)]
TABLE = "user_id,item_id,kind,time\n" + "\n".join(ROWS) + "\n"


def test_a_compressed_file_that_is_cut_gives_what_came_before(tmp_path: Path) -> None:
    data = gzip.compress(TABLE.encode())
    path = write(tmp_path / "log.csv.gz", [data])
    whole = collect(path)
    assert len(whole.events) == 5000
    path.write_bytes(data[: len(data) * 6 // 10])
    got = collect(path)
    assert 2000 < len(got.events) < 4000
    assert list(got.events) == list(whole.events)[: len(got.events)]
    (bad,) = got.bad
    assert bad["reason"] == "truncated"
    assert bad["line"] == len(got.events) + 2
    assert "log.csv.gz" in bad["detail"]


def test_a_compressed_file_with_flipped_bits_stops_there(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(TABLE.encode()))
    whole = collect(write(tmp_path / "log.csv.gz", [bytes(data)]))
    data[len(data) // 2] ^= 0xFF
    got = collect(write(tmp_path / "log.csv.gz", [bytes(data)]))
    assert "damaged" in {bad["reason"] for bad in got.bad}
    assert len(set(whole.events) & set(got.events)) > 1000


def test_concatenated_and_padded_gzip_is_whole(tmp_path: Path) -> None:
    head, *rest = TABLE.splitlines(keepends=True)
    parts = [gzip.compress(head.encode()), gzip.compress("".join(rest).encode()), b"\0" * 512]
    got = collect(write(tmp_path / "log.csv.gz", parts))
    assert len(got.events) == 5000
    assert not got.bad


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    bomb = gzip.compress(TABLE.encode() + (b"x" * 9999 + b"\n") * 2000, compresslevel=9)
    assert len(bomb) < 200_000
    got = collect(write(tmp_path / "log.csv.gz", [bomb]))
    assert len(got.events) == 5000
    assert [bad["reason"] for bad in got.bad] == ["wrong-columns", "bomb"]


def parquet(path: Path) -> Path:
    cells = [row.split(",") for row in ROWS]
    names = ["user_id", "item_id", "kind", "time"]
    columns = {name: [row[i] for row in cells] for i, name in enumerate(names)}
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=1000,
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return path


def test_a_damaged_row_group_costs_no_other(tmp_path: Path) -> None:
    path = parquet(tmp_path / "log.parquet")
    whole = collect(path)
    assert len(whole.events) == 5000
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(2).column(3)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    got = collect(path)
    assert len(got.events) == 4000
    assert not set(got.events) - set(whole.events)
    (bad,) = got.bad
    assert (bad["reason"], bad["line"]) == ("damaged", 2001)
    assert "rows 2001 to 3000" in bad["detail"]


def test_a_cut_parquet_file_is_one_fault(tmp_path: Path) -> None:
    path = parquet(tmp_path / "log.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    got = collect(path, dialect="endcap")
    assert [bad["reason"] for bad in got.bad] == ["damaged"]
    assert not got.events


# Encodings

TEXT = (SAMPLES / "own" / "events.csv").read_text("utf-8")


@pytest.mark.parametrize("codec", ["utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_another_encoding_is_the_same_file(codec: str, tmp_path: Path) -> None:
    got = collect(write(tmp_path / "events.csv", [TEXT.encode(codec)]))
    assert got.events == collect(SAMPLES / "own" / "events.csv").events
    assert got.summary.files[0].encoding == ("utf-16" if codec == "utf-16" else codec)
    assert not got.bad


def test_western_text_is_not_taken_for_chinese(tmp_path: Path) -> None:
    rows = "item_id,title\n1,Café crème\n2,Müller Straße\n3,Señor Ñandú\n4,plain\n"
    got = collect(write(tmp_path / "items.csv", [rows.encode("cp1252")]))
    assert [row.get("title") for row in got.items.values()] == [
        *("Café crème", "Müller Straße", "Señor Ñandú", "plain"),
    ]


def test_a_few_lines_in_another_encoding_do_not_change_the_file(tmp_path: Path) -> None:
    lines = [line.encode() for line in TEXT.splitlines(keepends=True)]
    lines.insert(3, "e9,u9,,茶壶,view,2024-03-01,,,,\n".encode("gb18030"))
    got = collect(write(tmp_path / "events.csv", lines))
    assert got.events == collect(SAMPLES / "own" / "events.csv").events
    (bad,) = got.bad
    assert (bad["reason"], bad["line"]) == ("bad-encoding", 4)
    assert bad["payload"].startswith("e9,u9,,\\udc")


def test_a_damaged_utf_16_file_loses_its_damaged_lines(tmp_path: Path) -> None:
    data = bytearray(TEXT.encode("utf-16"))
    at = TEXT.index("e2,u2")
    data[2 + 2 * at : 4 + 2 * at] = b"\x00\xd8"  # half a character
    got = collect(write(tmp_path / "events.csv", [bytes(data), b"\x61"]))
    assert sorted(got.events) == ["e1", "e3", "e4", "e5", "e6"]
    assert [bad["line"] for bad in got.bad] == [3, 8]


def test_old_line_ends(tmp_path: Path) -> None:
    wanted = collect(SAMPLES / "own" / "events.csv").events
    for end in ("\r", "\r\n"):
        path = write(tmp_path / "events.csv", [TEXT.replace("\n", end).encode()])
        assert collect(path).events == wanted


def test_a_line_without_end_is_one_fault(tmp_path: Path) -> None:
    lines = TEXT.encode().splitlines(keepends=True)
    lines.insert(2, b"x" * (3 << 20) + b"\n")
    got = collect(write(tmp_path / "events.csv", lines))
    assert len(got.events) == 6
    assert [(bad["reason"], bad["line"]) for bad in got.bad] == [("line-too-long", 3)]
    endless = [*lines[:2], b"x" * (66 << 20), b"\n", *lines[3:]]
    got = collect(write(tmp_path / "events.csv", endless))
    assert list(got.events) == ["e1"]
    assert "rest of the file" in got.bad[0]["detail"]


def test_an_xml_feed_with_entities_is_not_read(tmp_path: Path) -> None:
    feed = (SAMPLES / "merchant" / "feed.xml").read_text("utf-8")
    bomb = feed.replace("<rss", '<!DOCTYPE r [<!ENTITY a "aaaa">]>\n<rss', 1)
    got = collect(write(tmp_path / "feed.xml", [bomb.encode()]))
    assert not got.items
    assert [bad["reason"] for bad in got.bad] == ["bad-xml"]
