"""The catalogue by columns: texts as codes, numbers as float64, so that filters are quick."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.features.catalogue import paths
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.filters.kinds import ATTRIBUTES, ITEM_FIELDS, Kind
from endcap.recommend.filters.spot import COORDINATES, degrees

Rows = npt.NDArray[np.int32]
UNKNOWN_ROW: Final = 0
"""The row of an item that the catalogue does not hold: nothing is known of it."""
MAX_ATTRIBUTES: Final = 200
KEPT_VIEWS: Final = 4
KEPT_SHOWN: Final = 16
MOST_WAITING: Final = 64
IDS: Final = ("item_id", "group_id")
"""Fields that hardly any filter asks about, and of which nearly every item has another."""
"""Between two parts of a category path."""
_DERIVED: Final = ("margin", "discount")


class TextColumn:
    """Texts of items, none, one or several each, numbered by what an item has.

    Attributes
    ----------
    codes
        int32 (rows,): the place in `texts`.
    texts
        The distinct sets of texts; the first is the empty one, of items of which nothing is known.
    holders
        Text -> the codes of the sets that hold it.
    below
        Path -> the codes of the sets that hold it or a path below it.
    """

    def __init__(self, rows: int) -> None:
        self._codes = np.zeros(rows, np.int32)
        self._texts: list[tuple[str, ...]] = [()]
        self._holders: dict[str, list[int]] = {}
        self._below: dict[str, list[int]] = {}
        self._code_of: dict[tuple[str, ...], int] = {(): 0}
        self._waiting: list[tuple[Rows, pa.Array | None]] = []

    @property
    def codes(self) -> Rows:
        """See the attributes."""
        self.settle()
        return self._codes

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """See the attributes."""
        self.settle()
        return self._texts

    @property
    def holders(self) -> dict[str, list[int]]:
        """See the attributes."""
        self.settle()
        return self._holders

    @property
    def below(self) -> dict[str, list[int]]:
        """See the attributes."""
        self.settle()
        return self._below

    def settle(self) -> None:
        """Take in what waits: texts are numbered when somebody first asks for them."""
        waiting, self._waiting = self._waiting, []
        for rows, column in waiting:
            if column is None:
                self._codes[rows] = 0
                continue
            encoded = column.dictionary_encode()
            codes = [self._code((text,)) for text in encoded.dictionary.to_pylist()]
            places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
            self._codes[rows] = np.array([*codes, 0], np.int32)[places]

    def put(self, rows: Rows, values: Sequence[tuple[str, ...]]) -> None:
        """Let `rows` have `values`."""
        self.settle()
        self._codes[rows] = [self._code(value) for value in values]

    def put_column(self, rows: Rows, column: pa.Array) -> None:
        """Let `rows` have the texts of an Arrow column of strings."""
        self._wait(rows, column)

    def held_by(self, rows: Rows) -> frozenset[str]:
        """Return all texts of some rows."""
        codes = np.unique(self.codes[rows]).tolist()
        return frozenset(text for code in codes for text in self.texts[code])

    def where(self, codes: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Return bool (rows,): which have one of the codes."""
        wanted = np.zeros(len(self.texts), dtype=bool)
        wanted[list(codes)] = True
        found: npt.NDArray[np.bool_] = wanted[self.codes]
        return found

    def grow(self, rows: int) -> None:
        """Make room; nothing is known of the new rows."""
        more = np.zeros(rows - len(self._codes), np.int32)
        self._codes = np.concatenate((self._codes, more))

    def forget(self, rows: Rows) -> None:
        """Know nothing of `rows` any more."""
        if self._waiting:
            self._wait(rows, None)
        else:
            self._codes[rows] = 0

    def common(self, n: int) -> list[str]:
        """Return the n texts that most items have, the most frequent first."""
        counts: Counter[str] = Counter()
        for code, held in enumerate(np.bincount(self.codes, minlength=len(self.texts)).tolist()):
            counts.update(dict.fromkeys(self.texts[code], held))
        return [text for text, held in counts.most_common(n) if held]

    def _wait(self, rows: Rows, column: pa.Array | None) -> None:
        self._waiting.append((rows, column))
        if len(self._waiting) > MOST_WAITING:
            self.settle()

    def _code(self, value: tuple[str, ...]) -> int:
        code = self._code_of.setdefault(value, len(self._texts))
        if code == len(self._texts):
            self._texts.append(value)
            for text in set(value):
                self._holders.setdefault(text, []).append(code)
            for path in {above for text in value for above in paths(text)}:
                self._below.setdefault(path, []).append(code)
        return code


