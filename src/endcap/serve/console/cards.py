"""From a slate to the cards on the page: titles, money, reasons, bars and marks."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from markupsafe import Markup, escape

from endcap.recommend.sentences import SENTENCES, Language, sentence
from endcap.recommend.slate import Slate, SlateItem
from endcap.serve.console.changes import Happening
from endcap.serve.console.guard import safe_url
from endcap.serve.console.i18n import Words
from endcap.serve.console.tiles import Tile, calm, tile

Facts = Mapping[str, Any]
_SIGNS: Final = {"GBP": "£", "USD": "$", "EUR": "€", "CNY": "¥", "JPY": "¥", "INR": "₹"}
MAX_REASONS: Final = 2
MAX_PARTS: Final = 4
_OPEN, _CLOSE = "\x02", "\x03"


@dataclass(frozen=True, slots=True)
class Product:
    """An item as a page shows it; every field may come from a hostile catalogue.

    Attributes
    ----------
    key
        Sixteen hex digits that stand for the id in HTML ids.
    title, full_title
        As shown, and as the catalogue writes it.
    image, url
        http(s) only, else None.
    """

    item_id: str
    key: str
    title: str
    full_title: str
    price: str
    category: str
    image: str | None
    url: str | None
    tile: Tile


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the evidence bar; `start` and `share` are percent of the bar."""

    title: str
    share: float
    start: float


@dataclass(frozen=True, slots=True)
class Card:
    """One recommendation.

    Attributes
    ----------
    why
        One sentence in the page's language.
    parts
        The evidence bar, most first; empty when the model tells no exact shares.
    mark, places
        ``"new"``, ``"up"``, ``"down"`` or ``""``: what the last event did to it, and by how much.
    """

    product: Product
    rank: int
    score: float
    source: str
    why: Markup
    parts: tuple[Part, ...]
    mark: str
    places: int

    @property
    def told(self) -> float:
        """Percent of the score that the parts account for."""
        return sum(part.share for part in self.parts)


def product(item_id: str, facts: Facts) -> Product:
    """Return an item as a page shows it; the id stands in for a missing title."""
    full = str(facts.get("title") or item_id)
    categories = facts.get("categories") or ()
    return Product(
        item_id,
        hashlib.blake2b(item_id.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        calm(full),
        full,
        money(facts.get("sale_price") or facts.get("price"), facts.get("currency")),
        str(categories[0]) if isinstance(categories, list | tuple) and categories else "",
        safe_url(facts.get("image")),
        safe_url(facts.get("url")),
        tile(full),
    )


def money(amount: object, currency: object) -> str:
    """Return ``"£2.55"``, ``"2.55 SEK"``, or an empty string where there is no price.

    Examples
    --------
    >>> money("2.5500", "GBP"), money("2.5", "SEK"), money(None, None)
    ('£2.55', '2.50 SEK', '')
    """
    try:
        value = f"{Decimal(str(amount)):,.2f}"
    except (InvalidOperation, ValueError):
        return ""
    sign = _SIGNS.get(str(currency))
    return sign + value if sign else f"{value} {currency or ''}".rstrip()


def cards(
    slate: Slate, words: Words, facts: Mapping[str, Facts], happening: Happening | None = None
) -> tuple[Card, ...]:
    """Return the cards of a slate; `facts` knows the items that the reasons name."""
    entered = frozenset(happening.entered) if happening else frozenset()
    moved = happening.moved if happening else {}
    return tuple(_card(item, words, facts, entered, moved) for item in slate.items)


def _card(
    item: SlateItem,
    words: Words,
    facts: Mapping[str, Facts],
    entered: frozenset[str],
    moved: Mapping[str, int],
) -> Card:
    places = moved.get(item.item_id, 0)
    mark = "new" if item.item_id in entered else "up" if places > 0 else "down" if places else ""
    return Card(
        product(item.item_id, {**facts.get(item.item_id, {}), **item.properties}),
        item.rank,
        item.score,
        item.source,
        why(item, words.language, facts),
        _parts(item, facts),
        mark,
        abs(places),
    )


def why(item: SlateItem, language: Language, facts: Mapping[str, Facts]) -> Markup:
    """Return the sentence that says why, with the past items' titles set off."""
    if item.explored:
        return escape(SENTENCES[language]["explored"])
    reasons = item.reasons[:MAX_REASONS]
    named = {
        item_id: {"title": f"{_OPEN}{name_of(item_id, facts)}{_CLOSE}"}
        for reason in reasons
        for item_id in reason.named
    }
    said = escape(sentence(reasons, named, language))
    return said.replace(_OPEN, Markup("<b>")).replace(_CLOSE, Markup("</b>"))


def name_of(item_id: str, facts: Mapping[str, Facts]) -> str:
    """Return the title of an item as a page shows it, or its id."""
    title = str(facts.get(item_id, {}).get("title") or item_id)
    return calm(title.replace(_OPEN, "").replace(_CLOSE, ""))


def _parts(item: SlateItem, facts: Mapping[str, Facts]) -> tuple[Part, ...]:
    out: list[Part] = []
    start = 0.0
    for reason in item.reasons[:MAX_PARTS]:
        if reason.item_id is None or math.isnan(reason.share) or reason.share <= 0:
            continue
        share = min(100.0 * reason.share, 100.0 - start)
        out.append(Part(name_of(reason.item_id, facts), share, start))
        start += share
    return tuple(out)
