"""The types of the API's bodies and query strings; the OpenAPI document is made of them."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from endcap.events.validate.cells import NO_LIVE_PERSON
from endcap.recommend.filters.lexer import MAX_BYTES
from endcap.recommend.recipe import NAME
from endcap.serve.http.problems import Fault

MAX_K: Final = 500
MAX_LIST: Final = 1000
MAX_QUERY_LIST: Final = 50
FILTER: Final = "Only such items: price < 50 and brand not in user.bought.brand and stock > 0."
BOOST: Final = "A factor for scores: 1 + 0.2 * (margin > 0.3)."

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Person = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        description="An account or a browser; placeholders such as 'null' are refused.",
        extra_json_schema={"not": {"enum": sorted(NO_LIVE_PERSON)}},
    ),
]
Count = Annotated[int, Meta(ge=0)]
Timeout = Annotated[
    int, Meta(ge=0, le=60_000, description="Later, the catalogue answers; 0: as the server is set.")
]
Language = Annotated[
    Literal["auto", "en", "zh"], Meta(description="Of `why`; auto follows Accept-Language.")
]
Condition = Annotated[
    str,
    Meta(max_length=MAX_BYTES, description=FILTER, extra_json_schema={"format": "endcap-filter"}),
]
Factor = Annotated[
    str,
    Meta(max_length=MAX_BYTES, description=BOOST, extra_json_schema={"format": "endcap-boost"}),
]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="Where the shopper is, degrees north.")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")]
Rows = Annotated[list[Any], Meta(description="At most 1,000; more are answered with 413.")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIST)]
Cursor = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]


class Event(Struct, omit_defaults=True):
    """Something that happened; beyond these fields, anything goes into `properties`."""

    kind: Annotated[str, Meta(description="view, click, cart, purchase, rating, …")]
    event_id: Annotated[str, Meta(description="Idempotency key: the same id is stored once.")] = ""
    time: Annotated[str | None, Meta(description="ISO 8601; now where it is missing.")] = None
    sent_at: Annotated[str | None, Meta(description="When it was sent, by the same clock.")] = None
    user_id: str | None = None
    visitor_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    variant_id: str | None = None
    value: Annotated[float | None, Meta(description="Stars of a rating, seconds of a play.")] = None
    quantity: int | None = None
    price: Annotated[float | str | None, Meta(description="Of one unit.")] = None
    currency: str | None = None
    order_id: str | None = None
    query: str | None = None
    placement: str | None = None
    request_id: Annotated[str | None, Meta(description="Of the slate that led here.")] = None
    position: int | None = None
    consent: str | None = None
    domain: str | None = None
    properties: dict[str, Any] | None = None


class EventsIn(Struct, forbid_unknown_fields=True):
    """Up to 1,000 events; `sent_at` is for those that do not say it themselves."""

    events: Rows
    sent_at: str | int | float | None = None


class KeyQuery(Struct, forbid_unknown_fields=True):
    """A public key, from a page that is being closed and can send no header."""

    key: Annotated[str, Meta(description="pk_…; better in the header.", max_length=128)] = ""


class ReceiptOut(Struct):
    """What became of each row: received = stored + duplicate + rejected + quarantined.

    It is sent after the rows are safely on disk.
    """

    received: Count
    stored: Count
    duplicate: Count
    rejected: Count
    quarantined: Count
    errors: list[Fault] = []


class Item(Struct, omit_defaults=True):
    """One row of the catalogue; unknown fields go into `attributes`."""

    item_id: Id
    group_id: str | None = None
    domain: str | None = None
    title: str | None = None
    description: str | None = None
    categories: list[str] | None = None
    brand: str | None = None
    price: float | str | None = None
    sale_price: float | str | None = None
    cost: float | str | None = None
    currency: str | None = None
    availability: Literal["in_stock", "out_of_stock", "preorder", "backorder"] | None = None
    stock: int | None = None
    image: str | None = None
    url: str | None = None
    attributes: dict[str, Any] | None = None
    relations: dict[str, Any] | None = None
    created: str | None = None
    expires: str | None = None


class ItemsIn(Struct, forbid_unknown_fields=True):
    """Items to insert or replace."""

    items: Rows


class ItemPage(Struct):
    """Items by id; `next` is the cursor of the following page, null on the last one."""

    items: list[Item]
    next: str | None


class User(Struct, omit_defaults=True):
    """An account."""

    user_id: Id
    attributes: dict[str, Any] | None = None
    consent: str | None = None


class UsersIn(Struct, forbid_unknown_fields=True):
    """Users to insert or replace."""

    users: Rows


class Deleted(Struct):
    """How many rows there were to delete."""

    deleted: Count


class ErasedOut(Struct):
    """How many rows about somebody were removed."""

    events: Count
    slates: Count
    users: Count
    aliases: Count
    quarantined: Count
    answers: Count


class HistoryEvent(Struct):
    """One thing a user did."""

    item_id: str
    kind: str
    time: datetime
    value: float | None


class HistoryPage(Struct):
    """What a user did, newest first."""

    user_id: str
    events: list[HistoryEvent]


class AliasIn(Struct, forbid_unknown_fields=True):
    """This visitor is this user."""

    visitor_id: Person
    user_id: Person


class PageQuery(Struct, forbid_unknown_fields=True):
    """Which page."""

    limit: Limit = 100
    cursor: Cursor = ""


class HistoryQuery(Struct, forbid_unknown_fields=True):
    """How much of a history."""

    limit: Limit = 100


class LevelIn(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One step of the chain: models by weight, or the shopper's own past."""

    name: Annotated[str, Meta(pattern=NAME, description="Slates say it in `served_by`.")]
    evidence: Literal["history", "session", "context", "cart", "order", "none"] = "history"
    weights: dict[str, Annotated[float, Meta(gt=0)]] = {}
    past: dict[str, Any] | None = None
    filter: Condition = ""
    boost: Factor = ""
    candidates: Annotated[int, Meta(ge=1)] = 200
    ranked: bool = False
    live: Annotated[float, Meta(ge=0, lt=0.5)] = 0.1
    live_trending: Annotated[float, Meta(ge=0, lt=0.5)] = 0.1


