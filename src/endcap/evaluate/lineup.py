"""Which models are worth trying on a data set, and the settings among which validation chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from endcap.prepare.dataset import Dataset

Axes = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Entrant:
    """A model in the line-up.

    Attributes
    ----------
    plugin
        Name of the model's plug-in.
    axes
        Setting -> values to try, the best guess first; searched in this order.
    fixed
        Settings that are not searched.
    cubic_s
        Seconds of a fit on 10,000 items where it grows with their cube; 0 where it does not.
    capped_s
        Seconds of a fit that ends by the clock, 0 where none does.
    """

    plugin: str
    axes: Axes = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    cubic_s: float = 0.0
    capped_s: float = 0.0

    def guess_s(self, items: int, pace: float = 1.0) -> float:
        """Return about how many seconds a fit takes on that many items, 0 where it is quick.

        Parameters
        ----------
        pace
            How slow the machine is where fits grow with the cube: seconds over `cubic_s`.
        """
        return pace * self.cubic_s * (items / 10_000) ** 3 + self.capped_s


@dataclass(frozen=True)
class Profile:
    """What decides who takes part.

    Attributes
    ----------
    users, items, interactions
        Users and items with interactions, and how many those are.
    ordered, clocked
        Whether it is known what came first, and when.
    titled, labelled
        Share of the items with a title, and with a category, a brand or a price.
    repeated
        Share of the interactions that repeat an earlier one of the same user and item.
    kinds
        The kinds of event that make up a hundredth of the interactions or more.
    """

    users: int
    items: int
    interactions: int
    ordered: bool
    clocked: bool
    titled: float
    labelled: float
    repeated: float
    kinds: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Dataset, *, ordered: bool = True, clocked: bool = True) -> "Profile":
        """Look at a data set."""
        table, rows = data.item_table, max(1, data.item_table.num_rows)
        known = [table[name].is_valid().to_numpy() for name in ("categories", "brand", "price")]
        n = data.interactions.num_rows
        return cls(
            users=len(np.unique(data.column("user"))),
            items=len(np.unique(data.column("item"))),
            interactions=n,
            ordered=ordered,
            clocked=clocked,
            titled=1 - table["title"].null_count / rows,
            labelled=float(np.logical_or.reduce(known).sum()) / rows,
            repeated=1 - data.matrix(None).nnz / max(1, n),
            kinds=frozenset(k for k in data.kind_names if data.of_kind(k).mean() >= USUAL),
        )


USUAL: Final = 0.01
"""A kind of event with a smaller share of the interactions says too little to be heard apart."""
SPOKEN: Final = 0.2
"""A catalogue that says something of a smaller share of its items feeds no content model."""
REPEATED: Final = 0.1
"""From this share of repeats on, how often something was taken may matter."""
LARGE: Final = 15_000
"""Above so many items a filter of the spectrum and the local ridge stand in for EASE."""
SOURCES: Final = 100
"""There SLIT explains each item by so many others."""
ANSWER_ONLY: Final = frozenset({"decay_events", "share", "itself"})
"""Settings that change how a model answers, not what it learns: no new fit is needed."""

LONG: Final = 100
"""Interactions for each user from which transitions walk one step only and sessions are not
compared: both are for short histories; in long ones their pairs fill the square of the items."""
OWN_HABITS: Final[Axes] = {
    "own": (0.9, 0.7, 0.4),
    "popular": (0.05, 0.0, 0.2),
    "rebuy": (0.1, 0.0, 0.4),
    "group_decay": (0.97, 0.98, 0.93),
}
"""What `repeat` is asked in long histories, which say more than others and the newest baskets."""
CONFIDENCE: Final[Axes] = {"confidence": ("binary", "log", "weight")}
COUNTED: Final = ("item-knn", "slim", "ease", "ials")
"""Who is asked how much repeats should count, where there are many."""
DEEP_MINUTES: Final = 2.0
"""What a network may train when it takes part; by itself it is given more."""

ENTRANTS: Final[dict[str, Entrant]] = {
    "popular": Entrant("popular", {"count": ("users", "events")}),
    "trending": Entrant("trending", {"half_life_days": (7.0, 3.0, 14.0, 28.0)}),
    "repeat": Entrant(
        "repeat",
        {
            "own": (0.3, 0.6, 0.9),
            "popular": (0.5, 0.2, 0.05),
            "rebuy": (0.7, 0.3, 0.1, 1.0),
            "group_decay": (0.9, 0.8, 0.97),
        },
    ),
    "transitions": Entrant(
        "transitions",
        {
            "decay_events": (1.5, 5.0, 20.0),
            "reach": (1.0, 4.0),
            "target": (0.3, 0.0, 0.6),
        },
    ),
    "content-words": Entrant(
        "content",
        {
            "decay_events": (2.5, 10.0, 0.0),
            "text": ({"bits": 18, "ngram_share": 0.0}, {"bits": 18, "ngram_share": 0.3}),
        },
        {"dimensions": 0, "text_share": 1.0, "fields": ("title", "brand")},
    ),
    "content-attributes": Entrant(
        "content",
        {"decay_events": (2.5, 10.0, 0.0)},
        {"dimensions": 0, "text_share": 0.0},
    ),
    "item-knn": Entrant(
        "item-knn",
        {
            "decay_events": (50.0, 0.0, 10.0, 2.5),
            "weighting": ("bm25", "none", "tf-idf"),
            "similarity": ("dot", "cosine"),
            "neighbours": (100, 30, 300),
            "shrink": (0.0, 20.0),
        },
    ),
    "behaviours": Entrant(
        "behaviours",
        {
            "itself": (0.05, 0.1, 0.02, 0.2, 0.0),
            "share": (0.4, 0.2, 1.0),
            "decay_events": (100.0, 0.0, 10.0),
            "l2": (100.0, 300.0),
            "other_l2": (60.0, 200.0),
        },
        cubic_s=75.0,
    ),
    "slim": Entrant(
        "slim",
        {
            "decay_events": (50.0, 0.0, 10.0, 2.5),
            "l1": (1.0, 0.3, 3.0),
            "l2": (100.0, 30.0, 300.0),
            "pairs": (1000, 3000),
            "popularity": (0.0, 0.2),
        },
    ),
    "ease": Entrant(
        "ease",
        {
            "decay_events": (100.0, 0.0, 30.0, 10.0, 5.0, 2.5),
            "l2": (300.0, 100.0, 1000.0),
            "popularity": (0.0, 0.2),
            "item_norm": (0.0, 0.25),
            "user_norm": (0.0, 0.5),
        },
        cubic_s=30.0,
    ),
    "local-ridge": Entrant(
        "local-ridge",
        {
            "decay_events": (100.0, 0.0, 30.0),
            "l2": (30.0, 100.0, 10.0),
            "popularity": (0.0, 0.2),
        },
    ),
    "vmis-knn": Entrant(
        "vmis-knn",
        {
            "decay_events": (1.5, 3.0),
            "before": (0.5, 0.0),
            "recency": (0.0, 0.5),
            "gap_decay": (2.0, 4.0),
            "popularity": (0.0, -0.3),
        },
    ),
    "slit": Entrant(
        "slit",
        {
            "decay_events": (2.5, 10.0, 30.0),
            "l2": (50.0, 200.0, 15.0),
            "popularity": (0.0, -0.3),
            "future_decay": (1.0, 3.0),
            "order_free": (0.0, 0.5),
        },
        cubic_s=45.0,
    ),
    "rp3beta": Entrant(
        "rp3beta",
        {
            "decay_events": (50.0, 0.0, 10.0),
            "beta": (0.35, 0.2, 0.5),
            "alpha": (0.4, 0.55, 0.7),
            "user_alpha": (0.75, 1.0, 0.5),
            "neighbours": (300, 1000),
        },
    ),
    "user-knn": Entrant(
        "user-knn",
        {
            "decay_events": (50.0, 0.0, 10.0),
            "sharpness": (1.0, 1.5, 2.0),
            "popularity": (0.0, -0.2, -0.4),
            "neighbours": (200, 100, 500),
        },
    ),
    "spectral": Entrant(
        "spectral",
        {
            "decay_events": (50.0, 0.0, 10.0),
            "factors": (1024, 2048),
            "linear": (10.0, 0.0, 30.0),
            "target": (0.4, 0.5, 0.3),
            "ridge": (0.05, 0.2),
        },
    ),
    "ials": Entrant(
        "ials",
        {
            "decay_events": (50.0, 0.0, 10.0),
            "unobserved": (0.1, 0.03, 0.3),
            "l2": (0.003, 0.01, 0.03),
            "factors": (64, 128),
        },
    ),
    "sasrec": Entrant("sasrec", fixed={"train_minutes": DEEP_MINUTES}, capped_s=60 * DEEP_MINUTES),
}
"""Everybody, cheap ones first, so that a short budget leaves something to blend; who tells kinds
of event apart comes before those who cannot, where there are several."""


def line_up(
    profile: Profile, *, keep_seen: bool = False, target: str | None = None
) -> dict[str, Entrant]:
    """Return who can take part on such data, cheap ones first.

    Parameters
    ----------
    keep_seen
        Whether lists may repeat what a shopper has; else a model of repeats has nothing to say.
    target
        The kind of event to foresee, where it is one.
    """
    able = {
        "trending": profile.clocked,
        "transitions": profile.ordered,
        "vmis-knn": profile.ordered and profile.interactions <= LONG * profile.users,
        "slit": profile.ordered,
        "sasrec": profile.ordered and find_spec("torch") is not None,
        "spectral": profile.items > LARGE,
        "local-ridge": profile.items > LARGE,
        "repeat": keep_seen and profile.clocked,
        "behaviours": target in profile.kinds and len(profile.kinds) > 1,
        "content-words": profile.titled >= SPOKEN,
        "content-attributes": profile.labelled >= SPOKEN,
    }
    found = {name: entrant for name, entrant in ENTRANTS.items() if able.get(name, True)}
    if "behaviours" in found:
        found["behaviours"] = replace(found["behaviours"], fixed={"target": target})
    if "transitions" in found and profile.interactions > LONG * profile.users:
        found["transitions"] = replace(found["transitions"], fixed={"second_step": 0.0})
    if "repeat" in found and profile.interactions > LONG * profile.users:
        found["repeat"] = replace(found["repeat"], axes=OWN_HABITS)
    if "slit" in found and profile.items > LARGE:
        found["slit"] = replace(found["slit"], fixed={"sources": SOURCES}, cubic_s=0.0)
    if profile.repeated >= REPEATED:
        for name in COUNTED:
            found[name] = replace(found[name], axes={**found[name].axes, **CONFIDENCE})
    return found
