"""The models that take part, and the settings among which validation may choose."""

from collections.abc import Mapping, Sequence
from typing import Any

Axes = Mapping[str, Sequence[Any]]

ALWAYS: dict[str, Axes] = {
    "popular": {"count": ("users", "events")},
    "item-knn": {
        "weighting": ("bm25", "none", "tf-idf"),
        "similarity": ("dot", "cosine"),
        "neighbours": (100, 30, 300),
        "shrink": (0.0, 20.0),
        "decay_events": (0.0, 50.0, 10.0),
    },
    "user-knn": {"neighbours": (200, 100, 500), "decay_events": (0.0, 50.0)},
    "ease": {
        "l2": (300.0, 100.0, 1000.0),
        "user_norm": (0.0, 0.5),
        "item_norm": (0.0, 0.25),
        "popularity": (0.0, 0.2),
        "decay_events": (0.0, 100.0, 30.0, 10.0, 5.0),
    },
    "ials": {
        "unobserved": (0.1, 0.03, 0.3),
        "l2": (0.003, 0.01, 0.03),
        "factors": (64, 128),
        "decay_events": (0.0, 50.0),
    },
}
"""Registered models; each axis is searched in turn from the best so far, first values first."""

ORDERED: dict[str, Axes] = {
    "slit": {"l2": (50.0, 200.0), "popularity": (0.0, -0.3), "decay_events": (2.5, 10.0, 30.0)},
    "transitions": {
        "reach": (1.0, 4.0),
        "target": (0.3, 0.0, 0.6),
        "decay_events": (1.5, 5.0, 20.0),
    },
}
"""Models that need to know what came first."""

CLOCKED: dict[str, Axes] = {"trending": {"half_life_days": (7.0, 3.0, 14.0, 28.0)}}
"""Models that need to know when things happened."""

DESCRIBED: dict[str, Axes] = {"content": {"decay_events": (0.0, 20.0, 5.0)}}
"""Models that need to know what items are."""

ANSWER_ONLY = frozenset({"decay_events"})
"""Settings that change how a model answers, not what it learns: no new fit is needed."""

QUICK = ("popular", "item-knn", "ease")
"""Who takes part in a quick look, with default settings."""
