"""What is kept of an answer, as compact bytes."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from endcap.recommend.replaying.witness import Heard, Witness
from endcap.recommend.slate import Request, Slate, as_number
from endcap.recommend.state import History
from endcap.schema.errors import DataError
from endcap.schema.version import __version__

DEFLATED: Final = b"\x78"
"""How records of earlier versions begin; a map of MessagePack begins otherwise."""


class Past(msgspec.Struct, array_like=True):
    """A history by its position in the log: whose events, how many, and their hash."""

    people: list[str]
    events: int
    digest: bytes


class Counts(msgspec.Struct, array_like=True):
    """Numbers by item; the numbers are float64, little endian."""

    item_ids: list[str]
    numbers: bytes

    @classmethod
    def of(cls, told: Mapping[str, float]) -> "Counts":
        """Build from item id -> number."""
        return cls(list(told), np.fromiter(told.values(), "<f8", len(told)).tobytes())

    def read(self) -> dict[str, float]:
        """Return item id -> number."""
        numbers = np.frombuffer(self.numbers, "<f8").tolist()
        return dict(zip(self.item_ids, numbers, strict=True))


class Live(msgspec.Struct, array_like=True):
    """What the live counts answered."""

    size: int
    after: dict[str, Counts]
    risen: Counts | None


class Record(msgspec.Struct, omit_defaults=True):
    """All that an answer depended on, and what it was.

    Attributes
    ----------
    request
        As JSON.
    now
        The moment of asking, UTC microseconds.
    artefact, trouble
        Of the recommender.
    places
        Fingerprint of what the placements did (`places_of`).
    position
        Of the catalogue.
    histories, shown, exposure, live
        What was asked of the state; None where nothing was.
    version
        Of Endcap.
    answered
        Item ids in order.
    digest
        Of the whole slate (`digest`).
    where
        Who -> where their account said they were, where that was asked.
    """

    request: str
    now: int
    artefact: str
    trouble: str
    places: str
    position: int
    histories: dict[str, Past]
    shown: dict[str, dict[str, int]]
    exposure: dict[str, int]
    live: Live | None
    version: str
    answered: list[str]
    digest: bytes
    where: dict[str, tuple[float, float]] = {}

    @classmethod
    def of(  # noqa: PLR0917
        cls, request: Request, slate: Slate, witness: Witness, now: int, trouble: str, places: str
    ) -> "Record":
        """Put together what a witness saw and what was answered."""
        past = {
            who: Past(people, len(history.item_ids), fingerprint(history))
            for who, (people, history) in witness.histories.items()
        }
        return cls(
            request.model_dump_json(exclude_defaults=True, exclude={"request_id"}),
            now,
            slate.artefact,
            trouble,
            places,
            witness.position,
            past,
            {who: dict(shown) for who, shown in witness.shown.items()},
            witness.counted.told,
            None if witness.heard is None else _live(witness.heard),
            __version__,
            [item.item_id for item in slate.items],
            digest(slate),
            {who: (spot.lat, spot.lon) for who, spot in witness.where.items()},
        )

    def pack(self) -> bytes:
        """Return the record as bytes; most of it are numbers, which do not compress."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "Record":
        """Read what `pack` made.

        Raises
        ------
        DataError
            When it is damaged, or of another version.
        """
        try:
            plain = zlib.decompress(packed) if packed[:1] == DEFLATED else packed
            return msgspec.msgpack.decode(plain, type=cls)
        except (zlib.error, msgspec.DecodeError) as error:
            raise DataError(f"The record of a slate cannot be read: {error}.") from error


def _live(heard: Heard) -> Live:
    risen = None if heard.risen is None else _risen(heard.risen)
    after = {item_id: Counts.of(told) for item_id, told in heard.after.items()}
    return Live(heard.size, after, risen)


def _risen(told: list[tuple[str, float]]) -> Counts:
    """Return what is trending; until the next event it is the same list for every slate."""
    kept = _last_risen.get("told")
    if kept is None or kept[0] is not told:
        kept = _last_risen["told"] = told, Counts.of(dict(told))
    return kept[1]


_last_risen: dict[str, tuple[list[tuple[str, float]], Counts]] = {}


def fingerprint(history: History) -> bytes:
    """Return a hash of every event of a history, in order."""
    told = blake2b(digest_size=16)
    told.update("\x00".join([*history.item_ids, *history.kinds]).encode())
    for column in (history.times, history.values, history.quantities):
        told.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
    return told.digest()


def digest(slate: Slate) -> bytes:
    """Return a hash of everything in a slate but its name: one bit off, another hash."""
    told = msgspec.msgpack.encode(replace(slate, request_id=""), enc_hook=as_number)
    return blake2b(told, digest_size=16).digest()
