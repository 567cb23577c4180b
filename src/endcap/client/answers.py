"""What the server answers, typed; fields that a newer server adds are passed over."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from endcap.schema.errors import EndcapError


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: `index` is the row's position in what was sent, from 0."""

    message: str
    code: str
    field: str | None = None
    index: int | None = None
    event_id: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What became of the rows: received = stored + duplicate + rejected + quarantined."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    quarantined: int = 0
    errors: tuple[Fault, ...] = ()

    def __add__(self, later: "Receipt") -> "Receipt":
        moved = tuple(
            msgspec.structs.replace(fault, index=fault.index + self.received)
            if fault.index is not None
            else fault
            for fault in later.errors
        )
        return Receipt(
            self.received + later.received,
            self.stored + later.stored,
            self.duplicate + later.duplicate,
            self.rejected + later.rejected,
            self.quarantined + later.quarantined,
            self.errors + moved,
        )


class Step(msgspec.Struct, frozen=True):
    """One step of a path: to an item, or to what is no item (`name`)."""

    relation: str
    inverse: bool = False
    name: str = ""
    item_id: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why an item is here: `share` is its part of what speaks for it, `loss` what the score would
    lose without it; None where nobody can say. `path` leads from the past item to this one.
    """

    kind: str
    item_id: str | None = None
    share: float | None = None
    event: str = ""
    loss: float | None = None
    path: tuple[Step, ...] = ()


class Counterfactual(msgspec.Struct, frozen=True):
    """Where an item would stand had the shopper not met `without`.

    `rank_without` is None where it is not among the first `among`; `why` says it in words.
    """

    without: str
    event: str = ""
    rank_without: int | None = None
    among: int = 0
    why: str = ""


class Expected(msgspec.Struct, frozen=True):
    """What showing an item, or a slate, is expected to bring; None where nobody can tell."""

    click: float | None = None
    purchase: float | None = None
    revenue: float | None = None
    profit: float | None = None
    value: float | None = None


class SlateItem(msgspec.Struct, frozen=True):
    """One item on the shelf; `why` says its reasons in words.

    `source` is the model that says most, `rule` the rule that put it in its place, where one did;
    `explored` says that exploration did. `counterfactual`, `expected` and `propensity` are there
    where ``explain="counterfactual"`` was asked for.
    """

    item_id: str
    rank: int
    score: float | None = None
    source: str = ""
    why: str = ""
    reasons: tuple[Reason, ...] = ()
    properties: dict[str, Any] = {}
    rule: str = ""
    counterfactual: Counterfactual | None = None
    expected: Expected | None = None
    explored: bool = False
    propensity: float | None = None


class Rule(msgspec.Struct, frozen=True):
    """What a rule of the placement did; prices where `prices` was asked for."""

    name: str
    met: bool
    relaxed: str = ""
    moved: int | None = None
    price: float | None = None


class Slate(msgspec.Struct, frozen=True):
    """An answer, which names its own quality (`served_by`, `degraded`, `reason`)."""

    request_id: str
    placement: str
    served_by: str
    artefact: str
    generated_at: datetime
    degraded: bool
    reason: str
    items: tuple[SlateItem, ...] = ()
    answered_as: str = ""
    rules: tuple[Rule, ...] = ()
    cost: float | None = None
    objective: dict[str, float] = {}
    expected: Expected | None = None

    @property
    def item_ids(self) -> list[str]:
        """The ids in order."""
        return [item.item_id for item in self.items]


class Group(msgspec.Struct, frozen=True):
    """A category, brand or other group; `share` is its part of the shopper's attention."""

    value: str
    share: float
    item_ids: tuple[str, ...] = ()


class Member(msgspec.Struct, frozen=True):
    """A user, and the item of a campaign that is most for them; `score` is 1 at their best."""

    user_id: str
    item_id: str
    score: float


class Place(msgspec.Struct, frozen=True):
    """What a place of the shop does: as the ``recipe`` has it, or ``edited`` since."""

    name: str
    origin: str
    version: int
    placement: dict[str, Any] = {}


class Replayed(msgspec.Struct, frozen=True):
    """A past slate, made again as it was.

    `identical` says whether it is the same in every bit; where not, `gone` says why, and `slate` is
    None where it could not be made at all. `answered` holds the items that were answered then.
    """

    request_id: str
    identical: bool
    gone: tuple[str, ...] = ()
    request: dict[str, Any] = {}
    answered: tuple[str, ...] = ()
    slate: "Slate | None" = None


class HistoryEvent(msgspec.Struct, frozen=True):
    """One thing a user did."""

    item_id: str
    kind: str
    time: datetime
    value: float | None = None


class Refused(EndcapError):
    """The server refused a request, or could not be reached after every attempt.

    Attributes
    ----------
    status
        HTTP status, 0 when there was no answer.
    problem
        The stable code of the problem, such as ``"invalid-request"`` or ``"unreachable"``.
    request_id
        Under which the server's log knows of it.
    errors
        Which fields or rows are wrong.
    """

    code: ClassVar[str] = "refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        problem: str,
        hint: str = "",
        request_id: str = "",
        errors: tuple[Fault, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.problem, self.request_id, self.errors = (
            status,
            problem,
            request_id,
            errors,
        )
