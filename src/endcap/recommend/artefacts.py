"""Artefacts: all models of a recipe in one folder, published whole, verified, promoted, undone.

    <folder>/models/
      20261124T142215123-1a2b3c4d/     one artefact: its time and a fingerprint of what made it
        manifest.json                  recipe, data set, seed, versions, hash of every other file
        manifest.sha256                hash of the manifest itself
        ease/ popular/ …               one model folder each (`models.store`)
        _ranker/                       the second stage, where one pays (`models.ranking`)
        _chances/                      what scores say of clicks and purchases (`models.chances`)
      current                          the id that serves, replaced by rename
      .lock                            held by the one trainer at work

A folder appears under its name only when it is complete and on disk, and `current` names it only
after it was read back and answered sensibly. `kill -9` at any moment leaves the old one serving.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import structlog

from endcap.models.base import Model
from endcap.models.chances import Chances, load_chances, save_chances
from endcap.models.described import Described, load_described, save_described
from endcap.models.ranking import Ranker, load_ranker, save_ranker
from endcap.models.store import MANIFEST, load, publishing, read_manifest, save, write_manifest
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.recipe import Recipe
from endcap.recommend.soundness import check_models
from endcap.recommend.weighing import Weighing
from endcap.schema.errors import ArtefactError, BusyError, nearest

KEEP: Final = 5
CURRENT: Final = "current"
SEAL: Final = "manifest.sha256"
RANKER: Final = "_ranker"
DESCRIBED: Final = "_described"
CHANCES: Final = "_chances"
LOG_END: Final = "log_end"
"""The fact of an artefact that says up to which position of the event log it has learnt."""
ID: Final = re.compile(r"\d{8}T\d{9}-[0-9a-f]{8}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Artefact:
    """The trained models of a recipe, over one pair of vocabularies.

    Attributes
    ----------
    id
        Its time and fingerprint.
    recipe
        What it was trained from, and how its models answer.
    models
        By the recipe's names; those the recipe left out for this size are not there.
    users, items
        The vocabularies that all models share.
    facts
        The rest of the manifest: ``dataset``, ``seed``, ``code``, ``created``, ``metrics``, ….
    ranker
        The second stage; None where there is none.
    described
        What the catalogue says of the items, by which newcomers are ranked; None where unknown.
    chances
        What scores say of outcomes, for objectives; None where that was not learnt.

    Stability: caller.
    """

    id: str
    recipe: Recipe
    models: dict[str, Model]
    users: Vocabulary = field(repr=False)
    items: Vocabulary = field(repr=False)
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    ranker: Ranker | None = field(default=None, repr=False)
    described: Described | None = field(default=None, repr=False)
    chances: Chances | None = field(default=None, repr=False)

    @cached_property
    def weigh(self) -> Weighing:
        """How past events count in its queries: as they did in its training."""
        return Weighing.of_facts(self.facts)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        models: dict[str, Model],
        *,
        id: str = "",
        ranker: Ranker | None = None,
        described: Described | None = None,
        chances: Chances | None = None,
        **facts: Any,
    ) -> "Artefact":
        """Put together models that were fitted on one data set."""
        first = next(iter(models.values()))
        for name, model in models.items():
            if model.items != first.items or model.users != first.users:
                raise ArtefactError(f"Model {name!r} was fitted on another data set.")
        parts = (facts, ranker, described, chances)
        return cls(id, recipe, models, first.users, first.items, *parts)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `listing`."""

    id: str
    created: datetime
    current: bool
    recipe: str
    models: tuple[str, ...]
    bytes: int


def publish(folder: Path, artefact: Artefact) -> Path:
    """Write an artefact under its id, complete and on disk; it does not serve yet."""
    place = _models(folder) / artefact.id
    with publishing(place) as draft:
        for name, model in artefact.models.items():
            save(model, draft / name)
        if artefact.ranker is not None:
            save_ranker(artefact.ranker, draft / RANKER)
        if artefact.described is not None:
            save_described(artefact.described, draft / DESCRIBED)
        if artefact.chances is not None:
            save_chances(artefact.chances, draft / CHANCES)
        recipe = artefact.recipe.model_dump(mode="json")
        content: dict[str, Any] = {"id": artefact.id, "recipe": recipe}
        content |= {"models": list(artefact.models), "ranked": artefact.ranker is not None}
        content |= {"described": artefact.described is not None}
        content |= {"chances": artefact.chances is not None}
        content |= {"facts": artefact.facts}
        write_manifest(draft, content)
        (draft / SEAL).write_text(_sha256(draft / MANIFEST), encoding="ascii")
    return place


def load_artefact(folder: Path, artefact_id: str) -> Artefact:
    """Read an artefact back, arrays memory-mapped, every byte checked against its hash.

    Raises
    ------
    ArtefactError
        When it is not there, incomplete, damaged, or of another version.
    """
    place = _place(folder, artefact_id)
    try:
        manifest = _sealed_manifest(place)
        models = {name: load(place / name) for name in manifest["models"]}
        ranker = load_ranker(place / RANKER) if manifest.get("ranked") else None
        described = load_described(place / DESCRIBED) if manifest.get("described") else None
        chances = load_chances(place / CHANCES) if manifest.get("chances") else None
        recipe = Recipe.parse(manifest["recipe"], where=f"recipe of {artefact_id}")
    except (OSError, KeyError, ValueError) as error:
        raise ArtefactError(f"{place} is damaged: {error}.", hint="Roll back or train.") from error
    parts: dict[str, Any] = {"ranker": ranker, "described": described, "chances": chances}
    return Artefact.of(recipe, models, id=artefact_id, **parts, **manifest["facts"])


