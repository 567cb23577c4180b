"""Where the shopper is, for conditions and factors that ask it."""

from typing import Final

from endcap.recommend.filters.spot import NOWHERE, Spot
from endcap.recommend.recipe import Placement
from endcap.recommend.slate import Request

OF_ACCOUNT: Final = ("user.lat", "user.lon")


def asks_account(placement: Placement, request: Request) -> bool:
    """Return whether it may matter where the account of who asks says they are.

    It does not where anybody may ask for them.
    """
    if not request.vouched:
        return False
    texts = [request.filter, request.boost, *placement.expressions()]
    return any(name in text for text in texts if text for name in OF_ACCOUNT)


def here(request: Request, account: Spot = NOWHERE) -> dict[str, float]:
    """Return the numbers of `filters.kinds.HERE` that are known."""
    said = {"context.lat": request.lat, "context.lon": request.lon}
    known = {name: degrees for name, degrees in said.items() if degrees is not None}
    return known if account is NOWHERE else known | dict(zip(OF_ACCOUNT, account, strict=True))
