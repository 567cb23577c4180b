"""How long tests with a long form are: short in ``make test``, long in ``make torture``."""

import os

ROUNDS = int(os.environ.get("ENDCAP_TORTURE_ROUNDS", "5"))


def sized(short: int, long: int) -> int:
    """Return `short` here, `long` with ``ROUNDS=50``, and what lies between them between."""
    return max(short, round(short + (long - short) * (ROUNDS - 5) / 45))
