"""Rate limits in answers: headers that say how much is left, and 429 where nothing is."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.types import Scope

from endcap.schema.actors import actor
from endcap.serve.http.calls import Call
from endcap.serve.http.problems import ApiError
from endcap.serve.intake import Intake
from endcap.serve.rates import MINUTE, Verdict

STATE = "rates"
"""Where a request's verdicts wait for the gate, which writes the headers."""


def heed(scope: Scope, verdict: Verdict | None) -> None:
    """Note a verdict, and refuse the request where it says so.

    Raises
    ------
    ApiError
        429.
    """
    if verdict is None:
        return
    scope["state"].setdefault(STATE, []).append(verdict)
    if not verdict.ok:
        who = {"key": "This key", "actor": "This shopper"}[verdict.name]
        raise ApiError(
            429,
            "rate-limited",
            f"{who} may make {verdict.quota} requests a minute.",
            hint="Wait as long as Retry-After says; nothing of this request was stored.",
            headers={"retry-after": str(verdict.seconds)},
        )


def headers(verdicts: list[Verdict]) -> dict[str, str]:
    """Return the header fields of draft-ietf-httpapi-ratelimit-headers (from -08 on).

    Each limit is told once: of several shoppers' in a batch, that of who has least left.
    """
    least: dict[str, Verdict] = {}
    for verdict in verdicts:
        before = least.get(verdict.name)
        if before is None or verdict.remaining <= before.remaining:
            least[verdict.name] = verdict
    verdicts = list(least.values())
    return {
        "ratelimit-policy": ", ".join(f'"{v.name}";q={v.quota};w={MINUTE}' for v in verdicts),
        "ratelimit": ", ".join(f'"{v.name}";r={v.remaining};t={v.seconds}' for v in verdicts),
    }


def is_public(call: Call) -> bool:
    """Return whether a request came with a browser's key."""
    return getattr(call.request.state, "key_kind", "") == "public"


def limit_asker(call: Call, ask: Any) -> None:
    """Count a request of a shopper's browser; raises `ApiError` 429."""
    who = actor(getattr(ask, "user_id", None), getattr(ask, "visitor_id", None))
    if who and is_public(call):
        heed(call.request.scope, call.runtime.rates.actor(who))


def limit_askers(call: Call, asks: int) -> None:
    """Count what a batch asks as if each came alone; raises `ApiError` 429."""
    key = getattr(call.request.state, "key", None)
    if key and asks > 1:  # the lock has counted one
        heed(call.request.scope, call.runtime.rates.key(key, asks - 1))


def limit_doer(call: Call) -> Callable[[str | None, str | None], None]:
    """Return what counts an event of a shopper (user, visitor); it raises `ApiError` 429."""

    def admit(user: str | None, visitor: str | None) -> None:
        heed(call.request.scope, call.runtime.rates.actor(actor(user, visitor) or ""))

    return admit if is_public(call) else _anybody


def _anybody(user: str | None, visitor: str | None) -> None:
    """Let in whoever it is: a shop's own server speaks for many."""


def limit_doers(call: Call, intake: Intake) -> None:
    """Count the events of each shopper that a browser sends; raises `ApiError` 429."""
    if not is_public(call) or not intake.rows.num_rows:
        return
    users, visitors = (intake.rows[name].to_pylist() for name in ("user_id", "visitor_id"))
    doers = Counter(actor(u, v) or "" for u, v in zip(users, visitors, strict=True))
    for who, count in doers.items():
        heed(call.request.scope, call.runtime.rates.actor(who, count))
