"""Our own CSV, TSV, JSON Lines and Parquet: the field names of `schema.tables`, and their aliases.

The table follows from the columns: who and what is an event, what alone is an item, who alone is
a user. Folders of the form ``interactions.parquet`` + ``items.parquet`` are read as they are.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, TableName, kind_of
from endcap.events.reading import Piece, Source, read_json, read_parquet, read_table, split_cells
from endcap.events.reading.columnar import parquet_columns
from endcap.events.reading.source import Rename
from endcap.events.validate.faults import Fault
from endcap.schema.errors import ConfigError, nearest
from endcap.schema.tables import EVENTS, ITEMS, USERS

_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "user_id": (
        *("user", "userid", "customer", "customer_id", "customerid", "client_id", "account_id"),
        *("uid", "member_id", "用户id", "用户", "会员id", "客户id"),
    ),
    "visitor_id": (
        "visitor",
        "visitorid",
        "anonymous_id",
        "anonymousid",
        "device_id",
        "cookie_id",
        "访客id",
    ),
    "item_id": (
        *("item", "itemid", "product", "product_id", "productid", "sku", "stockcode", "stock_code"),
        *("article_id", "iid", "商品id", "商品", "商品编号"),
    ),
    "time": (
        *("timestamp", "ts", "datetime", "date", "event_time", "eventtime", "event_timestamp"),
        *("created_at", "occurred_at", "when", "invoicedate", "order_date", "purchase_date"),
        *("时间", "日期", "时间戳"),
    ),
    "kind": (
        "event",
        "event_type",
        "eventtype",
        "action",
        "behavior",
        "behaviour",
        "type",
        "行为",
        "行为类型",
    ),
    "value": ("rating", "stars", "score", "评分"),
    "quantity": ("qty", "数量"),
    "price": ("unit_price", "unitprice", "item_price", "单价", "价格"),
    "order_id": (
        "order",
        "orderid",
        "basket_id",
        "basket",
        "invoice",
        "invoiceno",
        "transaction_id",
        "订单号",
    ),
    "session_id": ("session", "sessionid", "visit_id", "会话id"),
    "query": ("search_query", "search_term", "keyword", "搜索词"),
    "event_id": ("eventid", "message_id", "messageid", "uuid"),
}
_ITEM_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "item_id": (*_ALIASES["item_id"], "id"),
    "title": ("name", "product_name", "title_en", "标题", "名称", "商品名称"),
    "description": ("desc", "描述", "简介"),
    "categories": (
        "category",
        "category_path",
        "category_full_path",
        "product_type",
        "类别",
        "分类",
    ),
    "brand": ("manufacturer", "vendor", "品牌"),
    "price": ("unit_price", "list_price", "price_min_usd", "价格"),
    "image": ("image_url", "image_link", "featured_image_url", "picture", "图片"),
    "url": ("link", "product_url", "链接"),
    "stock": ("current_stock", "inventory", "库存"),
    "group_id": ("parent_id", "item_group_id"),
    "created": ("created_at",),
    "attributes": ("properties",),
}
_USER_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "user_id": (*_ALIASES["user_id"], "id"),
    "attributes": ("properties",),
}
_TABLES: Final[dict[TableName, tuple[Sequence[str], dict[str, tuple[str, ...]]]]] = {
    "events": (EVENTS.names, _ALIASES),
    "items": (ITEMS.names, _ITEM_ALIASES),
    "users": (USERS.names, _USER_ALIASES),
}
_DELIMITERS: Final = ",\t;|"


class Own:
    """CSV, TSV, JSON Lines and Parquet with our names or the usual ones.

    Parameters
    ----------
    columns
        What a shop's own columns mean: its name (in any case) -> ours.

    Raises
    ------
    ConfigError
        When a column is said to mean what no table has.
    """

    name: ClassVar[str] = "endcap"
    title: ClassVar[str] = "Own CSV, JSON Lines or Parquet"

    def __init__(self, columns: Mapping[str, str] = MappingProxyType({})) -> None:
        fields = sorted({field for names, _ in _TABLES.values() for field in names})
        for theirs, ours in columns.items():
            if ours not in fields:
                raise ConfigError(
                    f"Column {theirs!r} is said to be {ours!r}, which no table has.",
                    hint=nearest(ours, fields),
                )
        self._said = {theirs.strip().lower(): ours for theirs, ours in columns.items()}

    def naming(self, columns: Mapping[str, str]) -> "Own":
        """Return this dialect, told what a shop's own columns mean."""
        return Own(columns)

    def unknown(self, source: Source) -> list[str]:
        """Return the columns that have no field of their own: they are kept as properties."""
        columns = self._told(_columns_of(source))
        table = table_of(columns) or "events"
        fields = _TABLES[table][0]
        return [
            c
            for c, name in zip(columns, renamed(table, columns), strict=True)
            if name not in fields
        ]

    def recognise(self, source: Source) -> float:
        """Return 0.6 where the columns name a user or an item, 0.8 where all are our own."""
        columns = self._told(_columns_of(source))
        table = table_of(columns)
        if table is None:
            return 0.0
        return 0.8 if set(columns) <= set(_TABLES[table][0]) else 0.6

    def read(self, source: Source) -> Iterator[Record]:
        """Yield the rows; an event file without any kind column is read as views or ratings."""
        if _is_json(source):
            yield from self._read_json(source)
            return
        columns = self._told(_columns_of(source))
        table = table_of(columns) or "events"
        finish = finisher(table, columns)
        for line, content, raw, _ in _pieces(source, lambda c: renamed(table, self._told(c))):
            if type(content) is Fault:
                yield Record(table, line, content, raw)
            else:
                yield Record(table, line, finish(content), raw)

    def _read_json(self, source: Source) -> Iterator[Record]:
        """Each object of a JSON file may have other fields: the mapping is kept for each set."""
        known: dict[tuple[str, ...], tuple[TableName, list[str], Finish]] = {}
        for line, content, raw, _ in read_json(source):
            if type(content) is Fault:
                yield Record("events", line, content, raw)
                continue
            shape = tuple(content)
            if shape not in known:
                told = self._told(shape)
                table = table_of(told) or "events"
                known[shape] = table, renamed(table, told), finisher(table, told)
            table, names, finish = known[shape]
            row = dict(zip(names, content.values(), strict=True))
            yield Record(table, line, finish(row), raw)

    def _told(self, columns: Sequence[str]) -> list[str]:
        """Return the columns under the names that were said; a column in their way steps aside."""
        said = [self._said.get(column.strip().lower()) for column in columns]
        return [
            ours or (f"{column}_" if column in said else column)
            for ours, column in zip(said, columns, strict=True)
        ]


