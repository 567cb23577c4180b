"""Guess the encoding of a file from its first bytes.

UTF-8 unless most lines with other than ASCII say otherwise, so that a few damaged lines never
turn a whole UTF-8 file into nonsense; then GB18030 or Windows-1252, told apart by whether high
bytes come in pairs.
"""

import codecs
import re
from typing import Final

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PAIR: Final = re.compile(rb"[\x81-\xfe][\xa1-\xfe]")
_HIGH: Final = re.compile(rb"[\x80-\xff]")


def detect(head: bytes) -> str:
    """Return the name of the codec that fits `head`.

    Examples
    --------
    >>> detect("价格,标题".encode("gb18030")), detect("prix,café".encode("cp1252"))
    ('gb18030', 'cp1252')
    """
    for bom, name in _BOMS:
        if head.startswith(bom) and (name == "utf-8-sig" or b"\0" in head):
            return name
    wide = _without_bom(head)
    if wide:
        return wide
    lines = [line for line in head.split(b"\n")[:-1] or [head] if not line.isascii()]
    good = sum(_decodes(line) for line in lines)
    if good * 2 >= len(lines):
        return "utf-8"
    text = b"\n".join(lines)
    paired = 2 * len(_PAIR.findall(text))
    return "gb18030" if paired * 2 >= len(_HIGH.findall(text)) else "cp1252"


def _without_bom(head: bytes) -> str:
    """Tell UTF-16 without a mark by its zero bytes, one in each pair for ASCII."""
    sample = head[: len(head) // 2 * 2][:4096]
    half = len(sample) // 2
    if half >= 4 and sample[1::2].count(0) > 0.4 * half and sample[::2].count(0) < 0.05 * half:
        return "utf-16-le"
    if half >= 4 and sample[::2].count(0) > 0.4 * half and sample[1::2].count(0) < 0.05 * half:
        return "utf-16-be"
    return ""


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
