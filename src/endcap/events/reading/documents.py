"""JSON Lines, JSON arrays and JSON objects that hold lists, of any length, in bounded memory."""

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import msgspec

from endcap.events.reading.lines import MAX_LINE, read_lines, read_text, told_damage, undecoded
from endcap.events.reading.source import Piece, Source
from endcap.events.validate.faults import Fault

_CHUNK: Final = 1 << 16
_SPACE: Final = " \t\r\n\ufeff"


def read_json(
    source: Source,
    *,
    lists: Collection[str] = (),
    accept: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> Iterator[Piece]:
    """Yield each object of a file.

    Parameters
    ----------
    lists
        Keys of a document's top level whose lists hold the records; `Piece.key` names the list.
    accept
        Whether an object is a record; where the text is damaged, reading resumes at the next.
    """
    if _is_lines(source, lists):
        yield from _lines(source)
    else:
        yield from _Scanner(source, lists, accept).pieces()


def _is_lines(source: Source, lists: Collection[str]) -> bool:
    text = source.first_text.lstrip(_SPACE)
    first, _, rest = text.partition("\n")
    if not text.startswith("{"):
        return not text.startswith("[") and "{" in text and not rest.lstrip(_SPACE).startswith("[")
    key, colon, _ = text[1:1024].partition(":")
    if colon and key.strip(_SPACE).strip('"') in lists:
        return False
    if rest.lstrip(_SPACE).startswith("{"):
        return True
    try:
        tree = msgspec.json.decode(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict)


def _lines(source: Source) -> Iterator[Piece]:
    decode = msgspec.json.Decoder().decode
    for line, content, raw, _ in read_lines(source):
        if type(content) is Fault:
            yield Piece(line, content, raw)
            continue
        try:
            tree = decode(content)
        except (ValueError, RecursionError) as error:
            yield Piece(line, Fault("bad-json", f"The line is no JSON: {error}."), raw)
            continue
        if isinstance(tree, dict):
            yield Piece(line, tree, raw)
        elif content.strip():
            yield Piece(line, Fault("bad-record", "The line is no JSON object."), raw)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


_decode: Final = json.JSONDecoder(parse_constant=_refuse).raw_decode


class _Scanner:
    """Takes one value after the other from the text, and finds its way back after damage."""

    def __init__(
        self, source: Source, lists: Collection[str], accept: Callable[[dict[str, Any]], bool]
    ) -> None:
        self.source, self.lists, self.accept = source, lists, accept
        self.chunks = read_text(source, _CHUNK)
        self.buffer, self.pos, self.line, self.key = "", 0, 1, ""

    def pieces(self) -> Iterator[Piece]:
        """Yield records and faults to the end of the text."""
        while mark := self._peek():
            if mark in ",[]}":
                self._take(1)
            elif mark == '"' and self._enter_list():
                continue
            elif mark == "{" and self._is_wrapper():
                self._take(1)
            else:
                yield self._record()
        yield from told_damage(self.source, self.line, "")

    def _more(self) -> bool:
        chunk = next(self.chunks, "")
        self.buffer, self.pos = self.buffer[self.pos :] + chunk, 0
        return bool(chunk)

    def _peek(self) -> str:
        """Skip white space; return the next character, empty at the end."""
        while True:
            rest = self.buffer[self.pos : self.pos + 256]
            stripped = rest.lstrip(_SPACE)
            self._take(len(rest) - len(stripped))
            if stripped:
                return stripped[0]
            if self.pos >= len(self.buffer) and not self._more():
                return ""

    def _take(self, size: int) -> str:
        text = self.buffer[self.pos : self.pos + size]
        self.line += text.count("\n")
        self.pos += size
        return text

    def _is_wrapper(self) -> bool:
        """Return whether the object at hand holds one of the lists at its top level."""
        while len(self.buffer) - self.pos < 1024 and self._more():
            pass
        after = self.buffer[self.pos + 1 : self.pos + 1024].lstrip(_SPACE)
        key, colon, _ = after.partition(":")
        return bool(colon) and key.strip(_SPACE).strip('"') in self.lists

    def _enter_list(self) -> bool:
        """Step over ``"key": [`` or ``"key": value``; False when it is neither."""
        value, end = self._value_at(self.pos)
        rest = self.buffer[end:].lstrip(_SPACE) if isinstance(value, str) else ""
        if not rest.startswith(":"):
            return False
        self._take(len(self.buffer) - self.pos - len(rest) + 1)
        self.key = value
        if self._peek() != "[":
            _, end = self._value_at(self.pos)
            self._take(max(end - self.pos, 1))
        return True

    def _value_at(self, start: int) -> tuple[Any, int]:
        """Return the value that starts at `start` and its end; a `Fault` when there is none."""
        offset = start - self.pos
        while True:
            start = self.pos + offset
            try:
                return _decode(self.buffer, start)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self.buffer) - 16 or error.msg.startswith("Unterminated")
                why = f"{error.msg} at line {self.line}"
            except (ValueError, RecursionError) as error:
                cut, why = False, str(error)
            if not (cut and len(self.buffer) - start <= MAX_LINE and self._more()):
                return Fault("bad-json", f"No JSON: {why}."), start

    def _record(self) -> Piece:
        line = self.line
        value, end = self._value_at(self.pos)
        if isinstance(value, dict):
            raw = self._take(end - self.pos)
            if undecoded(raw, self.source.encoding):
                what = f"The record is no {self.source.encoding} text."
                return Piece(line, Fault("bad-encoding", what), raw, self.key)
            return Piece(line, value, raw, self.key)
        ended = self._skip_damage()
        raw = ended[0].strip(_SPACE + ",")
        if type(value) is not Fault:
            value = Fault("bad-record", "This is no JSON object.")
        elif ended[1]:
            value = Fault(
                "truncated", f"The record at line {line} is cut off by the end of the file."
            )
        return Piece(line, value, raw, self.key)

    def _skip_damage(self) -> tuple[str, bool]:
        """Go to the next acceptable object; return what was skipped and whether it was all."""
        probe = 1
        while True:
            found = self.buffer.find("{", self.pos + probe)
            if found < 0:
                probe = max(len(self.buffer) - self.pos, 1)
                if probe > MAX_LINE or not self._more():
                    ended = probe <= MAX_LINE
                    return self._take(len(self.buffer) - self.pos), ended
                continue
            probe = found - self.pos
            value, _ = self._value_at(found)
            if isinstance(value, dict) and self.accept(value):
                return self._take(probe), False
            probe += 1
