"""The models that take part, and the settings among which validation may choose."""

from collections.abc import Mapping, Sequence
from typing import Any

Axes = Mapping[str, Sequence[Any]]

ALWAYS: dict[str, Axes] = {
    "popular": {"count": ("users", "events")},
    "item-knn": {
        "weighting": ("none", "bm25", "tf-idf"),
        "similarity": ("cosine", "dot"),
        "shrink": (0.0, 10.0, 50.0),
        "neighbours": (100, 30, 300),
        "confidence": ("binary", "log"),
        "decay_events": (0.0, 50.0, 10.0),
    },
    "user-knn": {"neighbours": (200, 100, 500), "confidence": ("binary", "log")},
    "ease": {
        "l2": (100.0, 300.0, 1000.0, 3000.0),
        "user_norm": (0.0, 0.5),
        "popularity": (0.0, 0.2),
        "confidence": ("binary", "log"),
        "decay_events": (0.0, 100.0, 30.0, 10.0),
    },
    "ials": {
        "factors": (64, 128),
        "unobserved": (0.1, 0.03, 0.3),
        "l2": (0.003, 0.001, 0.01, 0.03),
        "confidence": ("binary", "log"),
        "decay_events": (0.0, 50.0),
    },
}
"""Registered models; each axis is searched in turn from the best so far, first values first."""

CLOCKED: dict[str, Axes] = {"trending": {"half_life_days": (7.0, 3.0, 14.0, 28.0)}}
"""Models that need to know when things happened."""

DESCRIBED: dict[str, Axes] = {"content": {}}
"""Models that need to know what items are."""

QUICK = ("popular", "item-knn", "ease")
"""Who takes part in a quick look, with default settings."""
