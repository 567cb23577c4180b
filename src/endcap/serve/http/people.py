"""Users, what they did, and which visitor is which user."""

from math import isnan

from endcap.events.validate.cells import NO_LIVE_PERSON, Id
from endcap.events.validate.faults import Refused
from endcap.events.validate.times import moment
from endcap.schema.actors import VISITOR_PREFIX, actor
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.idempotency import remember
from endcap.serve.http.problems import ApiError, Fault
from endcap.serve.http.receiving import keep_bad, receipt_answer, receive
from endcap.serve.http.shapes import AliasIn, ErasedOut, HistoryEvent, HistoryPage
from endcap.serve.intake import USER_ROWS

_person = Id(NO_LIVE_PERSON)


async def put_users(call: Call) -> Answer:
    """Insert or replace users."""
    runtime = call.runtime
    intake = await receive(call, USER_ROWS)
    await keep_bad(call, intake)
    stored = await runtime.write(runtime.store.catalogue.upsert_users, intake.rows)
    return await remember(call, receipt_answer(200, intake, stored))


async def post_alias(call: Call) -> Answer:
    """Say that a visitor is a user: what the visitor did is the user's from the next request on."""
    alias: AliasIn = call.body
    runtime = call.runtime
    for name in ("visitor_id", "user_id"):
        _check_person(name, getattr(alias, name))
    await runtime.write(runtime.store.alias, alias.visitor_id, alias.user_id)
    await runtime.write(runtime.live.alias_stored, alias.visitor_id, alias.user_id)
    return await remember(call, Answer(200, alias))


async def delete_user(call: Call) -> Answer:
    """Erase a user and the visitors that are this user; nobody remembers them from here on."""
    return await _erase(call, call.path("user_id"))


async def delete_visitor(call: Call) -> Answer:
    """Erase a visitor: what was done without an account."""
    return await _erase(call, VISITOR_PREFIX + call.path("visitor_id"))


async def _erase(call: Call, who: str) -> Answer:
    erased = await call.runtime.write(call.runtime.eraser.erase, who)
    return await remember(call, Answer(200, ErasedOut(**erased._asdict())))


async def get_history(call: Call) -> Answer:
    """Return what a user did, newest first; nothing for somebody unknown."""
    user_id = call.path("user_id")
    who = actor(user_id, None) or ""
    history = await call.runtime.run(call.runtime.live.history, who)
    rows = zip(history.item_ids, history.kinds, history.times, history.values, strict=True)
    newest = list(rows)[::-1][: call.query.limit]
    events = [
        HistoryEvent(item_id, kind, moment(int(time)), None if isnan(value) else float(value))
        for item_id, kind, time, value in newest
    ]
    return Answer(200, HistoryPage(user_id, events))


def _check_person(name: str, value: str) -> None:
    """Refuse ids under which strangers would become one giant user."""
    try:
        _person(value)
    except Refused as no:
        fault = Fault(no.detail, no.reason, field=name)
        raise ApiError(422, "invalid-request", f"{name}: {no.detail}", errors=[fault]) from no