class NumberColumn:
    """Numbers of items, NaN where unknown; a `truth` is 1 or 0, a time UTC microseconds."""

    def __init__(self, rows: int) -> None:
        self.values = np.full(rows, np.nan)

    def grow(self, rows: int) -> None:
        """Make room; nothing is known of the new rows."""
        self.values = np.concatenate((self.values, np.full(rows - len(self.values), np.nan)))

    def forget(self, rows: Rows) -> None:
        """Know nothing of `rows` any more."""
        self.values[rows] = np.nan


Column = TextColumn | NumberColumn


class Columns:
    """A catalogue that expressions can ask; safe to share between threads under `lock`.

    Parameters
    ----------
    items
        The catalogue so far, schema `ITEMS`.

    Attributes
    ----------
    kinds
        Field -> its kind; those of ``attributes`` are what the catalogue holds.
    columns
        Field -> its column, all of the same length; row 0 is the item that nobody knows.
    version
        Grows with every change.
    masks
        What filters that ask about items alone have answered since the last change, by their text.
    checked
        Texts of expressions that name no attribute which the catalogue does not have.
    lock
        To be held while columns are read.

    Stability: caller.
    """

    def __init__(self, items: pa.Table | None = None) -> None:
        self.kinds: dict[str, Kind] = dict(ITEM_FIELDS)
        self.columns: dict[str, Column] = {
            name: NumberColumn(1) if kind in _NUMERIC else TextColumn(1)
            for name, kind in ITEM_FIELDS.items()
        }
        self.version = 0
        self.masks: dict[str, npt.NDArray[np.bool_]] = {}
        self.checked: set[str] = set()
        self.lock = threading.RLock()
        self._row_of: dict[str, int] = {}
        self._views: list[tuple[Vocabulary, Rows]] = []
        self._shown: list[tuple[tuple[Vocabulary, Rows, npt.NDArray[np.bool_]], Rows]] = []
        if items is not None:
            self.upsert(items)

    def __len__(self) -> int:
        return len(self._row_of) + 1

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """Return the rows of items, int32 (n,), 0 for those that the catalogue does not hold."""
        return np.fromiter(map(self._row_of.get, item_ids, repeat(UNKNOWN_ROW)), np.int32)

    def ids(self, rows: Iterable[int]) -> list[str]:
        """Return the ids of rows of the catalogue, none of them `UNKNOWN_ROW`."""
        names = list(self._row_of)
        return [names[row - 1] for row in rows]

    def settle(self) -> None:
        """Number the texts that filters ask about, so that no request has to wait for it."""
        with self.lock:
            for name, column in self.columns.items():
                if isinstance(column, TextColumn) and name not in IDS:
                    column.settle()

    def view(self, words: Vocabulary) -> Rows:
        """Return the row of each word, int32 (len(words),); kept for the latest vocabularies."""
        with self.lock:
            for known, rows in self._views:
                if known is words:
                    return rows
            rows = self.rows(words.array.to_pylist())
            self._views = [(words, rows), *self._views][:KEPT_VIEWS]
            return rows

    def shown(self, words: Vocabulary, available: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
        """Return those of `available`, rows of `words`, whose item is true in `mask`.

        The same question, object for object, gets the same array again: kept for a few.
        """
        with self.lock:
            for asked, rows in self._shown:
                if asked[0] is words and asked[1] is available and asked[2] is mask:
                    return rows
            view = self.view(words)[available]
            view[view >= len(mask)] = UNKNOWN_ROW  # it came after the filter was asked
            rows = available[mask[view]]
            rows.setflags(write=False)
            self._shown = [((words, available, mask), rows), *self._shown][:KEPT_SHOWN]
            return rows

    def upsert(self, items: pa.Table) -> None:
        """Take in new or changed items: (some) columns of schema `ITEMS`, each row whole."""
        if not items.num_rows:
            return
        with self.lock:
            rows = self._rows_for(items["item_id"].to_pylist())
            for name, column in self.columns.items():
                column.forget(rows)
                if name in items.column_names:
                    self._put(name, rows, items[name].combine_chunks())
            if "attributes" in items.column_names:
                self._put_attributes(rows, items["attributes"].to_pylist())
            self._derive(rows)
            self._changed()

    def delete(self, item_ids: Iterable[str]) -> None:
        """Know nothing of some items any more."""
        with self.lock:
            rows = self.rows(item_ids)
            for column in self.columns.values():
                column.forget(rows)
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        self.masks.clear()
        self._shown = []

    def number(self, name: str) -> npt.NDArray[np.float64]:
        """Return float64 (rows,) of a numeric field."""
        column = self.columns[name]
        assert isinstance(column, NumberColumn)
        return column.values

    def _rows_for(self, ids: Sequence[str]) -> Rows:
        before = len(self)
        for item_id in ids:
            self._row_of.setdefault(item_id, len(self._row_of) + 1)
        if len(self) > before:
            self._views = []
            for column in self.columns.values():
                column.grow(len(self))
        return self.rows(ids)

    def _put(self, name: str, rows: Rows, column: pa.Array) -> None:
        into = self.columns[name]
        if isinstance(into, NumberColumn):
            into.values[rows] = _numbers(column)
        elif pa.types.is_list(column.type):
            into.put(rows, [tuple(value or ()) for value in column.to_pylist()])
        else:
            into.put_column(rows, column.cast(pa.string()))

    def _put_attributes(self, rows: Rows, texts: Sequence[str | None]) -> None:
        found: dict[str, tuple[list[int], list[Any]]] = {}
        for at, text in enumerate(texts):
            for key, value in msgspec.json.decode(text).items() if text else ():
                if value is not None:
                    places, values = found.setdefault(key, ([], []))
                    places.append(at)
                    values.append(value)
        for key in sorted(found):
            places, values = found[key]
            if key in COORDINATES:
                values = [_told(degrees(value), value) for value in values]
            self._put_attribute(f"{ATTRIBUTES}{key}", rows[places], values)

    def _put_attribute(self, name: str, rows: Rows, values: Sequence[Any]) -> None:
        kind = _kind(values)
        if kind is None or (name not in self.columns and self._is_full):
            return
        if name not in self.columns:
            self.kinds[name] = kind
            self.columns[name] = (NumberColumn if kind in _NUMERIC else TextColumn)(len(self))
        into = self.columns[name]
        if isinstance(into, NumberColumn):
            into.values[rows] = [_number(value) for value in values]
        else:
            into.put(rows, [_texts(value) for value in values])

    @property
    def _is_full(self) -> bool:
        return len(self.columns) - len(ITEM_FIELDS) >= MAX_ATTRIBUTES

    def _derive(self, rows: Rows) -> None:
        price, sale, cost = (self.number(name)[rows] for name in ("price", "sale_price", "cost"))
        paid = np.where(np.isnan(sale), price, sale)
        with np.errstate(all="ignore"):
            self.number("margin")[rows] = np.where(paid > 0, (paid - cost) / paid, np.nan)
            self.number("discount")[rows] = np.where(price > 0, 1 - paid / price, np.nan)


_NUMERIC: Final = (Kind.NUMBER, Kind.TRUTH, Kind.TIME)


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    # Beyond 2^53 a whole number loses its last digits, which no condition misses.
    known = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    return np.asarray(known.to_numpy(zero_copy_only=False), np.float64)


def _told(number: float, value: Any) -> Any:
    """Return the number that a value is, else the value."""
    return value if np.isnan(number) else number


def _number(value: Any) -> float:
    """Return an attribute as a number; what is none, or too large for one, is unknown."""
    try:
        return float(value) if isinstance(value, int | float) else np.nan
    except OverflowError:
        return np.nan


def _kind(values: Sequence[Any]) -> Kind | None:
    """Return the kind of an attribute by the first value that has one."""
    kinds: Mapping[type, Kind] = {
        bool: Kind.TRUTH,
        int: Kind.NUMBER,
        float: Kind.NUMBER,
        str: Kind.TEXT,
        list: Kind.TEXTS,
    }
    return next((kinds[type(value)] for value in values if type(value) in kinds), None)


def _texts(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else [value]
    return tuple(str(part) for part in parts if isinstance(part, str | int | float))
