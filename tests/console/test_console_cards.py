"""Cards: money, titles, pictures, reasons and bars from slates that may be hostile."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from endcap.recommend.slate import Reason, Slate, SlateItem
from endcap.serve.console.cards import cards, money, product, why
from endcap.serve.console.changes import Happening
from endcap.serve.console.guard import safe_url
from endcap.serve.console.i18n import Words
from endcap.serve.console.render import evidence_label
from endcap.serve.console.tiles import HUES, PATTERNS, calm, tile

FACTS = {"p1": {"title": "RED MUG"}, "p2": {"title": "<b>Tea</b>"}}


def item(rank: int, *reasons: Reason, **properties: object) -> SlateItem:
    return SlateItem(f"i{rank}", rank, 1.0 / rank, "ease", reasons, dict(properties))


def slate(*items: SlateItem) -> Slate:
    return Slate("r", "home", items, "personal", "a", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://shop.example/a?b=1#c", True),
        (" http://shop.example ", True),
        ("HTTPS://shop.example", True),
        ("javascript:alert(1)", False),
        ("java\tscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//shop.example/x", False),
        ("/relative", False),
        ("http://", False),
        ("http://[::1", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_only_web_addresses_are_shown(value: object, kept: bool) -> None:
    assert safe_url(value) == (str(value).strip() if kept else None)


@given(st.text())
def test_an_address_is_never_script(value: str) -> None:
    shown = safe_url(value)
    assert shown is None or shown.lower().startswith(("http:", "https:"))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "GBP", "£1,234.50"),
        ("0", "EUR", "€0.00"),
        ("3.999", "SEK", "4.00 SEK"),
        ("2", None, "2.00"),
        ("two", "GBP", ""),
        (None, "GBP", ""),
    ],
)
def test_money(amount: object, currency: object, text: str) -> None:
    assert money(amount, currency) == text


def test_a_product_takes_the_sale_price_and_falls_back_to_its_id() -> None:
    shown = product("x1", {"price": "9", "sale_price": "7", "currency": "USD", "categories": ["A"]})
    assert (shown.title, shown.price, shown.category) == ("x1", "$7.00", "A")
    assert shown.image is None
    assert product("x1", {"image": "https://s/x.png"}).image == "https://s/x.png"
    assert product("x1", {}).key != product("x2", {}).key


@given(st.text(max_size=40))
def test_any_title_has_one_tile(title: str) -> None:
    drawn = tile(title)
    assert drawn == tile(title)
    assert 0 <= drawn.hue < HUES
    assert 0 <= drawn.pattern < PATTERNS
    assert drawn.icon or len(drawn.initial) == 1


def test_tiles_know_words_of_both_languages() -> None:
    assert tile("WHITE HANGING HEART T-LIGHT HOLDER").icon == "lamp"
    assert tile("玫瑰花").icon == "flower"
    assert tile("AIRLINE BAG VINTAGE JET SET").icon == "bag"
    assert tile("JET SET").icon == "gift"
    assert tile("Zebra").icon == ""
    assert tile("!!!").initial == "·"


def test_titles_stop_shouting_only_when_they_shout() -> None:
    assert calm("  RED  MUG SET ") == "Red mug set"
    assert calm("POST") == "POST"
    assert calm("Red MUG") == "Red MUG"
    assert calm("") == ""


def test_why_sets_titles_off_and_escapes_them() -> None:
    reasons = (Reason("history", "p1", 0.5, "purchase"), Reason("history", "p2", 0.2, "purchase"))
    said = why(item(1, *reasons), "en", FACTS)
    assert said == Markup("Because you bought <b>Red mug</b> and <b>&lt;b&gt;Tea&lt;/b&gt;</b>")
    assert why(item(1, Reason("popular")), "zh", {}) == "店内畅销"
    forged = {"p1": {"title": "\x02<x>\x03"}}
    assert why(item(1, reasons[0]), "en", forged) == "Because you bought <b>&lt;x&gt;</b>"


def test_bars_hold_what_is_told_and_no_more() -> None:
    reasons = (
        Reason("history", "p1", 0.7, "purchase"),
        Reason("history", "p2", 0.2, "purchase"),
        Reason("popular"),
    )
    untold = Reason("history", "p1", math.nan, "view")
    first, second = cards(slate(item(1, *reasons), item(2, untold)), Words("en"), FACTS)
    assert [(round(p.share), round(p.start)) for p in first.parts] == [(70, 0), (20, 70)]
    assert round(first.told) == 90
    assert evidence_label(Words("en"), first) == (
        "What speaks for it: Red mug 70 %, <b>Tea</b> 20 %, everything else 10 %"
    )
    assert second.parts == ()


@given(st.lists(st.floats(0, 1), max_size=6))
def test_a_bar_never_overflows(shares: list[float]) -> None:
    reasons = [Reason("history", f"p{n}", share, "view") for n, share in enumerate(shares)]
    card = cards(slate(item(1, *reasons)), Words("en"), {})[0]
    assert card.told <= 100 + 1e-9
    assert all(p.start + p.share <= 100 + 1e-9 for p in card.parts)


def test_marks_tell_what_the_event_did() -> None:
    happening = Happening("e", "u", "view", "x", "stored", 1, 1, ("i1",), (), {"i2": 3, "i3": -1})
    shown = cards(slate(*(item(n) for n in range(1, 5))), Words("en"), {}, happening)
    assert [(c.mark, c.places) for c in shown] == [("new", 0), ("up", 3), ("down", 1), ("", 0)]
