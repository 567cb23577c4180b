"""Google Merchant product feeds: tab-separated text, RSS 2.0 and Atom."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final
from xml.etree.ElementTree import Element, ParseError  # types only; defusedxml parses

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from endcap.events.dialects.base import Record, failed, without_empty
from endcap.events.reading import Source, read_blocks, read_table
from endcap.events.validate.faults import Fault

_GOOGLE: Final = "http://base.google.com/ns/1.0"
_OPEN: Final = r"<(?:item|entry)(?=[\s>])[^>]*>"
_CLOSE: Final = r"</(?:item|entry)\s*>"
_PREFIX: Final = re.compile(r"xmlns:([A-Za-z_][\w.-]*)\s*=\s*[\"']([^\"'<>&]*)[\"']")
_PRICE: Final = re.compile(
    r"\s*([+-]?[\d.]+)\s*([A-Za-z]{3})\s*\Z|\s*([A-Za-z]{3})\s*([+-]?[\d.]+)\s*\Z"
)
_FIELDS: Final = {
    "id": "item_id",
    "item_group_id": "group_id",
    "title": "title",
    "description": "description",
    "brand": "brand",
    "availability": "availability",
    "link": "url",
    "image_link": "image",
    "expiration_date": "expires",
}
_PRICES: Final = {"price": "price", "sale_price": "sale_price", "cost_of_goods_sold": "cost"}
_CATEGORIES: Final = ("product_type", "google_product_category")


class Merchant:
    """The catalogue as Google Merchant Center takes it."""

    name: ClassVar[str] = "merchant"
    title: ClassVar[str] = "Google Merchant feed (TSV or XML)"

    def recognise(self, source: Source) -> float:
        """Return 0.95 for the namespace or the columns of a feed."""
        if _is_xml(source):
            return 0.95 if _GOOGLE in source.first_text else 0.0
        columns = {cell.strip().replace(" ", "_") for cell in source.first_line.split("\t")}
        feed = {"id", "title", "link"} <= columns and bool(columns & {"price", "image_link"})
        return 0.95 if feed else 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield the products; prices such as ``15.00 GBP`` are split."""
        if _is_xml(source):
            yield from _read_xml(source)
            return
        for piece in read_table(source, delimiter="\t"):
            if type(piece.content) is Fault:
                yield failed("items", piece)
            else:
                cells = {k.replace(" ", "_"): v for k, v in piece.content.items()}
                yield Record("items", piece.line, _item(cells), piece.raw)


def _is_xml(source: Source) -> bool:
    return source.first_line.lstrip().startswith("<")


def _read_xml(source: Source) -> Iterator[Record]:
    """Parse each product by itself, so that damage to one costs no other."""
    head = source.first_text
    if "<!DOCTYPE" in head or "<!ENTITY" in head:
        fault = Fault("bad-xml", f"{source.path.name} declares a DTD or entities; not read.")
        yield Record("items", 1, fault, head[:1000])
        return
    names = {"g": _GOOGLE, **dict(_PREFIX.findall(head))}
    root = "<r " + " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items()) + ">"
    for piece in read_blocks(source, _OPEN, _CLOSE):
        if type(piece.content) is Fault:
            yield failed("items", piece)
            continue
        try:
            tree = defusedxml.ElementTree.fromstring(f"{root}{piece.content}</r>", forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError) as error:
            fault = Fault("bad-xml", f"The product is no well-formed XML: {error}.")
            yield Record("items", piece.line, fault, piece.raw)
            continue
        yield Record("items", piece.line, _item(_fields(tree[0])), piece.raw)


def _fields(product: Element) -> dict[str, Any]:
    """Return the text of each child by local name; lists where one comes again."""
    out: dict[str, Any] = {}
    for child in product:
        name = child.tag.rpartition("}")[2]
        value = _value(child)
        if name not in out:
            out[name] = value
        elif isinstance(out[name], list):
            out[name].append(value)
        else:
            out[name] = [out[name], value]
    return out


def _value(element: Element) -> Any:
    if len(element):  # such as g:shipping
        return {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
    return (element.text or element.get("href") or "").strip()


def _item(cells: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(cells)
    out: dict[str, Any] = {new: _first(rest.pop(old, None)) for old, new in _FIELDS.items()}
    for old, new in _PRICES.items():
        amount, currency = _price(_first(rest.pop(old, None)))
        out[new] = amount
        out["currency"] = out.get("currency") or currency
    paths = [path for key in _CATEGORIES for path in _every(rest.pop(key, None))]
    out["categories"] = [path for path in paths if path and not path.isdigit()] or None
    out["attributes"] = without_empty(rest) or None
    return without_empty(out)


def _price(text: Any) -> tuple[Any, str | None]:
    found = _PRICE.match(text) if isinstance(text, str) else None
    if not found:
        return text, None
    return found.group(1) or found.group(4), found.group(2) or found.group(3)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _every(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [entry for entry in listed if isinstance(entry, str)]
