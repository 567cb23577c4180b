"""Who acts: an account where it is known, else the browser."""

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
