"""From events to preferences, with the very function and settings that training used."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap.prepare.weights import kind_weights, weigh
from endcap.schema.settings import PrepareSettings, Settings

Weighing = Callable[[Sequence[str], npt.NDArray[np.int64], int], npt.NDArray[np.float32]]
"""(kinds, times in UTC µs, now in UTC µs) -> float32 (n,) weights; 0 or less says nothing."""


def weighing_facts(settings: Settings) -> dict[str, Any]:
    """Return what an artefact must remember in order to weigh as its training did."""
    half_life_days = settings.prepare.half_life_days
    return {"half_life_days": half_life_days, "kinds": kind_weights(settings.events.kinds)}


def weighing(facts: Mapping[str, Any]) -> Weighing:
    """Return the weighing of an artefact with these facts; what is missing is the default."""
    half_life_days = float(facts.get("half_life_days", PrepareSettings().half_life_days))
    table: Mapping[str, float] = facts.get("kinds") or kind_weights()
    return partial(_weigh, half_life_days=half_life_days, table=table)


def _weigh(
    kinds: Sequence[str],
    times: npt.NDArray[np.int64],
    now: int,
    *,
    half_life_days: float,
    table: Mapping[str, float],
) -> npt.NDArray[np.float32]:
    return weigh(list(kinds), times, now, half_life_days, table)
