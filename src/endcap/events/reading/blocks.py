"""Cut repeated blocks such as ``<item>…</item>`` out of a text that may be damaged between them."""

import re
from collections.abc import Iterator
from typing import Final

from endcap.events.reading.lines import MAX_LINE, read_text, told_damage, undecoded
from endcap.events.reading.source import Piece, Source
from endcap.events.validate.faults import Fault

_CHUNK: Final = 1 << 16


def read_blocks(source: Source, begin: str, end: str, *, encoding: str = "") -> Iterator[Piece]:
    """Yield the text of each block from a match of `begin` to the next match of `end`.

    A block that meets another beginning before its end, or the end of the file, is a fault.

    Parameters
    ----------
    begin, end
        Regular expressions of the opening and the closing tag.
    """
    opening, closing = re.compile(begin, re.IGNORECASE), re.compile(end, re.IGNORECASE)
    codec = encoding or source.encoding
    buffer, line, ended = "", 1, False
    chunks = read_text(source, _CHUNK, encoding)
    while not ended:
        chunk = next(chunks, "")
        ended, buffer = not chunk, buffer + chunk
        while start := opening.search(buffer):
            stop = closing.search(buffer, start.end())
            again = opening.search(buffer, start.end())
            if not stop and not again and not ended and len(buffer) - start.start() < MAX_LINE:
                break
            cut = again is not None and (stop is None or again.start() < stop.start())
            close = again.start() if cut and again else stop.end() if stop else len(buffer)
            line += buffer.count("\n", 0, start.start())
            raw = buffer[start.start() : close]
            line_after = line + raw.count("\n")
            whole = stop is not None and not cut
            yield Piece(line, _judge(raw, whole, ended and not again, codec), raw)
            buffer, line = buffer[close:], line_after
        else:
            keep = min(len(buffer), 256)  # a tag may be cut by the end of the chunk
            line += buffer.count("\n", 0, len(buffer) - keep)
            buffer = buffer[len(buffer) - keep :]
    yield from told_damage(source, line, "")


def _judge(raw: str, whole: bool, last: bool, codec: str) -> str | Fault:
    if not whole:
        reason = "truncated" if last else "bad-xml"
        return Fault(reason, "The record has no end.")
    if undecoded(raw, codec):
        return Fault("bad-encoding", f"The record is no {codec} text.")
    return raw
