"""Endcap: a recommendation engine that a shop can own.

Examples
--------
>>> import endcap
>>> shop = endcap.open("demo-data")  # doctest: +SKIP
>>> shop.recommend("12347", k=5)  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

from endcap.schema.version import __version__

if TYPE_CHECKING:
    from endcap.recommend.shop import Shop
    from endcap.recommend.shop import open_shop as open
    from endcap.recommend.slate import Request, Slate

__all__ = ["Request", "Shop", "Slate", "__version__", "open"]


_HOMES = {
    "Request": ("endcap.recommend.slate", "Request"),
    "Shop": ("endcap.recommend.shop", "Shop"),
    "Slate": ("endcap.recommend.slate", "Slate"),
    "open": ("endcap.recommend.shop", "open_shop"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import endcap`` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'endcap' has no attribute {name!r}")
    home, inside = _HOMES[name]
    return getattr(importlib.import_module(home), inside)