Finish = Callable[[dict[str, Any]], dict[str, Any]]


def table_of(columns: Sequence[str]) -> TableName | None:
    """Return the table that these columns describe; None when they describe none.

    Examples
    --------
    >>> table_of(["customer_id", "sku", "date"]), table_of(["sku", "title"]), table_of(["head"])
    ('events', 'items', None)
    """
    names = {column.lower() for column in columns}
    has = {
        key: bool(names & {key, *_ALIASES[key]})
        for key in ("user_id", "visitor_id", "item_id", "kind", "time")
    }
    who = has["user_id"] or has["visitor_id"]
    if (who and (has["item_id"] or has["kind"])) or (has["kind"] and has["time"]):
        return "events"
    if has["item_id"] or ("id" in names and names & {"title", "name", "product_name"}):
        return "items"
    return "users" if has["user_id"] and not has["time"] else None


class _Kinds(dict[Any, Any]):
    """Remembers what the words for kinds mean."""

    def __missing__(self, word: Any) -> Any:
        self[word] = kind_of(word)
        return self[word]


def finisher(table: TableName, columns: Sequence[str]) -> Finish:
    """Return the function that puts the kind of a renamed row right, in place."""
    kinds = _Kinds()

    def translate(row: dict[str, Any]) -> dict[str, Any]:
        word = row.get("kind")
        if type(word) is str:
            row["kind"] = kinds[word]
        return row

    default = _default_kind(columns)

    def fill(row: dict[str, Any]) -> dict[str, Any]:
        row["kind"] = default
        return row

    if table != "events":
        return lambda row: row
    return translate if "kind" in renamed(table, columns) else fill


def renamed(table: TableName, columns: Sequence[str]) -> list[str]:
    """Return our names of the columns; each is given once, to our own name before an alias."""
    fields, aliases = _TABLES[table]
    lower = {column: column.strip().lower().replace(" ", "_") for column in columns}
    names = {column: column for column in columns}
    names |= {column: key for column, key in lower.items() if key in fields}
    for field, others in aliases.items():
        if field in names.values():
            continue
        first = next((c for other in others for c, key in lower.items() if key == other), None)
        if first is not None:
            names[first] = field
    return [names[column] for column in columns]


def _default_kind(columns: Sequence[str]) -> str:
    """Return what a file without kinds tells of: ratings where there are any, else views."""
    rated = {"rating", "stars", "score", "评分", "value"} & {column.lower() for column in columns}
    return "rating" if rated else "view"


def _is_json(source: Source) -> bool:
    return source.first_line.lstrip()[:1] in {"{", "["} or source.name.endswith((".jsonl", ".json"))


def _delimiter(source: Source) -> str:
    return max(_DELIMITERS, key=source.first_line.count)


def _columns_of(source: Source) -> list[str]:
    if source.is_parquet:
        return parquet_columns(source)
    if _is_json(source):
        for piece in read_json(source):
            if isinstance(piece.content, dict):
                return list(piece.content)
        return []
    try:
        cells = split_cells(source.first_line, _delimiter(source))
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _pieces(source: Source, rename: Rename) -> Iterator[Piece]:
    if source.is_parquet:
        return read_parquet(source, rename)
    return read_table(source, delimiter=_delimiter(source), rename=rename)
