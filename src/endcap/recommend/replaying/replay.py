"""Make a past slate again, and say whether it is the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
from threadpoolctl import threadpool_limits

from endcap.events.store import Store
from endcap.recommend.artefacts import Artefact, load_artefact
from endcap.recommend.recipe import Placement
from endcap.recommend.recommender import Recommender
from endcap.recommend.replaying.past import PastState
from endcap.recommend.replaying.records import Record, digest
from endcap.recommend.slate import Request, Slate
from endcap.schema.errors import ArtefactError, RequestError
from endcap.schema.version import __version__

PREFIX: Final = "answered-by/"
"""Documents of what placements did are named by it and their fingerprint."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A past slate, made again.

    Attributes
    ----------
    request_id, request
        What was asked.
    answered
        The items that were answered then, in order.
    slate
        What the same question gives in the same world; None where too much of it is gone.
    identical
        Whether it is the same in every bit: items, scores, reasons, facts.
    gone
        What keeps it from being so, in words; empty where it is identical.
    facts
        What was known then of the past items that its reasons name.
    """

    request_id: str
    request: Request
    answered: tuple[str, ...]
    slate: Slate | None
    identical: bool
    gone: tuple[str, ...] = ()
    facts: Mapping[str, dict[str, Any]] = field(default_factory=dict)


class Replayer:
    """Makes past slates of one shop again; the last two artefacts stay loaded.

    Parameters
    ----------
    store, folder
        Where slates, events and catalogue are, and where the models are.

    Stability: caller.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._loaded: dict[str, Artefact] = {}
        self._places: dict[str, dict[str, Placement]] = {}

    def replay(self, request_id: str) -> Replayed:
        """Make a slate again with that moment's artefact, placements and state of the world.

        Raises
        ------
        RequestError
            When no slate of that id was kept.
        DataError
            When its record is damaged.
        """
        found = self._store.slates.get(request_id)
        if found is None:
            raise RequestError(
                f"No slate {request_id!r} is kept.",
                hint="`serve.replay_days` says for how long; the id is in the answer.",
            )
        record = Record.unpack(found.record)
        request = Request.model_validate_json(record.request)
        state = PastState(self._store, record)
        slate = self._again(request_id, request, record, state)
        gone = list(dict.fromkeys(state.gone))
        identical = slate is not None and digest(slate) == record.digest
        if not identical and not gone:
            gone.append(_unlike(record, slate))
        return Replayed(
            request_id,
            request,
            tuple(record.answered),
            slate,
            identical,
            () if identical else tuple(gone),
            state.facts(slate.sources) if slate else {},
        )

    def _again(
        self, request_id: str, request: Request, record: Record, state: PastState
    ) -> Slate | None:
        try:
            artefact = self._artefact(record.artefact)
        except ArtefactError as error:
            state.gone.append(f"artefact {record.artefact}: {error}")
            return None
        places = self._placements(record.places)
        if places is None:
            state.gone.append(f"what the placements did ({record.places}) is not kept")
            return None
        recommender = Recommender(artefact, trouble=record.trouble).placed(places)
        asked = request.model_copy(update={"now": state.now, "request_id": request_id})
        with threadpool_limits(1, "blas"):  # as it was served: sums differ with more threads
            return recommender.recommend([asked], state)[0]

    def _artefact(self, name: str) -> Artefact | None:
        if not name:
            return None
        found = self._loaded.get(name) or load_artefact(self._folder, name)
        self._loaded = {**dict(list(self._loaded.items())[-1:]), name: found}  # two at most
        return found

    def _placements(self, fingerprint: str) -> dict[str, Placement] | None:
        if fingerprint not in self._places:
            versions = self._store.documents.history(PREFIX + fingerprint)
            if not versions or versions[0].body is None:
                return None
            told = msgspec.json.decode(versions[0].body)
            self._places[fingerprint] = {
                name: Placement.parse(place, where=name) for name, place in told.items()
            }
        return self._places[fingerprint]


def places_of(placements: Mapping[str, Placement]) -> tuple[str, str]:
    """Return the fingerprint of what placements do, and all of it as JSON."""
    told = {name: _dumped(place) for name, place in placements.items()}
    body = msgspec.json.encode(told, order="deterministic").decode()
    return blake2b(body.encode(), digest_size=12).hexdigest(), body


def _dumped(place: Placement) -> dict[str, Any]:
    return place.model_dump(mode="json", exclude_defaults=True)


def _unlike(record: Record, slate: Slate | None) -> str:
    items = [] if slate is None else [item.item_id for item in slate.items]
    same = sum(a == b for a, b in zip(record.answered, items, strict=False))
    by = "" if record.version == __version__ else f"; Endcap was {record.version} then"
    return f"{same} of {len(record.answered)} items are in their places, the rest is not{by}"
