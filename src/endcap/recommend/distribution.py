"""One artefact on every machine: replicas with folders of their own share it over their store.

Whoever sees that another artefact serves in its folder than was announced sends it to the store and
announces it; whoever sees a newer announcement fetches the artefact, and promotes it as it would
its own: read back, every byte checked against its hash, tried out. The announcement is a document
of the store, the files of the artefact are parcels, and a file beside the artefacts says which
announcement was followed last.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from endcap.events.store import Parcels, Store, Written
from endcap.models.store import publishing
from endcap.recommend.artefacts import ID, current, ids, promote, prune
from endcap.schema.errors import ArtefactError, BusyError, ConflictError

ANNOUNCED: Final = "artefact/current"
PARCEL: Final = "artefact/"
FOLLOWED: Final = "followed"
SENT: Final = 2
"""Artefacts that stay in the store: the last one, and the one before for who is on his way."""
PART_BYTES: Final = 4 << 20
Ended = Callable[[], bool]
log = structlog.get_logger(__name__)


def share(store: Store, folder: Path, *, ended: Ended = lambda: False) -> bool:
    """Bring a folder and what was announced together; return whether something changed.

    Who announces last is followed, by everybody. While another process of the folder is at it,
    this one leaves it alone.

    Parameters
    ----------
    folder
        The data folder, with ``models`` in it.
    ended
        Asked between two parts of a file: whether to leave the rest for another time.

    Raises
    ------
    BusyError
        When it was ended.
    ArtefactError
        When what was announced did not arrive whole; what served before goes on serving.
    StoreError
        When the store is away.
    """
    with _turn(folder) as mine:
        if not mine:
            return False
        told = announced(store)
        version, followed = _followed(folder)
        serving = current(folder)
        if told is not None and told.body and told.version != version:
            if told.body != serving:
                _fetch(store.parcels, folder, told.body, ended)
                _promote(folder, told.body)
            _follow(folder, told.version, told.body)
            return told.body != serving
        if serving is None or serving == followed:
            return False
        _announce(store, folder, serving, told, ended)
        return True


def _promote(folder: Path, artefact_id: str) -> None:
    """Let it serve; where it is damaged it is not kept, so that it can come again."""
    try:
        promote(folder, artefact_id)
    except ArtefactError:
        shutil.rmtree(folder / "models" / artefact_id)
        raise
    prune(folder)


def announced(store: Store) -> Written | None:
    """Return the last announcement; its body is the id of an artefact."""
    return store.documents.latest(ANNOUNCED).get(ANNOUNCED)


def _announce(
    store: Store, folder: Path, artefact_id: str, told: Written | None, ended: Ended
) -> None:
    """Send first, then tell: who hears of it can have it."""
    place = folder / "models" / artefact_id
    for path in sorted(place.rglob("*")):
        if path.is_file():
            name = f"{PARCEL}{artefact_id}/{path.relative_to(place).as_posix()}"
            store.parcels.put(name, _going_on(_parts(path), ended))
    try:
        written = store.documents.write(ANNOUNCED, artefact_id, told.version if told else 0)
    except ConflictError:  # somebody else was quicker, and is followed next time
        return
    _follow(folder, written.version, artefact_id)
    _tidy(store.parcels, artefact_id)
    log.info("artefact announced", artefact=artefact_id, version=written.version)


def _tidy(parcels: Parcels, artefact_id: str) -> None:
    """Forget what nobody fetches any more."""
    sent: dict[str, list[str]] = {}
    for name in parcels.names(PARCEL):
        sent.setdefault(name.split("/")[1], []).append(name)
    for gone in sorted(sent.keys() - {artefact_id})[: -(SENT - 1)]:
        for name in sent[gone]:
            parcels.delete(name)


def _fetch(parcels: Parcels, folder: Path, artefact_id: str, ended: Ended) -> None:
    """Have an artefact in the folder, on disk; whether it is whole is for `promote` to say."""
    if artefact_id in ids(folder):
        return
    names = parcels.names(f"{PARCEL}{artefact_id}/")
    if not names or not ID.fullmatch(artefact_id):
        raise ArtefactError(
            f"Artefact {artefact_id[:40]!r} was announced and is not in the store.",
            hint="Where it was trained, start a server, or train again.",
        )
    with publishing(folder / "models" / artefact_id) as draft:
        for name in names:
            path = draft / name.split("/", 2)[2]
            if not path.resolve().is_relative_to(draft.resolve()):
                raise ArtefactError(f"Artefact {artefact_id} has a file {name!r}.")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for part in _going_on(parcels.get(name), ended):
                    file.write(part)
    log.info("artefact fetched", artefact=artefact_id)


def _parts(path: Path) -> Iterator[bytes]:
    """Yield a file's content, in one part at least."""
    with path.open("rb") as file:
        yield file.read(PART_BYTES)
        while part := file.read(PART_BYTES):
            yield part


def _going_on(parts: Iterator[bytes], ended: Ended) -> Iterator[bytes]:
    for part in parts:
        if ended():
            raise BusyError("The process ends; the artefact travels another time.")
        yield part


def _followed(folder: Path) -> tuple[int, str]:
    """Return the announcement followed last: its version, and the artefact."""
    try:
        version, artefact_id = (folder / "models" / FOLLOWED).read_text(encoding="ascii").split()
        return int(version), artefact_id
    except (OSError, ValueError):
        return 0, ""


def _follow(folder: Path, version: int, artefact_id: str) -> None:
    draft = folder / "models" / f"{FOLLOWED}.draft"
    draft.write_text(f"{version} {artefact_id}", encoding="ascii")
    draft.replace(folder / "models" / FOLLOWED)


@contextmanager
def _turn(folder: Path) -> Iterator[bool]:
    """Yield whether it is this process's turn."""
    place = folder / "models"
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".sharing").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
