"""What everybody's latest events say of items that no model knows yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.base import Model
from endcap.models.live import LiveModel, LiveTrending
from endcap.models.popular_now import PopularNow
from endcap.recommend.blend import Blend
from endcap.recommend.evidence import Evidence

Floats = npt.NDArray[np.float64]
COUNTING: Final = (LiveModel, LiveTrending, PopularNow)


@dataclass(frozen=True, slots=True)
class Heard:
    """What everybody's latest events say of items that no model knows, as a blend would add it up.

    Attributes
    ----------
    of_all
        Item id -> what is taken now by anybody adds to its score.
    of_events
        Item id -> event of the query -> what goes with its item adds.
    anchors
        float64 (n,): what the same says of each item of the blend.
    """

    of_all: dict[str, float]
    of_events: dict[str, dict[int, float]]
    anchors: Floats


def hear(
    models: Mapping[str, Model], weights: Mapping[str, float], answer: Blend, evidence: Evidence
) -> Heard:
    """Ask the models that count along about items which the others do not know."""
    of_all: dict[str, float] = {}
    of_events: dict[str, dict[int, float]] = {}
    listening = [name for name in answer.scales if isinstance(models[name], COUNTING)]
    for name in listening:
        model, scale, share = models[name], answer.scales[name], weights[name] / answer.total
        if isinstance(model, LiveModel):
            told = dict(model.beyond(evidence.query))
            scale = scale or share / _most(_summed(told))
            for event, scores in told.items():
                for item_id, score in scores.items():
                    of_events.setdefault(item_id, {})[event] = scale * score
        elif isinstance(model, LiveTrending | PopularNow):
            counts = model.beyond()
            scale = scale or share / _most(counts)
            for item_id, count in counts.items():
                of_all[item_id] = of_all.get(item_id, 0.0) + scale * count
    mine = [name in listening for name in answer.scales]
    return Heard(of_all, of_events, answer.parts[mine].sum(axis=0, dtype=np.float64))


def _summed(told: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for scores in told.values():
        for item_id, score in scores.items():
            total[item_id] = total.get(item_id, 0.0) + score
    return total


def _most(scores: Mapping[str, float]) -> float:
    return max(scores.values(), default=0.0) or 1.0