def current(folder: Path) -> str | None:
    """Return the id that serves; None before the first promotion."""
    try:
        return (_models(folder) / CURRENT).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def promote(folder: Path, artefact_id: str) -> Artefact:
    """Let an artefact serve from now on, once it has been read back and answers sensibly.

    Raises
    ------
    ArtefactError
        When it is damaged or answers nonsense; what served before goes on serving.
    """
    artefact = load_artefact(folder, artefact_id)
    check_models(artefact.models)
    _replace(_models(folder) / CURRENT, artefact_id)
    log.info("promoted", artefact=artefact_id, models=list(artefact.models))
    return artefact


def rollback(folder: Path, artefact_id: str | None = None) -> str:
    """Let an earlier artefact serve again; return its id.

    Parameters
    ----------
    artefact_id
        Which; None takes the newest sound one before the current.

    Raises
    ------
    ArtefactError
        When there is none to go back to.
    """
    if artefact_id is not None:
        return promote(folder, artefact_id).id
    serving = current(folder) or ""
    for earlier in reversed([i for i in ids(folder) if i < serving]):
        try:
            return promote(folder, earlier).id
        except ArtefactError as error:
            log.warning("refused", artefact=earlier, error=str(error))
    raise ArtefactError(f"{_models(folder)} holds no sound artefact before {serving or 'any'}.")


def load_serving(folder: Path) -> tuple[Artefact | None, str]:
    """Return what is to answer: the current artefact or, where that is damaged, the best stand-in.

    Returns
    -------
    artefact, trouble
        None where nothing sound is there; `trouble` says why it is not the current one.
    """
    serving = current(folder)
    if serving is None:
        return None, "no model was trained yet"
    trouble = ""
    older = [i for i in ids(folder) if i < serving]
    newer = [i for i in ids(folder) if i > serving]
    for candidate in (serving, *reversed(older), *reversed(newer)):
        try:
            return load_artefact(folder, candidate), trouble
        except ArtefactError as error:
            log.error("refused", artefact=candidate, error=str(error))
            trouble = trouble or f"artefact {candidate[:40]} was refused"
    return None, trouble


def ids(folder: Path) -> list[str]:
    """Return the ids of all published artefacts, oldest first."""
    place = _models(folder)
    return sorted(p.name for p in place.iterdir() if ID.fullmatch(p.name)) if place.is_dir() else []


def listing(folder: Path) -> list[Listed]:
    """Return what is there, newest first; a folder without a readable manifest is left out."""
    serving, lines = current(folder), []
    for artefact_id in reversed(ids(folder)):
        place = _models(folder) / artefact_id
        try:
            content = read_manifest(place, verify=False)
        except ArtefactError as error:
            log.warning("unreadable", artefact=artefact_id, error=str(error))
            continue
        lines.append(
            Listed(
                artefact_id,
                datetime.fromisoformat(content["facts"]["created"]),
                artefact_id == serving,
                content["recipe"]["name"],
                tuple(content["models"]),
                sum(p.stat().st_size for p in place.rglob("*") if p.is_file()),
            )
        )
    return lines


def prune(folder: Path, keep: int = KEEP) -> list[str]:
    """Remove all but the newest `keep` artefacts and the current one; return what went."""
    serving = current(folder)
    gone = [i for i in ids(folder)[:-keep] if i != serving]
    for artefact_id in gone:
        shutil.rmtree(_models(folder) / artefact_id)
    return gone


@contextmanager
def training_lock(folder: Path) -> Iterator[None]:
    """Hold the right to train in `folder`, and sweep out what a killed trainer left.

    The lock belongs to the process and goes with it, however it ends.

    Raises
    ------
    BusyError
        When another process trains there.
    """
    place = _models(folder)
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"Another training runs in {place}.", hint="Wait for it.") from error
        for leftover in place.glob(".*-*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        yield


def new_id(now: datetime, *made_from: str) -> str:
    """Return an id that sorts by time and tells apart what was made from something else."""
    digest = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:8]
    moment = now.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}-{digest}"


def _models(folder: Path) -> Path:
    return folder / "models"


def _place(folder: Path, artefact_id: str) -> Path:
    if artefact_id not in ids(folder):
        known = ids(folder)
        hint = nearest(artefact_id, known) if known else "Train first: endcap train."
        raise ArtefactError(f"{_models(folder)} holds no artefact {artefact_id!r}.", hint=hint)
    return _models(folder) / artefact_id


def _sealed_manifest(place: Path) -> dict[str, Any]:
    """Check the chain seal -> manifest -> manifests of the models; their arrays come after."""
    if (place / SEAL).read_text(encoding="ascii") != _sha256(place / MANIFEST):
        raise ArtefactError(f"{place / MANIFEST} is damaged.", hint="Roll back or train again.")
    manifest = read_manifest(place, verify=False)
    for name, digest in manifest["files"].items():
        path = place / name
        if path.name == MANIFEST and _sha256(path) != digest:
            raise ArtefactError(f"{path} is damaged.", hint="Roll back or train again.")
    return manifest


def _replace(path: Path, text: str) -> None:
    """Put `text` into `path` so that a reader or a power cut finds the old or the new, whole."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
