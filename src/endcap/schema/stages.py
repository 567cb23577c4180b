"""Where the stages of a request say that they begin and end, for whoever traces them.

Nobody does by default: then it costs a look at one variable. `endcap.serve.telemetry` is who may.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

Spans = Callable[[str], AbstractContextManager[object]]
"""Given the name of a stage, what surrounds it."""
_NOTHING: Final = nullcontext()
_spans: Spans | None = None


def stage(name: str) -> AbstractContextManager[object]:
    """Surround a stage: ``history``, ``retrieve``, ``rank``, ``compose`` or ``write``."""
    return _NOTHING if _spans is None else _spans(name)


def traced() -> bool:
    """Return whether anybody traces the stages of this process."""
    return _spans is not None


def trace_by(spans: Spans | None) -> None:
    """Have `spans` surround every stage of this process from now on; None ends it."""
    global _spans  # noqa: PLW0603 - one process, one tracer
    _spans = spans
