"""Every operation of the API."""

from typing import Any, Final

from endcap.serve.http import (
    audiences,
    batches,
    catalogue,
    events,
    health,
    people,
    placements,
    recommendations,
    slates,
)
from endcap.serve.http.batch_shapes import BatchIn, BatchOut
from endcap.serve.http.operation import Operation
from endcap.serve.http.shapes import (
    AliasIn,
    Ask,
    AskQuery,
    AudienceAsk,
    AudienceOut,
    AudienceQuery,
    Deleted,
    EditQuery,
    ErasedOut,
    EventsIn,
    GroupsOut,
    GroupsQuery,
    HistoryPage,
    HistoryQuery,
    Item,
    ItemPage,
    ItemsIn,
    KeyQuery,
    Live,
    PageQuery,
    PlacementHistory,
    PlacementIn,
    PlacementList,
    PlacementOut,
    Ready,
    ReceiptOut,
    ReplayOut,
    ReplayQuery,
    SimilarQuery,
    SlateOut,
    SuggestionsOut,
    SuggestQuery,
    User,
    UsersIn,
    Version,
)
from endcap.serve.http.shapes import Event as EventIn

BODY: Final = (400, 408, 413, 415)
WRITE: Final = (409, 429, 503, 507)

VIEW: Final[dict[str, Any]] = {
    "event_id": "5f0c1c2e",
    "kind": "view",
    "time": "2026-11-24T14:00:00Z",
    "visitor_id": "v-81",
    "item_id": "22423",
}
PURCHASE: Final[dict[str, Any]] = {
    "event_id": "5f0c1c2f",
    "kind": "purchase",
    "time": "2026-11-24T14:05:00Z",
    "user_id": "12347",
    "item_id": "22423",
    "quantity": 2,
    "price": "12.75",
    "currency": "GBP",
    "order_id": "537626",
}
CAKESTAND: Final[dict[str, Any]] = {
    "item_id": "22423",
    "title": "Regency cakestand 3 tier",
    "categories": ["Home > Kitchen"],
    "price": "12.75",
    "currency": "GBP",
    "availability": "in_stock",
}

