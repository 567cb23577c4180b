"""Whom an item or a campaign is for, over HTTP: a page of users at a time."""

from typing import Final

from endcap.recommend.artefacts import Artefact
from endcap.recommend.places.audience import Member, members
from endcap.schema.errors import nearest
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.problems import ApiError
from endcap.serve.http.shapes import AudienceAsk, AudienceOut, MemberOut

NEVER_KEPT: Final = {"cache-control": "no-store"}


async def get_audience(call: Call) -> Answer:
    """Answer what the query string asks."""
    return await _audience(call, call.query)


async def post_audience(call: Call) -> Answer:
    """Answer what the body asks."""
    return await _audience(call, call.body)


async def _audience(call: Call, ask: AudienceAsk) -> Answer:
    """Ask some users; scoring everything for hundreds of them takes a while, so one at a time."""
    runtime = call.runtime
    if runtime.turns.survey.locked():
        raise ApiError(
            503,
            "overloaded",
            "Another audience is being asked for.",
            hint="Try again.",
            headers={"retry-after": "1"},
        )
    recommender = runtime.recommender.current
    artefact, places = recommender.loaded, recommender.placements
    if ask.placement not in places:
        detail = f"There is no placement {ask.placement!r}."
        raise ApiError(404, "no-such-placement", detail, hint=nearest(ask.placement, places))
    if artefact is None:
        return Answer(200, AudienceOut("", ask.placement, 0, 0, [], None), NEVER_KEPT)
    start = _start(ask.cursor, artefact)
    among = range(start, min(start + ask.limit, len(artefact.users)))
    async with runtime.turns.survey:
        found = await runtime.run(
            members, artefact, places[ask.placement], ask.items, runtime.live, among
        )
    return Answer(200, _page(artefact, ask, among, found), NEVER_KEPT)


def _page(artefact: Artefact, ask: AudienceAsk, among: range, found: list[Member]) -> AudienceOut:
    users = len(artefact.users)
    after = f"{artefact.id}/{among.stop}".encode().hex() if among.stop < users else None
    told = [MemberOut(member.user_id, member.item_id, member.score) for member in found]
    return AudienceOut(artefact.id, ask.placement, users, among.stop, told, after)


def _start(cursor: str, artefact: Artefact) -> int:
    """Return the row at which a page begins; rows of another artefact are other people."""
    if not cursor:
        return 0
    made_by, _, row = bytes.fromhex(cursor).decode(errors="replace").rpartition("/")
    if not (row.isascii() and row.isdigit()) or len(row) > 10:
        raise ApiError(422, "invalid-request", f"{cursor!r} is the cursor of no page.")
    if made_by != artefact.id:
        detail = "A new model took over since the first page."
        raise ApiError(409, "conflict", detail, hint="Begin again, without a cursor.")
    return min(int(row), len(artefact.users))
