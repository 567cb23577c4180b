"""What the places of the shop do, edited while it runs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from endcap.recommend.filters.suggest import suggest
from endcap.recommend.placing import Place, UneditedError
from endcap.recommend.recipe import Placement, Recipe
from endcap.recommend.slate import Request
from endcap.schema.errors import ConfigError, nearest
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.idempotency import remember
from endcap.serve.http.problems import ApiError
from endcap.serve.http.shapes import (
    PlacementHistory,
    PlacementList,
    PlacementOut,
    PlacementVersion,
    SuggestionOut,
    SuggestionsOut,
    SuggestQuery,
)


async def get_placements(call: Call) -> Answer:
    """Return every place."""
    places = await call.runtime.run(call.runtime.places.all, _recipe(call))
    return Answer(200, PlacementList([_out(place) for place in places.values()]))


async def get_placement(call: Call) -> Answer:
    """Return one place."""
    return Answer(200, await _one(call))


async def put_placement(call: Call) -> Answer:
    """Let a place do what the body says, from the next request on, in every worker."""
    values = msgspec.to_builtins(call.body)
    name, recipe = call.path("name"), _recipe(call)

    def work() -> object:
        columns = call.runtime.live.columns
        return call.runtime.places.write(name, values, recipe, columns, _expected(call))

    await _edited(call, work)
    await call.runtime.run(_try_out, call, name)
    return await remember(call, Answer(200, await _one(call)))


async def delete_placement(call: Call) -> Answer:
    """Take back what was edited."""
    name, recipe = call.path("name"), _recipe(call)
    places = call.runtime.places
    await _edited(call, lambda: places.delete(name, recipe, _expected(call)))
    known = await call.runtime.run(places.all, recipe)
    left = PlacementList([_out(place) for place in known.values() if place.name == name])
    return await remember(call, Answer(200, left))


async def get_suggestions(call: Call) -> Answer:
    """Answer what may follow in a condition or a boost, for an editor that completes."""
    query: SuggestQuery = call.query
    columns = call.runtime.live.columns
    start, found = await call.runtime.run(suggest, query.before, columns)
    told = [SuggestionOut(one.text, one.kind, one.about) for one in found]
    return Answer(200, SuggestionsOut(start, told), {"cache-control": "no-store"})


async def get_versions(call: Call) -> Answer:
    """Return the history of a place."""
    name = call.path("name")
    versions = await call.runtime.run(call.runtime.places.history, name)
    if not versions:
        await _one(call)  # 404 where there never was such a place
    told = [
        PlacementVersion(
            one.version,
            datetime.fromtimestamp(one.written / 1e6, UTC),
            None if one.body is None else json.loads(one.body),
        )
        for one in versions
    ]
    return Answer(200, PlacementHistory(name, told))


async def undo_placement(call: Call) -> Answer:
    """Write the version before the last one once more."""
    name, recipe = call.path("name"), _recipe(call)
    runtime = call.runtime
    await _edited(call, lambda: runtime.places.undo(name, recipe, runtime.live.columns))
    known = await runtime.run(runtime.places.all, recipe)
    left = PlacementList([_out(place) for place in known.values() if place.name == name])
    return await remember(call, Answer(200, left))


def _try_out(call: Call, name: str) -> None:
    """Answer once before anybody asks: what conditions and rules read is in memory then."""
    call.runtime.recommender.recommend([Request(placement=name)], call.runtime.live)


async def _edited(call: Call, work: Callable[[], object]) -> None:
    """Write; what cannot be meant is the request's fault, not the server's."""
    try:
        await call.runtime.write(work)
    except ConfigError as error:
        raise ApiError(422, "bad-placement", error.message, hint=error.hint) from error
    except UneditedError as error:
        raise ApiError(404, "never-edited", error.message, hint=error.hint) from error


def _expected(call: Call) -> int | None:
    version: int = call.query.version
    return None if version < 0 else version


async def _one(call: Call) -> PlacementOut:
    name = call.path("name")
    places = await call.runtime.run(call.runtime.places.all, _recipe(call))
    if name not in places:
        detail = f"There is no placement {name!r}."
        raise ApiError(404, "no-such-placement", detail, hint=nearest(name, places))
    return _out(places[name])


def _recipe(call: Call) -> Recipe:
    return call.runtime.recommender.current.recipe


def _out(place: Place) -> PlacementOut:
    return PlacementOut(place.name, place.origin, place.version, _plain(place.placement))


def _plain(placement: Placement) -> dict[str, Any]:
    plain: dict[str, Any] = placement.model_dump(mode="json", exclude_defaults=True)
    return plain
