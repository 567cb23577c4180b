"""What everybody does now, beside what the models learnt."""

from collections.abc import Mapping
from typing import Final

from endcap.models.base import Model
from endcap.models.live import LiveCounts, LiveModel, LiveTrending
from endcap.recommend.artefacts import Artefact
from endcap.recommend.recipe import Level

LIVE: Final = "live"
LIVE_TRENDING: Final = "live-trending"


def counting_along(
    artefact: Artefact, level: Level, counts: LiveCounts | None
) -> tuple[Mapping[str, Model], Mapping[str, float]]:
    """Return the models and weights of a level, the live ones with their shares among them."""
    if counts is None or not len(counts):
        return artefact.models, level.weights
    known = (counts.spec, artefact.users, artefact.items, counts)
    live: dict[str, Model] = {LIVE: LiveModel(*known), LIVE_TRENDING: LiveTrending(*known)}
    shares = {LIVE: level.live if level.evidence != "none" else 0.0}
    shares[LIVE_TRENDING] = level.live_trending
    one = sum(level.weights.values()) / (1 - sum(shares.values()))
    added = {name: share * one for name, share in shares.items() if share}
    return {**artefact.models, **live}, {**level.weights, **added}
