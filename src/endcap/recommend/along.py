"""What everybody does now, beside what the models learnt."""

from collections.abc import Mapping, Sequence
from typing import Final

from endcap.models.base import Model
from endcap.models.live import LiveCounts, LiveModel, LiveTrending
from endcap.models.popular import PopularModel
from endcap.models.popular_now import PopularNow
from endcap.recommend.artefacts import Artefact
from endcap.recommend.evidence import Evidence
from endcap.recommend.recipe import Level

LIVE: Final = "live"
LIVE_TRENDING: Final = "live-trending"
Also = Mapping[int, Sequence[str]]
"""Row of an item -> ids that no model knows and that it stands for."""
FIRST_HAND: Final = 0.45
"""Share of what goes now with the items of a shopper of whom the models know by others alone."""


def counting_along(
    artefact: Artefact, level: Level, counts: LiveCounts | None, evidence: Evidence, also: Also
) -> tuple[Mapping[str, Model], Mapping[str, float]]:
    """Return the models and weights of a level, the live ones with their shares among them.

    Models that count what is taken go on counting. Where a level asks for nothing else, that is all
    there is to say of this moment; elsewhere what is taken now has a share of its own.
    """
    if counts is None or not len(counts):
        return artefact.models, level.weights
    known = (counts.spec, artefact.users, artefact.items, counts)
    live: dict[str, Model] = {LIVE: LiveModel(*known, also), LIVE_TRENDING: LiveTrending(*known)}
    shares = {LIVE: level.live if level.evidence != "none" else 0.0}
    if level.live and also and set(evidence.query.items.tolist()) <= also.keys():
        shares[LIVE] = max(level.live, FIRST_HAND)
    shares[LIVE_TRENDING] = level.live_trending
    if level.live_trending:
        now = _going_on(artefact, level, counts)
        live |= now
        if level.evidence == "none" and now:
            shares[LIVE_TRENDING] = 0.0
    one = sum(level.weights.values()) / (1 - sum(shares.values()))
    added = {name: share * one for name, share in shares.items() if share}
    return {**artefact.models, **live}, {**level.weights, **added}


def _going_on(artefact: Artefact, level: Level, counts: LiveCounts) -> dict[str, Model]:
    asked = {name: artefact.models.get(name) for name in level.weights}
    return {
        name: PopularNow.of(model, counts)
        for name, model in asked.items()
        if type(model) is PopularModel
    }
