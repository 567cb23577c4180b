"""From events to preferences, with the very function and settings that training used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from endcap.prepare.weights import kind_weights, weigh
from endcap.schema.settings import PrepareSettings, Settings


@dataclass(frozen=True, slots=True)
class Weighing:
    """How an artefact weighs a shopper's events.

    Ages are taken at the end of its training, or at the shopper's last event where that is later:
    what was in training weighs what it weighed there, and a shop that lies still does not fade.

    Attributes
    ----------
    end
        Time of the last interaction in training, UTC microseconds.
    half_life_days, kinds
        As in `prepare.weights.weigh`.
    """

    end: int = 0
    half_life_days: float = PrepareSettings().half_life_days
    kinds: Mapping[str, float] = field(default_factory=kind_weights)

    def __call__(
        self, kinds: Sequence[str], times: npt.NDArray[np.int64], latest: int
    ) -> npt.NDArray[np.float32]:
        """Return float32 (n,), 0 or less where an event says nothing for its item.

        Parameters
        ----------
        kinds, times
            Of n events; times in UTC microseconds, those after the end count as of now.
        latest
            Time of the shopper's last event.
        """
        return weigh(list(kinds), times, max(self.end, latest), self.half_life_days, self.kinds)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest of an artefact says of it."""
        return {
            "end": self.end,
            "half_life_days": self.half_life_days,
            "kinds": dict(self.kinds),
        }

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Build from a manifest; what is missing is the default."""
        return cls(**{name: facts[name] for name in cls.__slots__ if name in facts})

    @classmethod
    def of_settings(cls, settings: Settings, end: int) -> Self:
        """Build for training on data prepared under `settings` that ends at `end`."""
        kinds = kind_weights(settings.events.kinds)
        return cls(end, settings.prepare.half_life_days, kinds)
