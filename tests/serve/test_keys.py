"""Keys are shown once, kept as hashes, rotated without a gap, and end when they are revoked."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from served_shop import Served

from endcap.cli import app as cli
from endcap.schema.errors import DataError, RequestError
from endcap.serve.keys import FILE_NAME, KeyRing


def test_a_key_is_found_and_its_file_does_not_hold_it(tmp_path: Path) -> None:
    shown, key = KeyRing(tmp_path).create("secret", "backend")
    assert shown.startswith(f"sk_{key.id}_")
    assert KeyRing(tmp_path).find(shown) == key
    file = tmp_path / FILE_NAME
    assert shown not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: k + "x", lambda k: "pk" + k[2:]])
def test_anything_else_is_not_that_key(tmp_path: Path, change: Callable[[str], str]) -> None:
    ring = KeyRing(tmp_path)
    shown, _ = ring.create("secret")
    assert ring.find(change(shown)) is None
    for nothing in ("", "sk_", "sk__", "Schlüssel"):
        assert ring.find(nothing) is None


def test_two_live_at_once_and_another_process_revokes_one(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    old, old_key = ring.create("secret")
    new, new_key = ring.create("secret")
    assert (ring.find(old), ring.find(new)) == (old_key, new_key)
    KeyRing(tmp_path).revoke(old_key.id)
    assert (ring.find(old), ring.find(new)) == (None, new_key)
    with pytest.raises(RequestError, match="no key"):
        ring.revoke(old_key.id)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    shown, _ = KeyRing(tmp_path).create("secret")
    (tmp_path / FILE_NAME).write_text("[{")
    with pytest.raises(DataError, match="cannot be read"):
        KeyRing(tmp_path).find(shown)


def test_a_seal_stands_for_its_key_while_it_lives(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    _, key = ring.create("secret")
    _, other = ring.create("secret")
    token = ring.seal(key)
    assert ring.unseal(token) == key
    assert ring.unseal(token.replace(key.id, other.id)) is None
    for forged in ("", ".", "..", token[:-1], f"{key.id}.9999999999.{'0' * 64}", "ü.1.ü"):
        assert ring.unseal(forged) is None
    ring.revoke(key.id)
    assert ring.unseal(token) is None


def test_the_verb_makes_lists_and_revokes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--folder", str(tmp_path)]
    assert cli.run(["keys", "create", "--public", "--name", "web [shop]", *at]) == 0
    shown = capsys.readouterr().out.strip()
    key = KeyRing(tmp_path).find(shown)
    assert key is not None
    assert key.kind == "public"
    assert cli.run(["keys", "list", *at]) == 0
    told = capsys.readouterr().out
    assert key.id in told
    assert "web [shop]" in told
    assert shown not in told
    assert cli.run(["keys", "revoke", key.id[:-1], *at]) == 2
    assert key.id in capsys.readouterr().err
    assert cli.run(["keys", "revoke", key.id, *at]) == 0
    assert KeyRing(tmp_path).all() == []


def test_a_key_made_while_it_runs_is_asked_for_from_then_on(shop: Served, tmp_path: Path) -> None:
    assert shop.client.get("/v1/items").status_code == 200
    shown, key = KeyRing(tmp_path).create("secret")
    refused = shop.client.get("/v1/items")
    assert (refused.status_code, refused.json()["code"]) == (401, "no-key")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    bearer = {"authorization": f"Bearer {shown}"}
    assert shop.client.get("/v1/items", headers=bearer).status_code == 200
    KeyRing(tmp_path).revoke(key.id)
    KeyRing(tmp_path).create("secret")
    assert shop.client.get("/v1/items", headers=bearer).status_code == 401
