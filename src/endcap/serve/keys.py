"""API keys: shown once, kept as hashes, in one file of the shop's folder.

A key is ``pk_`` or ``sk_``, the id of the key (8 hex digits), ``_`` and 192 random bits. So many
bits need no slow hash: SHA-256 of the whole key is kept, and compared in constant time.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from endcap.schema.errors import ConfigError, DataError, RequestError, nearest

FILE_NAME: Final = "keys.json"
SESSION_SECONDS: Final = 12 * 3600
Kind = Literal["public", "secret"]
PREFIXES: Final[dict[Kind, str]] = {"public": "pk", "secret": "sk"}


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key.

    Attributes
    ----------
    id
        Its middle part, by which it is listed and revoked.
    kind
        ``public``: writes events and reads slates, for browsers; ``secret``: everything.
    name
        The owner's own words.
    created
        ISO 8601, UTC.
    digest
        SHA-256 of the key, hex.
    """

    id: str
    kind: Kind
    name: str
    created: str
    digest: str


class KeyRing:
    """The keys of a shop, as `create` and `revoke` of any process left them.

    Several keys of a kind may live at once: make the new one, hand it out, revoke the old one.

    Parameters
    ----------
    folder
        The shop's folder; the file in it is readable by its owner alone.

    Stability: caller.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """Return the living keys, oldest first.

        Raises
        ------
        DataError
            When the file is damaged: then nobody gets in, rather than everybody.
        """
        return list(self._current().values())

    def create(self, kind: Kind, name: str = "") -> tuple[str, Key]:
        """Return a new key, the only time it is seen, and what is kept of it."""
        key_id = secrets.token_hex(4)
        shown = f"{PREFIXES[kind]}_{key_id}_{secrets.token_urlsafe(24)}"
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        key = Key(key_id, kind, name, created, _digest(shown))
        with self._writing():
            self._write([*self.all(), key])
        return shown, key

    def revoke(self, key_id: str) -> Key:
        """End a key; the next request with it is refused.

        Raises
        ------
        RequestError
            When no living key has this id.
        """
        with self._writing():
            keys = self._current()
            if key_id not in keys:
                raise RequestError(f"There is no key {key_id!r}.", hint=nearest(key_id, keys))
            self._write([key for key in keys.values() if key.id != key_id])
        return keys[key_id]

    def find(self, shown: str) -> Key | None:
        """Return the living key that is `shown`, None where it is none."""
        key = self._current().get(shown.partition("_")[2].partition("_")[0])
        given = _digest(shown)  # hashed either way: an unknown id takes as long as a wrong key
        return key if key and hmac.compare_digest(given, key.digest) else None

    def seal(self, key: Key) -> str:
        """Return a token that stands for a key in a browser's cookie, for half a day."""
        said = f"{key.id}.{int(time.time()) + SESSION_SECONDS}"
        return f"{said}.{_signature(said, key)}"

    def unseal(self, token: str) -> Key | None:
        """Return the living key for which `token` stands; None where it is forged or too old."""
        said, _, signature = token.rpartition(".")
        key_id, _, until = said.partition(".")
        key = self._current().get(key_id)
        if key is None or not hmac.compare_digest(
            signature.encode(), _signature(said, key).encode()
        ):
            return None
        return key if int(until) > time.time() else None

    def _current(self) -> dict[str, Key]:
        """Return the keys by id, read again when the file has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return self._keys
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._seen:
            self._keys = {key.id: key for key in self._read()}
            self._seen = seen
        return self._keys

    def _read(self) -> list[Key]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Key])
        except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
            hint = "Restore it, or delete it and create new keys."
            raise DataError(
                f"The keys in {self._path} cannot be read: {error}.", hint=hint
            ) from error

    def _write(self, keys: list[Key]) -> None:
        """Replace the file as a whole, and be sure that it is on disk."""
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold other processes off while the file is read and replaced."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}.") from error


def _digest(shown: str) -> str:
    return hashlib.sha256(shown.encode()).hexdigest()


def _signature(said: str, key: Key) -> str:
    return hmac.new(key.digest.encode(), said.encode(), hashlib.sha256).hexdigest()