class PlacementIn(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a place of the shop does: the table `[placements.NAME]` of a recipe."""

    levels: Annotated[list[LevelIn], Meta(min_length=1, description="The chain, the best first.")]
    hide: Annotated[dict[str, Any], Meta(description="kinds, days: not shown again.")] = {}
    filter: Condition = ""
    boost: Factor = ""
    rules: Annotated[
        dict[str, Any], Meta(description="pins, quotas, exclude, fatigue, diversity, …")
    ] = {}
    fill: Annotated[bool, Meta(description="Whether the catalogue fills what is missing.")] = True
    variants: Annotated[
        Literal["each", "one"], Meta(description="one: a single variant of each product.")
    ] = "each"
    closed: Annotated[
        dict[str, Any] | None, Meta(description="Which place answers once the need is met.")
    ] = None


class PlacementOut(Struct):
    """A place of the shop; `version` is 0 where nobody ever edited it."""

    name: str
    origin: Literal["recipe", "edited"]
    version: Count
    placement: dict[str, Any]


class PlacementList(Struct):
    """Every place of the shop."""

    placements: list[PlacementOut]


class PlacementVersion(Struct):
    """A version of a place; `placement` is null where it was deleted."""

    version: Count
    written: datetime
    placement: dict[str, Any] | None


class PlacementHistory(Struct):
    """Every version of a place, newest first."""

    name: str
    versions: list[PlacementVersion]


class EditQuery(Struct, forbid_unknown_fields=True):
    """Upon which version; without it, whatever is there is overwritten."""

    version: Annotated[
        int, Meta(ge=-1, description="Only upon this version, else 409; -1: whatever is there.")
    ] = -1


Explain = Annotated[
    Literal["", "counterfactual"],
    Meta(description="counterfactual: where each of the first 20 would stand without its reason."),
]


class SimilarQuery(Struct, forbid_unknown_fields=True):
    """How many similar items, and for whom they are logged as shown."""

    k: Annotated[int, Meta(ge=1, le=MAX_K)] = 10
    user_id: Id | None = None
    visitor_id: Id | None = None
    lat: Latitude | UnsetType = UNSET
    lon: Longitude | UnsetType = UNSET
    timeout_ms: Timeout = 0
    lang: Language = "auto"
    explain: Explain = ""


class Ask(Struct, forbid_unknown_fields=True):
    """What to show this shopper in this place now; both ids may be missing."""

    user_id: Id | None = None
    visitor_id: Id | None = None
    placement: Id = "home"
    k: Annotated[int, Meta(ge=1, le=MAX_K)] = 10
    context_items: Annotated[list[Id], Meta(max_length=100)] = []
    exclude: Annotated[list[Id], Meta(max_length=MAX_LIST)] = []
    rank: Annotated[
        list[Id],
        Meta(max_length=MAX_K, description="Only these, in the best order; k counts from them."),
    ] = []
    filter: Condition = ""
    boost: Factor = ""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    prices: Annotated[
        bool, Meta(description="Say what each rule costs: takes a slate more for each.")
    ] = False
    lat: Latitude | UnsetType | None = UNSET
    lon: Longitude | UnsetType | None = UNSET
    timeout_ms: Timeout = 0
    lang: Language = "auto"
    explain: Explain = ""


class AskQuery(Ask):
    """The same in a query string, which holds shorter lists."""

    context_items: Annotated[list[Id], Meta(max_length=MAX_QUERY_LIST)] = []
    exclude: Annotated[list[Id], Meta(max_length=MAX_QUERY_LIST)] = []
    rank: Annotated[list[Id], Meta(max_length=MAX_QUERY_LIST)] = []
    lat: Latitude | UnsetType = UNSET
    lon: Longitude | UnsetType = UNSET


class GroupsQuery(Struct, forbid_unknown_fields=True):
    """Which groups for whom."""

    by: Annotated[
        str,
        Meta(
            max_length=256,
            description="brand, categories or attributes.NAME.",
            extra_json_schema={"format": "endcap-field"},
        ),
    ] = "categories"
    level: Annotated[
        int, Meta(ge=0, le=20, description="Parts of a category path; 0: all of it.")
    ] = 0
    user_id: Id | None = None
    visitor_id: Id | None = None
    placement: Id = "home"
    k: Annotated[int, Meta(ge=1, le=MAX_K)] = 10
    filter: Condition = ""
    lat: Latitude | UnsetType = UNSET
    lon: Longitude | UnsetType = UNSET


class AudienceAsk(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom some items are for; `limit` users are asked, the next ones with `cursor`."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=MAX_LIST)]
    placement: Id = "home"
    limit: Limit = 500
    cursor: Cursor = ""


class AudienceQuery(AudienceAsk, kw_only=True):
    """The same in a query string, which holds a shorter list."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=MAX_QUERY_LIST)]


class MemberOut(Struct):
    """A user, and the item of the campaign that is most for them.

    `score` is what it is worth to the user beside their best: 1 where it is their best.
    """

    user_id: str
    item_id: str
    score: float


class AudienceOut(Struct):
    """Those among the users of this page for whom something is, best first.

    `asked` of `users` have been asked by the end of it; `next` is the cursor of the next page,
    null on the last one. `artefact` is empty, and so is the page, where no model was trained yet.
    """

    artefact: str
    placement: str
    users: Count
    asked: Count
    members: list[MemberOut]
    next: str | None


class SuggestQuery(Struct, forbid_unknown_fields=True):
    """What stands before the cursor of whoever writes a condition or a boost."""

    before: Annotated[str, Meta(max_length=4096)] = ""


class SuggestionOut(Struct):
    """One way to go on: `text` takes the place of what was begun."""

    text: str
    kind: Literal["field", "scope", "function", "value", "operator"]
    about: str


class SuggestionsOut(Struct):
    """What may follow; what begins at `start` is to be replaced."""

    start: Count
    suggestions: list[SuggestionOut]


class GroupOut(Struct):
    """A category, brand or other group; `share` is its part of the shopper's attention."""

    value: str
    share: float
    item_ids: list[str]


class GroupsOut(Struct):
    """The groups that are most for a shopper, best first."""

    by: str
    placement: str
    groups: list[GroupOut]


class StepOut(Struct):
    """One step of a path through the catalogue, by a relation or over `people` who took both.

    It reaches an item (`item_id`) or what is no item (`name`); `inverse` where it is the reached
    item that names the other.
    """

    relation: str
    inverse: bool
    name: str
    item_id: str | None


class ReasonOut(Struct):
    """Why an item is here: `share` is its part of what speaks for it, `loss` what the score would
    lose without it (0.62: it would be 62 % lower); null where nobody can say. `path` leads from the
    past item to this one, where the knowledge graph of the catalogue brought it.
    """

    kind: str
    item_id: str | None
    share: float | None
    event: str
    loss: float | None
    path: list[StepOut] = []


class CounterfactualOut(Struct):
    """Where an item would stand had the shopper not met `without`.

    `rank_without` is null where it is not among the first `among`; `why` says it in words.
    """

    without: str
    event: str
    rank_without: int | None
    among: int
    why: str


class ExpectedOut(Struct):
    """What showing an item, or a slate, is expected to bring, and its sum under the objective.

    `click` and `purchase` are chances (of a slate: how many are expected), `revenue` and `profit`
    money in the currency of the catalogue; null where nothing was there to learn from.
    """

    click: float | None
    purchase: float | None
    revenue: float | None
    profit: float | None
    value: float | None


class SlateItemOut(Struct):
    """One item on the shelf; `why` says its reasons in words.

    `source` is the model that says most, `rule` the rule that put it in its place, where one did;
    `explored` says that exploration did. `expected`, where the place has an objective, and
    `propensity`, the chance of standing here, are told where `explain` was asked for.
    """

    item_id: str
    rank: int
    score: float | None
    source: str
    why: str
    reasons: list[ReasonOut]
    properties: dict[str, Any]
    rule: str = ""
    counterfactual: CounterfactualOut | None = None
    expected: ExpectedOut | None = None
    explored: bool = False
    propensity: float | None = None


class RuleOut(Struct):
    """What a rule of the placement did.

    `relaxed` says what was made of it where it could not be met. `price` is the share of expected
    relevance that it costs, `moved` how many items it changed; null unless `prices` was asked for.
    """

    name: str
    met: bool
    relaxed: str
    moved: int | None
    price: float | None


class SlateOut(Struct):
    """The answer, which names its own quality (`served_by`, `degraded`, `reason`)."""

    request_id: str
    placement: str
    served_by: str
    artefact: str
    generated_at: datetime
    degraded: bool
    reason: str
    items: list[SlateItemOut]
    answered_as: Annotated[
        str, Meta(description="The placement that answered, where it is another one.")
    ] = ""
    rules: list[RuleOut] = []
    cost: Annotated[
        float | None, Meta(description="Share of relevance that all rules cost together.")
    ] = None
    objective: Annotated[
        dict[str, float], Meta(description="The weights by which the slate was ordered.")
    ] = {}
    expected: ExpectedOut | None = None


class ReplayQuery(Struct, forbid_unknown_fields=True):
    """In which language reasons are said."""

    lang: Language = "auto"


class ReplayOut(Struct):
    """A past slate, made again with that moment's models, placements and state of the world.

    `identical` says whether it is the same in every bit; where not, `gone` says why, and `slate` is
    null where it could not be made at all. `answered` holds the items that were answered then.
    """

    request_id: str
    identical: bool
    gone: list[str]
    request: dict[str, Any]
    answered: list[str]
    slate: SlateOut | None


class Live(Struct):
    """The process runs."""

    status: Literal["ok"]


class CheckResult(Struct, omit_defaults=True):
    """One thing that was looked at."""

    ok: bool
    detail: str = ""


class Ready(Struct):
    """Whether to send requests here; each check by name."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, CheckResult]


class Version(Struct):
    """What runs."""

    version: str
    artefact: str
