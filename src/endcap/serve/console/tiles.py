"""A picture for an item that has none: the same title always gets the same tile."""

import hashlib
import re
from typing import Final, NamedTuple

HUES: Final = 12
PATTERNS: Final = 6

_ICONS: Final[dict[str, str]] = {
    "tree": "christmas xmas tree holly 圣诞 树",
    "lamp": "light lights lamp lantern t-light holder candleholder 灯",
    "candle": "candle candles incense 蜡烛",
    "cup": "mug mugs cup cups tea teacup coffee teapot 杯 茶",
    "cake": "cake cakes cakestand bake baking cupcake cookie biscuit 蛋糕",
    "bag": "bag bags shopper handbag purse jumbo tote 包 袋",
    "clock": "clock clocks watch alarm 钟 表",
    "bird": "bird birds parakeet owl hen chicken duck dove 鸟",
    "flower": "flower flowers rose roses garden daisy plant lavender 花",
    "frame": "frame frames picture photo mirror print 镜 框",
    "bottle": "bottle bottles water jar jug flask 瓶",
    "plate": "plate plates bowl bowls dish tray trays 盘 碗",
    "book": "book books notebook diary journal paper card cards napkins 书 纸",
    "key": "key keys keyring hook hooks lock 钥匙",
    "sign": "sign signs plaque metal doormat blackboard 牌",
    "house": "house home door bird-house cottage drawer cabinet 家 屋",
    "toy": "toy toys doll playhouse spaceboy soldiers game puzzle 玩具",
    "shirt": "shirt dress coat jacket scarf apron hat clothes 衣",
    "heart": "heart hearts love sweetheart 爱 心",
    "star": "star stars fairy magic 星",
    "gift": "box boxes gift tin tins set parcel wrap ribbon 礼 盒",
}
_ICON_OF: Final = {word: icon for icon, words in _ICONS.items() for word in words.split()}
_WORDS: Final = re.compile(r"[a-z]+(?:-[a-z]+)*|[\u4e00-\u9fff]")


class Tile(NamedTuple):
    """How to draw an item.

    Attributes
    ----------
    hue, pattern
        Numbers below `HUES` and `PATTERNS`, from a hash of the title.
    icon
        A drawing that the title calls for; empty when none fits.
    initial
        The first letter or character, drawn where there is no icon.
    """

    hue: int
    pattern: int
    icon: str
    initial: str


def tile(title: str) -> Tile:
    """Return the tile of a title.

    Examples
    --------
    >>> tile("WHITE HANGING HEART").icon, tile("Zebra").initial
    ('heart', 'Z')
    """
    digest = hashlib.blake2b(title.encode("utf-8", "replace"), digest_size=2).digest()
    found = [_ICON_OF[w] for w in _WORDS.findall(title.lower()) if w in _ICON_OF]
    initial = next((c for c in title if c.isalnum()), "·").upper()[:1]
    # The last word that we can draw says most ("heart tea towel"), but "box" and "set" say little.
    icon = next((i for i in reversed(found) if i != "gift"), found[-1] if found else "")
    return Tile(digest[0] % HUES, digest[1] % PATTERNS, icon, initial)


def calm(title: str) -> str:
    """Return a title that does not shout: one that is all capitals gets only its first.

    Examples
    --------
    >>> calm("PACK OF 72 CAKE CASES"), calm("iPhone case")
    ('Pack of 72 cake cases', 'iPhone case')
    """
    text = " ".join(title.split())
    return text[:1] + text[1:].lower() if text.isupper() and len(text) > 4 else text