OPERATIONS: Final = (
    Operation(
        "POST", "/v1/events", "postEvent", "events",
        "Store one event; the answer comes after it is safely on disk.",
        events.post_event, "public", {202: ReceiptOut}, query=KeyQuery,
        body=EventIn, row=EventIn, writes=True, crowds=True, errors=BODY + WRITE,
        examples={"view": VIEW, "purchase": PURCHASE},
    ),
    Operation(
        "POST", "/v1/events/batch", "postEvents", "events",
        "Store up to 1,000 events; a bad one never sinks the others.",
        events.post_events, "public", {202: ReceiptOut}, query=KeyQuery,
        body=EventsIn, row=EventIn, writes=True, crowds=True, errors=BODY + WRITE,
        examples={"two events": {"events": [VIEW, PURCHASE]}},
    ),
    Operation(
        "GET", "/v1/recommendations", "getRecommendations", "recommendations",
        "Recommend to a shopper, known or not.",
        recommendations.get_recommendations, "public", {200: SlateOut}, query=AskQuery,
        errors=(503,),
    ),
    Operation(
        "POST", "/v1/recommendations", "postRecommendations", "recommendations",
        "Recommend, with the question in the body.",
        recommendations.post_recommendations, "public", {200: SlateOut}, body=Ask,
        errors=(*BODY, 503),
        examples={"a guest with a cart": {"visitor_id": "v-81", "context_items": ["22423"]}},
    ),
    Operation(
        "POST", "/v1/recommendations/batch", "postRecommendationsBatch", "recommendations",
        "Recommend up to 100 times at once; a bad request never sinks the others.",
        batches.post_batch, "public", {200: BatchOut}, body=BatchIn, row=Ask,
        errors=(*BODY, 503),
        examples={"two shelves of a page": {"requests": [
            {"visitor_id": "v-81"}, {"visitor_id": "v-81", "context_items": ["22423"], "k": 4},
        ]}},
    ),
    Operation(
        "GET", "/v1/items/{item_id:id}/similar", "getSimilarItems", "recommendations",
        "What goes with an item.",
        recommendations.get_similar, "public", {200: SlateOut}, query=SimilarQuery,
        errors=(503,),
    ),
    Operation(
        "GET", "/v1/groups", "getGroups", "recommendations",
        "Categories, brands or other groups for a shopper.",
        recommendations.get_groups, "public", {200: GroupsOut}, query=GroupsQuery,
        errors=(503,),
    ),
    Operation(
        "GET", "/v1/audience", "getAudience", "recommendations",
        "Whom an item or a campaign is for, a page of users at a time.",
        audiences.get_audience, "secret", {200: AudienceOut}, query=AudienceQuery,
        errors=(404, 409, 503),
    ),
    Operation(
        "POST", "/v1/audience", "postAudience", "recommendations",
        "The same, with the question in the body.",
        audiences.post_audience, "secret", {200: AudienceOut}, body=AudienceAsk,
        errors=(*BODY, 404, 409, 503), examples={"a campaign": {"items": ["22423", "22697"]}},
    ),
    Operation(
        "GET", "/v1/slates/{request_id}", "getSlate", "recommendations",
        "A past slate, made again as it was.",
        slates.get_slate, "secret", {200: ReplayOut}, query=ReplayQuery, errors=(404, 503),
    ),
    Operation(
        "PUT", "/v1/items", "putItems", "catalogue", "Insert or replace up to 1,000 items.",
        catalogue.put_items, "secret", {200: ReceiptOut}, body=ItemsIn, row=Item, writes=True,
        errors=BODY + WRITE, examples={"one item": {"items": [CAKESTAND]}},
    ),
    Operation(
        "PATCH", "/v1/items", "patchItems", "catalogue",
        "Change only the fields given of up to 1,000 items that are there.",
        catalogue.patch_items, "secret", {200: ReceiptOut}, body=ItemsIn, row=Item, writes=True,
        errors=BODY + WRITE,
        examples={"price and stock": {"items": [{"item_id": "22423", "price": 11, "stock": 0}]}},
    ),
    Operation(
        "POST", "/v1/items", "postItems", "catalogue", "The same as PUT, for clients without it.",
        catalogue.put_items, "secret", {200: ReceiptOut}, body=ItemsIn, row=Item, writes=True,
        errors=BODY + WRITE, examples={"one item": {"items": [CAKESTAND]}},
    ),
    Operation(
        "GET", "/v1/items", "getItems", "catalogue", "The catalogue, page by page.",
        catalogue.get_items, "secret", {200: ItemPage}, query=PageQuery,
    ),
    Operation(
        "GET", "/v1/items/{item_id:id}", "getItem", "catalogue", "One item.",
        catalogue.get_item, "secret", {200: Item}, errors=(404,),
    ),
    Operation(
        "DELETE", "/v1/items/{item_id:id}", "deleteItem", "catalogue",
        "Remove an item; it is not shown from the next request on.",
        catalogue.delete_item, "secret", {200: Deleted}, writes=True, errors=WRITE,
    ),
    Operation(
        "GET", "/v1/placements", "getPlacements", "placements", "Every place of the shop.",
        placements.get_placements, "secret", {200: PlacementList}, errors=(503,),
    ),
    Operation(
        "GET", "/v1/placements/{name}", "getPlacement", "placements", "What one place does.",
        placements.get_placement, "secret", {200: PlacementOut}, errors=(404, 503),
    ),
    Operation(
        "PUT", "/v1/placements/{name}", "putPlacement", "placements",
        "Let a place do something else, from the next request on.",
        placements.put_placement, "secret", {200: PlacementOut}, query=EditQuery,
        body=PlacementIn, writes=True, errors=BODY + WRITE,
        examples={"what sells, one of each brand": {
            "levels": [{"name": "popular", "evidence": "none", "weights": {"popular": 1.0}}],
            "rules": {"quotas": [{"by": "brand", "max": 1}]},
        }},
    ),
    Operation(
        "DELETE", "/v1/placements/{name}", "deletePlacement", "placements",
        "Take back what was edited: the recipe's own answers again.",
        placements.delete_placement, "secret", {200: PlacementList}, query=EditQuery,
        writes=True, errors=(404, *WRITE),
    ),
    Operation(
        "GET", "/v1/placements/{name}/versions", "getPlacementVersions", "placements",
        "Every version of a place, newest first.",
        placements.get_versions, "secret", {200: PlacementHistory}, errors=(404, 503),
    ),
    Operation(
        "POST", "/v1/placements/{name}/undo", "undoPlacement", "placements",
        "Bring back the version before the last one.",
        placements.undo_placement, "secret", {200: PlacementList}, writes=True,
        errors=(404, *WRITE),
    ),
    Operation(
        "GET", "/v1/filters/suggestions", "getFilterSuggestions", "placements",
        "What may follow in a condition or a boost.",
        placements.get_suggestions, "secret", {200: SuggestionsOut}, query=SuggestQuery,
    ),
    Operation(
        "PUT", "/v1/users", "putUsers", "users", "Insert or replace up to 1,000 users.",
        people.put_users, "secret", {200: ReceiptOut}, body=UsersIn, row=User, writes=True,
        errors=BODY + WRITE,
        examples={"one user": {"users": [{"user_id": "12347", "attributes": {"tier": "gold"}}]}},
    ),
    Operation(
        "GET", "/v1/users/{user_id:id}/history", "getUserHistory", "users",
        "What a user did, newest first.",
        people.get_history, "secret", {200: HistoryPage}, query=HistoryQuery,
    ),
    Operation(
        "DELETE", "/v1/users/{user_id:id}", "deleteUser", "users",
        "Erase a user and the visitors that are this user, everywhere and at once.",
        people.delete_user, "secret", {200: ErasedOut}, writes=True, errors=WRITE,
    ),
    Operation(
        "DELETE", "/v1/visitors/{visitor_id:id}", "deleteVisitor", "users",
        "Erase a visitor, everywhere and at once.",
        people.delete_visitor, "secret", {200: ErasedOut}, writes=True, errors=WRITE,
    ),
    Operation(
        "POST", "/v1/alias", "postAlias", "users",
        "This visitor is this user: their events become the user's.",
        people.post_alias, "secret", {200: AliasIn}, body=AliasIn, writes=True, errors=BODY + WRITE,
        examples={"sign-in": {"visitor_id": "v-81", "user_id": "12347"}},
    ),
    Operation(
        "GET", "/livez", "livez", "operation", "Does the process run?",
        health.livez, "anybody", {200: Live},
    ),
    Operation(
        "GET", "/readyz", "readyz", "operation", "Should it be sent requests?",
        health.readyz, "anybody", {200: Ready, 503: Ready},
    ),
    Operation(
        "GET", "/healthz", "healthz", "operation", "The same as /readyz.",
        health.readyz, "anybody", {200: Ready, 503: Ready},
    ),
    Operation(
        "GET", "/version", "version", "operation", "What runs?",
        health.version, "anybody", {200: Version},
    ),
    Operation(
        "GET", "/metrics", "metrics", "operation", "All metrics, for Prometheus.",
        health.metrics, "secret", {200: str}, media_type="text/plain",
    ),
)  # fmt: skip
