"""Text files line by line: each undecodable line is one fault, and the rest goes on."""

import io
import re
from collections.abc import Iterator
from typing import Final

from endcap.events.reading.source import Piece, Source
from endcap.events.validate.faults import Fault

MAX_LINE: Final = 1 << 20
"""Characters that a line or record may have."""
_GIVE_UP: Final = 64 * MAX_LINE
_UNDECODED: Final = re.compile("[\ud800-\udfff]")


def open_text(source: Source, encoding: str = "") -> io.TextIOWrapper:
    """Return the text of a file; bytes that are no text become marks that `undecoded` finds."""
    codec = source.spoken = encoding or source.encoding
    errors = "replace" if codec.startswith("utf-16") else "surrogateescape"
    old_mac = b"\r" in source.head and b"\n" not in source.head
    return io.TextIOWrapper(
        source.open(), encoding=codec, errors=errors, newline=None if old_mac else "\n"
    )


def undecoded(text: str, encoding: str) -> bool:
    """Return whether some bytes of `text` were no text in `encoding`."""
    if text.isascii():
        return False
    if encoding.startswith("utf-16"):
        return "\ufffd" in text
    return _UNDECODED.search(text) is not None


def read_lines(source: Source, encoding: str = "") -> Iterator[Piece]:
    """Yield each line without its end; blank lines are left out."""
    codec = encoding or source.encoding
    number = 0
    with open_text(source, encoding) as stream:
        readline = stream.readline
        while line := readline(MAX_LINE + 2):
            number += 1
            text = line.rstrip("\r\n")
            if len(text) > MAX_LINE:
                ended = _skip(stream, line)
                what = "" if ended else "; the rest of the file was not read"
                detail = f"Line {number} has over {MAX_LINE} characters{what}."
                yield Piece(number, Fault("line-too-long", detail), text[:1000])
                if not ended:
                    break
            elif source.damage and text is line:
                break  # the last line is cut: told below
            elif not text.isascii() and undecoded(text, codec):
                yield Piece(number, Fault("bad-encoding", f"The line is no {codec} text."), text)
            elif text:
                yield Piece(number, text, text)
    yield from told_damage(source, number + (not line), line)


def read_text(source: Source, size: int, encoding: str = "") -> Iterator[str]:
    """Yield the text in pieces of `size` characters."""
    with open_text(source, encoding) as stream:
        while text := stream.read(size):
            yield text


def told_damage(source: Source, line: int, tail: str) -> Iterator[Piece]:
    """Yield the damage that ended the file early, if any, as one fault that names the place."""
    if source.damage:
        reason, detail, _ = source.damage
        yield Piece(
            line, Fault(reason, f"Line {line} of {detail}"), f"{source.path.name}:{line}: {tail}"
        )


def _skip(stream: io.TextIOWrapper, begin: str) -> bool:
    """Skip the rest of an overlong line; False when its end is not to be seen."""
    more, skipped = begin, len(begin)
    while more and not more.endswith("\n"):
        if skipped >= _GIVE_UP:
            return False
        more = stream.readline(MAX_LINE)
        skipped += len(more)
    return True
