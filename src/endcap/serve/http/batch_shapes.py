"""The types of several slates at once; see `endcap.serve.http.shapes`."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from endcap.serve.http.problems import Problem
from endcap.serve.http.shapes import SlateOut

MAX_BATCH: Final = 100


class BatchIn(Struct, forbid_unknown_fields=True):
    """Several slates at once; `timeout_ms` is one deadline for all of them."""

    requests: Annotated[
        list[Any],
        Meta(
            min_length=1,
            max_length=MAX_BATCH,
            description=f"1 to {MAX_BATCH}; a bad one is answered by a problem of its own.",
        ),
    ]
    timeout_ms: Annotated[
        int,
        Meta(ge=0, le=60_000, description="For all; 0: the longest that one of them would have."),
    ] = 0


class ResultOut(Struct, omit_defaults=True):
    """What became of one request of a batch: a slate, or a problem with its own `status`."""

    status: int
    slate: SlateOut | None = None
    problem: Problem | None = None


class BatchOut(Struct):
    """The answers, in the order of the requests."""

    results: list[ResultOut]
