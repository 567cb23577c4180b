"""schema.org Product as JSON-LD: files of it, or inside the pages of a shop."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from endcap.events.dialects.base import Record, Skip, failed, without_empty
from endcap.events.reading import Piece, Source, read_blocks, read_json
from endcap.events.validate.faults import Fault

_SCRIPT: Final = r"<script\b[^>]*application/ld\+json[^>]*>"
_SCRIPT_END: Final = r"</script\s*>"
_PRODUCTS: Final = {"Product", "ProductGroup", "ProductModel", "IndividualProduct", "SomeProducts"}
_RELATIONS: Final = {
    "isRelatedTo": "related_to",
    "isSimilarTo": "similar_to",
    "isAccessoryOrSparePartFor": "accessory_of",
    "isConsumableFor": "consumable_for",
}
_AVAILABILITY: Final = {
    **dict.fromkeys(("instock", "limitedavailability", "onlineonly", "instoreonly"), "in_stock"),
    **dict.fromkeys(("outofstock", "soldout", "discontinued"), "out_of_stock"),
    **dict.fromkeys(("preorder", "presale"), "preorder"),
    **dict.fromkeys(("backorder", "madetoorder"), "backorder"),
}
_USED: Final = {
    *("@type", "@context", "@id", "sku", "productID", "name", "description", "brand", "category"),
    *("image", "url", "offers", "hasVariant", "isVariantOf", "inProductGroupWithID"),
    *("releaseDate", "productGroupID", *_RELATIONS),
}
_MAX_DEPTH: Final = 20


class SchemaOrg:
    """Products in JSON-LD."""

    name: ClassVar[str] = "schema-org"
    title: ClassVar[str] = "schema.org Product JSON-LD"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where schema.org and a product are spoken of, 0.8 in a web page."""
        text = source.first_text
        if "schema.org" not in text or "Product" not in text:
            return 0.0
        if source.first_line.lstrip()[:1] in {"{", "["}:
            return 0.95 if '"@type"' in text else 0.0
        return 0.8 if "application/ld+json" in text else 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield each product, wherever in a graph or list it stands."""
        page = source.first_line.lstrip().startswith("<")
        pieces = _scripts(source) if page else read_json(source, lists=("@graph",), accept=_typed)
        for piece in pieces:
            if type(piece.content) is Fault:
                yield failed("items", piece)
                continue
            found = list(_products(piece.content, 0))
            for product in found:
                yield Record("items", piece.line, product, piece.raw)
            if not found:
                what = Skip(f"JSON-LD of type {_type_name(piece.content)}")
                yield Record("items", piece.line, what, piece.raw)


def _typed(tree: Mapping[str, Any]) -> bool:
    """Tell a product of its own from the mere mention of one inside another."""
    return "@type" in tree and (
        "@context" in tree or bool("name" in tree and _types(tree) & _PRODUCTS)
    )


def _scripts(source: Source) -> Iterator[Piece]:
    for piece in read_blocks(source, _SCRIPT, _SCRIPT_END):
        if type(piece.content) is Fault:
            yield piece
            continue
        text = piece.content.partition(">")[2].rpartition("<")[0]
        try:
            yield Piece(piece.line, msgspec.json.decode(text), piece.raw)
        except (ValueError, RecursionError) as error:
            yield Piece(
                piece.line, Fault("bad-json", f"The script is no JSON: {error}."), piece.raw
            )


def _types(tree: Any) -> set[str]:
    given = tree.get("@type") if isinstance(tree, dict) else None
    listed = given if isinstance(given, list) else [given]
    return {name.rpartition("/")[2] for name in listed if isinstance(name, str)}


def _type_name(tree: Any) -> str:
    return ", ".join(sorted(_types(tree))) or "?"


def _products(tree: Any, depth: int, group: Any = None) -> Iterator[dict[str, Any]]:
    """Yield the products of a tree; the variants of a group are products with its id."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(tree, list):
        for entry in tree:
            yield from _products(entry, depth + 1, group)
    elif isinstance(tree, dict) and _types(tree) & _PRODUCTS:
        item = _item(tree, group)
        variants = list(_products(tree.get("hasVariant"), depth + 1, item.get("item_id")))
        yield from variants or [item]
    elif isinstance(tree, dict):
        for key in ("@graph", "itemListElement", "item", "mainEntity"):
            yield from _products(tree.get(key), depth + 1, group)


def _item(tree: Mapping[str, Any], group: Any) -> dict[str, Any]:
    parent = group or tree.get("inProductGroupWithID") or _id_of(tree.get("isVariantOf"))
    relations = {
        name: [i for i in map(_id_of, _listed(tree.get(key))) if i]
        for key, name in _RELATIONS.items()
    }
    rest = {key: value for key, value in tree.items() if key not in _USED}
    return without_empty(
        {
            "item_id": _id_of(tree),
            "group_id": parent,
            "title": tree.get("name"),
            "description": tree.get("description"),
            "brand": _name_of(tree.get("brand")),
            "categories": [c for c in map(_name_of, _listed(tree.get("category"))) if c] or None,
            "image": next(map(_link_of, _listed(tree.get("image"))), None),
            "url": tree.get("url"),
            "created": tree.get("releaseDate"),
            "relations": {key: ids for key, ids in relations.items() if ids} or None,
            "attributes": rest or None,
            **_offer(tree.get("offers")),
        }
    )


def _offer(offers: Any) -> dict[str, Any]:
    """Return price, currency, availability and end of the first offer."""
    offer = next((o for o in _listed(offers) if isinstance(o, dict)), None)
    if offer is None:
        return {}
    given = offer.get("price")
    name = offer.get("availability")
    short = name.rpartition("/")[2].rpartition(":")[2] if isinstance(name, str) else name
    return {
        "price": offer.get("lowPrice") if given is None else given,
        "currency": offer.get("priceCurrency"),
        "availability": _AVAILABILITY.get(short.lower(), short)
        if isinstance(short, str)
        else short,
        "expires": offer.get("availabilityEnds"),
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _id_of(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    keys = ("sku", "productID", "productGroupID", "@id", "url")
    return next((tree[key] for key in keys if tree.get(key)), None)


def _name_of(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else value


def _link_of(value: Any) -> Any:
    return (value.get("url") or value.get("contentUrl")) if isinstance(value, dict) else value
