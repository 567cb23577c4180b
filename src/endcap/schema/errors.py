"""Every error Endcap raises on purpose, drawn once.

EndcapError
├── ConfigError      a setting is unknown or impossible      exit 2   HTTP 400
├── DataError        input that cannot be read or used       exit 3   HTTP 422
├── StoreError       a store refused or failed               exit 1   HTTP 503
│   ├── StoreFullError      no space left                    exit 1   HTTP 507
│   ├── StoreReadOnlyError  an fsync failed; restart needed  exit 1   HTTP 503
│   └── BusyError           queue full, try again            exit 1   HTTP 429
├── ConflictError    somebody else changed it meanwhile      exit 1   HTTP 409
├── ArtefactError    a model folder is missing or damaged    exit 1   HTTP 503
│   └── WorseError          far worse than what serves       exit 3   HTTP 503
├── PluginError      no such plug-in, or it cannot load      exit 2   HTTP 400
└── RequestError     a request that cannot be understood     exit 2   HTTP 422

Unknown users and items are not errors: they are answered.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class EndcapError(Exception):
    """Root of the tree.

    Parameters
    ----------
    message
        What went wrong, naming the value.
    hint
        What to do next, in one sentence; empty when there is nothing to add.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(EndcapError):
    """A setting is unknown, misspelt or impossible."""

    code, exit_code, http_status = "config", 2, 400


class DataError(EndcapError):
    """Input that cannot be read or used."""

    code, exit_code, http_status = "data", 3, 422


class StoreError(EndcapError):
    """A store refused or failed."""

    code, exit_code, http_status = "store", 1, 503


class StoreFullError(StoreError):
    """No space is left; nothing of the batch was stored, and writing heals when space returns."""

    code, http_status = "store-full", 507


class StoreReadOnlyError(StoreError):
    """An fsync failed, so the store refuses writes until it is reopened and checked."""

    code = "store-read-only"


class BusyError(StoreError):
    """The queue is full: nothing of the batch was stored; try again after ``retry_after`` s."""

    code, http_status = "busy", 429

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ConflictError(EndcapError):
    """Somebody else changed it since it was read; nothing was changed."""

    code, http_status = "conflict", 409


class ArtefactError(EndcapError):
    """A model folder is missing, damaged or of another version."""

    code, http_status = "artefact", 503


class WorseError(ArtefactError):
    """New models are far worse than those that serve; they do not take over."""

    code, exit_code = "worse", 3


class PluginError(EndcapError):
    """No plug-in of that name, or it cannot be loaded."""

    code, exit_code, http_status = "plugin", 2, 400


class RequestError(EndcapError):
    """A request that cannot be understood."""

    code, exit_code, http_status = "request", 2, 422


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names what is nearest to `name` among `known`.

    Examples
    --------
    >>> nearest("purchse", ["view", "purchase"])
    "Did you mean 'purchase'?"
    >>> nearest("xyz", ["view", "purchase"])
    'Known: purchase, view.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."
