"""Who acts: an account where it is known, else the browser."""

from collections.abc import Sequence

VISITOR_PREFIX = "visitor:"
PROBE = "endcap-probe"
"""The domain of what `endcap probe` writes, and how its visitors and items are called."""


def actor(user_id: str | None, visitor_id: str | None) -> str | None:
    """Return the id under which preferences are kept; None when there is nobody.

    A visitor's id is prefixed so that it can never meet an account of the same name.

    Examples
    --------
    >>> actor("7", "abc"), actor(None, "abc"), actor(None, None)
    ('7', 'visitor:abc', None)
    """
    if user_id:
        return user_id
    return VISITOR_PREFIX + visitor_id if visitor_id else None


def apart(people: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the users among some actors, and the visitors, as the shop calls them.

    Examples
    --------
    >>> apart(["7", "visitor:abc"])
    (['7'], ['abc'])
    """
    users = [who for who in people if not who.startswith(VISITOR_PREFIX)]
    visitors = [who for who in people if who.startswith(VISITOR_PREFIX)]
    return users, [who.removeprefix(VISITOR_PREFIX) for who in visitors]
