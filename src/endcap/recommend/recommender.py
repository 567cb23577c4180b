"""The wired pipeline: requests in, slates out; it always answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from endcap.recommend.slate import Request, Slate
from endcap.recommend.state import State


class Recommender:
    """Answers requests from one artefact and the state of the world.

    Immutable and safe to share between threads: to swap models, load another one and replace the
    reference; a request is answered by exactly one artefact.

    Attributes
    ----------
    artefact
        Id of the artefact that answers; empty when none could be loaded, and then the catalogue
        alone answers.
    trouble
        Why this is not the artefact that was asked for; empty when all is well.

    Stability: caller.
    """

    artefact: str
    trouble: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load what ``<folder>/models/current`` points to.

        A damaged artefact is refused, and the newest sound one answers instead (`trouble` says
        so); with none at all, the catalogue answers. It never raises for the sake of a model.
        """

    def recommend(self, requests: Sequence[Request], state: State) -> list[Slate]:
        """Return one slate for each request, in their order.

        Deterministic for (request, state): a batch gives what single calls give, bit for bit.
        Unknown users, items and placements are answered, by a fallback that `served_by` names.
        """

    def similar(self, item_id: str, k: int, state: State) -> Slate:
        """Return the slate of the placement ``similar`` for one item."""
