"""Model folders: arrays, vocabularies and a manifest with hashes. No pickle anywhere.

A folder appears under its name only when it is complete: it is written beside, fsynced, renamed.
"""

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa
from scipy import sparse

from endcap import plugins
from endcap.models.base import Model, Spec
from endcap.models.inverted import Inverted
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import ArtefactError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
INVERTED: Final = ("centroids", "starts", "rows", "vectors", "bounds")


def save(model: Model, folder: Path, **facts: Any) -> None:
    """Write `model` to `folder`, which must not exist; `facts` go into the manifest."""
    with publishing(folder) as draft:
        values: dict[str, Any] = {}
        for f in fields(model):
            values[f.name] = _write(draft, f.name, getattr(model, f.name))
        write_manifest(draft, {"class": _name(type(model)), "fields": values, **facts})


def load(folder: Path) -> Model:
    """Read a model back, arrays memory-mapped.

    Raises
    ------
    ArtefactError
        When a file is missing, changed, of another format or of a class that is not a model.
    """
    manifest = read_manifest(folder)
    kind = _resolve(manifest["class"])
    values = {
        name: _read(folder, name, entry, manifest["files"])
        for name, entry in manifest["fields"].items()
    }
    try:
        model: Model = kind(**values)
    except TypeError as error:
        raise ArtefactError(f"{folder}: {error}.", hint="Train again with this version.") from error
    return model


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Yield a draft folder that becomes `folder` at once and durably when the block ends well."""
    if folder.exists():
        raise ArtefactError(f"{folder} exists already; model folders are never overwritten.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        for path in sorted(draft.rglob("*"), reverse=True):
            _fsync(path)
        _fsync(draft)
        draft.rename(folder)
        _fsync(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest last: it names the hash of every other file."""
    files = {
        str(p.relative_to(folder)): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()
    }
    text = json.dumps({"format": FORMAT, **content, "files": files}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """Read a manifest and (by default) check every file against its hash."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{folder} holds no readable {MANIFEST}: {error}.") from error
    if manifest.get("format") != FORMAT:
        raise ArtefactError(
            f"{folder} has format {manifest.get('format')!r}; this version reads {FORMAT}.",
            hint="Train again with this version.",
        )
    for name, digest in manifest["files"].items() if verify else ():
        path = folder / name
        if not path.is_file() or _sha256(path) != digest:
            raise ArtefactError(f"{path} is missing or damaged.", hint="Roll back or train again.")
    return manifest


def _write(folder: Path, name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        np.save(folder / f"{name}.npy", value, allow_pickle=False)
        return {"array": [str(value.dtype), list(value.shape)]}
    if isinstance(value, sparse.csr_array):
        for part in ("data", "indices", "indptr"):
            np.save(folder / f"{name}.{part}.npy", getattr(value, part), allow_pickle=False)
        return {"csr": list(value.shape)}
    if isinstance(value, Inverted):
        for part in INVERTED:
            np.save(folder / f"{name}.{part}.npy", getattr(value, part), allow_pickle=False)
        return {"inverted": value.probes}
    if isinstance(value, Vocabulary):
        table = pa.table({"id": value.array})
        with pa.ipc.new_file(folder / f"{name}.arrow", table.schema) as sink:
            sink.write_table(table)
        return {"vocabulary": len(value)}
    if isinstance(value, Spec):
        return {"spec": _name(type(value)), "settings": value.model_dump(mode="json")}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise ArtefactError(f"Field {name!r} of type {type(value).__name__} cannot be saved.")


def _read(folder: Path, name: str, entry: dict[str, Any], digests: Mapping[str, str]) -> Any:
    if "array" in entry:
        return _map(folder / f"{name}.npy")
    if "csr" in entry:
        parts = [_map(folder / f"{name}.{part}.npy") for part in ("data", "indices", "indptr")]
        matrix = sparse.csr_array(tuple(parts), shape=tuple(entry["csr"]), copy=False)
        matrix.has_sorted_indices = True
        return matrix
    if "inverted" in entry:
        arrays = {part: _map(folder / f"{name}.{part}.npy") for part in INVERTED}
        return Inverted(**arrays, probes=entry["inverted"])
    if "vocabulary" in entry:
        return _words(folder / f"{name}.arrow", digests[f"{name}.arrow"])
    if "spec" in entry:
        return _resolve(entry["spec"]).parse(entry["settings"], where=str(folder))
    return entry["value"]


_known: WeakValueDictionary[str, Vocabulary] = WeakValueDictionary()
"""Vocabularies in use, by the hash of their file: the models of an artefact share theirs."""


def _words(path: Path, digest: str) -> Vocabulary:
    words = _known.get(digest)
    if words is None:
        with pa.memory_map(str(path)) as source:
            ids = pa.ipc.open_file(source).read_all()["id"].combine_chunks()
        _known[digest] = words = Vocabulary.of_sorted(ids)
    return words


def _map(path: Path) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array if array.size else np.array(array)


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _resolve(name: str) -> Any:
    """Return the class, but only if it lives in a package that a registered plug-in lives in."""
    module, _, attribute = name.partition(":")
    known = plugins.modules("endcap.models")
    if module in known or module.rpartition(".")[0] in {m.rpartition(".")[0] for m in known} - {""}:
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ImportError:
            found = None
        if isinstance(found, type) and issubclass(found, Model | Spec):
            return found
    raise ArtefactError(f"{name!r} is no model of an installed plug-in.", hint="Is one missing?")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
