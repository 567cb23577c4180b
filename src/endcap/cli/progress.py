"""Show how far long work over bytes is: a bar on a terminal, else a line every ten seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from endcap.schema.progress import Progress, silent

EVERY_SECONDS: Final = 10.0


@contextmanager
def shown(what: str, *, stream: TextIO, wanted: bool | None = None) -> Iterator[Progress]:
    """Give a `Progress` that reports bytes on `stream`.

    Parameters
    ----------
    wanted
        False shows nothing; True and None show a bar on a terminal, else lines.
    """
    if wanted is False:
        yield silent
    elif stream.isatty():
        with _bar(stream) as bar:
            task = bar.add_task(what, total=None, note="")
            yield lambda done, total, note="": bar.update(
                task, completed=done, total=total, note=note
            )
    else:
        yield Lines(what, stream)


def _bar(stream: TextIO) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=stream),
        transient=True,
    )


class Lines:
    """Writes a line when ten seconds have passed since the last, for logs and pipes."""

    def __init__(self, what: str, stream: TextIO, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._what, self._stream, self._every = what, stream, every_seconds
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report once; see `Progress`."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        rate = done / (now - self._began)
        left = f", {(total - done) / rate:.0f} s left" if rate and total else ""
        share = f"{100 * done // total} %" if total else f"{done:,} bytes"
        self._stream.write(f"{self._what}: {share} ({rate / 1e6:.1f} MB/s{left}) {note}\n")
        self._stream.flush()
