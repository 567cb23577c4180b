"""Past slates over HTTP."""

from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.problems import ApiError
from endcap.serve.http.recommendations import language_of, shown
from endcap.serve.http.shapes import ReplayOut


async def get_slate(call: Call) -> Answer:
    """Make a past slate again, with that moment's models, placements and state of the world."""
    runtime = call.runtime
    name = call.path("request_id")
    await runtime.run(runtime.answered.flush)
    if await runtime.run(runtime.store.slates.get, name) is None:
        hint = "serve.replay_days says for how long slates are kept."
        raise ApiError(404, "no-such-slate", f"No slate {name!r} is kept.", hint=hint)
    return Answer(200, await runtime.run(_replayed, call, name))


def _replayed(call: Call, name: str) -> ReplayOut:
    found = call.runtime.replayer.replay(name)
    slate = None
    if found.slate is not None:
        slate = shown(found.slate, found.facts, language_of(call, call.query.lang))
    asked = found.request.model_dump(mode="json", exclude_defaults=True)
    return ReplayOut(name, found.identical, list(found.gone), asked, list(found.answered), slate)
