"""A file about to be read: its first bytes, its encoding, and how far reading has come."""

import io
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from endcap.events.reading.encodings import detect
from endcap.events.validate.faults import Fault
from endcap.schema.errors import DataError

HEAD_BYTES: Final = 1 << 18
MAX_RATIO: Final = 100
"""A compressed file may grow this many times; anything more is a bomb, not a log."""
_FREE_BYTES: Final = 1 << 22
_STEP: Final = 1 << 14
_GZIP: Final = b"\x1f\x8b"


class Cells(NamedTuple):
    """The raw form of a row of named cells; a dict only where somebody looks."""

    names: Sequence[str]
    values: Sequence[Any]

    def plain(self) -> dict[str, Any]:
        """Return the cells by name."""
        return dict(zip(self.names, self.values, strict=True))


class Piece(NamedTuple):
    """One record as it was found.

    Attributes
    ----------
    line
        1-based line or record number.
    content
        The record, or the `Fault` that kept it from being read.
    raw
        What stood there, for the quarantine.
    key
        The list of a JSON document that it stands in; else empty.
    """

    line: int
    content: Any
    raw: Any
    key: str = ""


Rename = Callable[[Sequence[str]], Sequence[str]]
"""Gives the columns of a table other names, in the same order."""


class Source:
    """A file to be read from the start, once or more often.

    Parameters
    ----------
    path
        A file, plain or gzip-compressed.

    Attributes
    ----------
    size
        Bytes on disk.
    consumed
        Bytes on disk that the last reader has taken in.
    spoken
        The encoding that the last reader of text used; empty when there was none.
    damage
        What the last reader met that ended the file early; None when it came to the end.

    Raises
    ------
    DataError
        When it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.consumed = 0
        self.spoken = ""
        self.damage: Fault | None = None
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                self.zipped = file.read(2) == _GZIP
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error

    @property
    def name(self) -> str:
        """The file's name without ``.gz``, in lower case."""
        return self.path.name.lower().removesuffix(".gz")

    @cached_property
    def head(self) -> bytes:
        """The first 256 KB, decompressed."""
        with self.open() as stream:
            return stream.read(HEAD_BYTES)

    @property
    def is_parquet(self) -> bool:
        """Whether this is a Parquet file, by its first bytes or its name."""
        return self.head.startswith(b"PAR1") or self.name.endswith(".parquet")

    @cached_property
    def encoding(self) -> str:
        """The encoding that the first 256 KB speak for."""
        return detect(self.head)

    @cached_property
    def first_text(self) -> str:
        """The first 256 KB as text; what cannot be decoded is replaced."""
        return self.head.decode(self.encoding, "replace")

    @cached_property
    def first_line(self) -> str:
        """The first line that is not blank."""
        text = self.first_text.lstrip("\ufeff \t\r\n")
        return text[: next((i for i in map(text.find, "\n\r") if i >= 0), None)].rstrip("\r")

    def open(self) -> io.BufferedReader:
        """Return the decompressed bytes; damage ends them and is told in `damage`."""
        self.consumed, self.damage = 0, None
        return io.BufferedReader(_Bytes(self), 1 << 16)


class _Bytes(io.RawIOBase):
    """Counts what is read; inflates gzip, keeping everything before a break."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file = source.path.open("rb", buffering=0)
        self._inflate = zlib.decompressobj(wbits=31) if source.zipped else None
        self._waiting = b""
        self._made = 0
        self._fresh = False  # between two members of a gzip file

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer)) if self._inflate is None else self._unzip(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size) or b""
        except OSError as error:
            return self._stop("damaged", f"the disk refuses to read on: {error.strerror}")
        self._source.consumed += len(data)
        return data

    def _unzip(self, size: int) -> bytes:
        while self._source.damage is None and self._inflate is not None:
            if not self._waiting:
                self._waiting = self._read(size)
                if not self._waiting:
                    return self._end_of_file()
            self._fresh = False
            before = self._inflate.copy()
            try:
                data = self._inflate.decompress(self._waiting, min(size, _STEP))
            except zlib.error as error:
                self._stop("damaged", f"the compressed data is damaged ({error})")
                return _salvage(before, self._waiting)
            self._waiting = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._next_member()
            self._made += len(data)
            if self._made > _FREE_BYTES and self._made > MAX_RATIO * self._source.consumed:
                return self._stop("bomb", f"it grows more than {MAX_RATIO} times")
            if data:
                return data
        return b""

    def _next_member(self) -> None:
        """Go on with what follows: gzip files may be concatenated, or padded with zeros."""
        assert self._inflate is not None
        self._waiting = self._inflate.unused_data.lstrip(b"\0")
        self._inflate = zlib.decompressobj(wbits=31)
        self._fresh = True

    def _end_of_file(self) -> bytes:
        finished = self._fresh and not self._source.damage
        return (
            b"" if finished else self._stop("truncated", "the compressed data ends in the middle")
        )

    def _stop(self, reason: str, why: str) -> bytes:
        self._source.damage = Fault(
            reason, f"{self._source.path.name}: {why}; what came before was read."
        )
        return b""


def _salvage(inflate: Any, data: bytes) -> bytes:
    """Return what can be inflated before the break, byte by byte."""
    out = bytearray()
    try:
        while len(out) < _STEP and (byte := inflate.decompress(data, 1)):
            out += byte
            data = inflate.unconsumed_tail
    except zlib.error:
        pass  # this is the break
    return bytes(out)
