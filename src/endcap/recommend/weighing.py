"""From events to preferences, with the very function and settings that training used."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from endcap.schema.kinds import KINDS
from endcap.schema.settings import PrepareSettings

DAY_US: Final = 86_400_000_000

Weighing = Callable[
    [Sequence[str], npt.NDArray[np.int64], npt.NDArray[np.float32], int], npt.NDArray[np.float32]
]
"""(kinds, times in UTC µs, stars, now in UTC µs) -> float32 (n,); 0 or less says nothing."""


def weighing(facts: Mapping[str, Any]) -> Weighing:
    """Return the weighing that an artefact with these facts was trained under."""
    half_life = float(facts.get("half_life_days", PrepareSettings().half_life_days)) * DAY_US

    def weigh(
        kinds: Sequence[str],
        times: npt.NDArray[np.int64],
        values: npt.NDArray[np.float32],
        now: int,
    ) -> npt.NDArray[np.float32]:
        strength = np.array([KINDS[k].weight if k in KINDS else 0.0 for k in kinds])
        return (strength * np.exp2((times - now) / half_life)).astype(np.float32)

    return weigh
