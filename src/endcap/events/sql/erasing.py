"""Everything that a store holds of some people, gone in one transaction."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from endcap.events.sql.backend import Database, Session
from endcap.events.sql.tables import DONE, EVENT_TABLE, SHOWN
from endcap.events.store import Erased
from endcap.schema.actors import apart

PERSONAL: Final = ("user", "visitor", "client", "customer", "anonymous", "person")
"""A field whose name holds one of these names somebody, in whatever dialect it came."""


def erase(database: Database, people: Sequence[str]) -> Erased:
    """Remove people and return what was removed; once more removes what came meanwhile.

    Parameters
    ----------
    people
        Actors, as `schema.actors` makes them: a user and the visitors that are this user.
    """
    users, visitors = apart(people)

    def work(session: Session) -> Erased:
        remove = _remover(database, session)
        return Erased(
            events=_blank_last(database, session, people) + _events(database, session, people),
            slates=remove("slates", "actor", people),
            users=remove("users", "user_id", users),
            aliases=remove("aliases", "user_id", users) + remove("aliases", "visitor_id", visitors),
            quarantined=remove("quarantine", "seq", _quarantined(session, [*users, *visitors])),
            answers=remove("answers", "key", _answers(database, session, [*users, *visitors])),
        )

    def wiping(session: Session) -> Erased:
        for statement in database.dialect.wipe:
            session.execute(statement)
        try:
            return work(session)
        finally:
            for statement in database.dialect.unwipe:
                session.execute(statement)

    return database.committer.submit(wiping, 1).result()  # type: ignore[no-any-return]


def _remover(
    database: Database, session: Session
) -> Callable[[str, str, Sequence[str] | Sequence[int]], int]:
    def remove(table: str, key: str, ids: Sequence[str] | Sequence[int]) -> int:
        if not ids:
            return 0
        if isinstance(ids[0], int):
            numbers = [session.execute(f"DELETE FROM {table} WHERE {key} = ?", (i,)) for i in ids]
            return sum(cursor.rowcount for cursor in numbers)
        among, bound = database.dialect.among(key, [str(i) for i in ids])
        return session.execute(f"DELETE FROM {table} {among}", bound).rowcount

    return remove


def _events(database: Database, session: Session, people: Sequence[str]) -> int:
    """Remove events, each half of the log by its own index."""
    among, bound = database.dialect.among("actor", people)
    gone = [session.execute(f"DELETE FROM events {among} AND {h}", bound) for h in (DONE, SHOWN)]
    return sum(cursor.rowcount for cursor in gone)


def _blank_last(database: Database, session: Session, people: Sequence[str]) -> int:
    """Leave of the event stored last its place alone; return whether it was about these people.

    A database may give the highest position again once its row is gone, and whoever reads on from
    there would miss what comes next.
    """
    kept = {"seq", "event_id", "kind", "time", "received"}
    blank = ", ".join(f'"{c.name}" = NULL' for c in EVENT_TABLE.columns if c.name not in kept)
    among, bound = database.dialect.among("actor", people)
    return session.execute(
        f"UPDATE events SET event_id = 'erased-' || seq, kind = 'erased', {blank} "
        f"{among} AND seq = (SELECT max(seq) FROM events)",
        bound,
    ).rowcount


def _quarantined(session: Session, ids: Sequence[str]) -> list[int]:
    """Return the rows of the quarantine that name somebody."""
    found: set[int] = set()
    for spelt in {spelling for name in ids for spelling in _spellings(name)}:
        sql = "SELECT seq, payload FROM quarantine WHERE replace(payload, ?, '') <> payload"
        rows = session.execute(sql, (spelt,)).fetchall()
        found |= {seq for seq, payload in rows if names(payload, set(ids))}
    return sorted(found)


def _answers(database: Database, session: Session, ids: Sequence[str]) -> list[str]:
    """Return the idempotency keys whose answers name somebody."""
    found: set[str] = set()
    for spelt in {spelling for name in ids for spelling in _spellings(name)}:
        sql = f"SELECT key, answer FROM answers WHERE {database.dialect.holds.format('answer')}"
        rows = session.execute(sql, (spelt.encode(),)).fetchall()
        told = ((key, bytes(answer).decode(errors="replace")) for key, answer in rows)
        found |= {key for key, answer in told if names(answer, set(ids))}
    return sorted(found)


def _spellings(name: str) -> Iterator[str]:
    """Yield how an id stands in plain text and in JSON, with and without ASCII alone."""
    yield name
    for ascii_alone in (False, True):
        yield json.dumps(name, ensure_ascii=ascii_alone)[1:-1]


def names(text: str, ids: set[str]) -> bool:
    """Return whether a text names one of some people.

    JSON does where a field for people holds the id; another text where the id stands in it as a
    word: better a row too many than a person who is still there.
    """
    try:
        told = json.loads(text)
    except ValueError:
        told = text
    if isinstance(told, dict | list):
        return any(value in ids for value in _persons(told, named=False))
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in ids)


def _persons(told: Any, *, named: bool) -> Iterable[str]:
    """Yield every value under a field for people, as text."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from _persons(value, named=named or any(w in key.lower() for w in PERSONAL))
    elif isinstance(told, list):
        for value in told:
            yield from _persons(value, named=named)
    elif named:
        yield str(told)
