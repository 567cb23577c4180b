"""Names that nobody else has."""

import os
import re

from endcap.schema.tokens import dated_token, token


def test_names_differ_and_have_their_length() -> None:
    names = [token(), *(dated_token() for _ in range(2000)), *(token(12) for _ in range(2000))]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[0-9a-f]{24}", name) for name in names[1:])
    assert re.fullmatch("[0-9a-f]{16}", names[0])


def test_dated_names_follow_the_clock() -> None:
    moments = [name[:11] for name in (dated_token() for _ in range(200))]
    assert moments == sorted(moments)


def test_a_fork_draws_names_of_its_own() -> None:
    token()  # both would go on with what is left of this draw
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - another process
        os.write(theirs, token().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(ours, 100).decode() != token()
    os.close(ours)
    os.close(theirs)
