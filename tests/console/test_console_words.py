"""Both languages say the same things, and the pages use nothing that is not said."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

import endcap.serve.console
from endcap.serve.console.i18n import COOKIE, LANGUAGES, Words, choose, messages

HOME = Path(endcap.serve.console.__file__).parent
PLACEHOLDER = re.compile(r"\{(\w+)\}")
CALL = re.compile(r"\bt(?:\.count|\.html|\.known)?\(\s*'([\w.]+)'\s*(~)?")


def asked(header: str = "", cookie: str = "", query: str = "") -> str:
    headers = [(b"accept-language", header.encode("latin-1", "replace"))]
    headers += [(b"cookie", f"{COOKIE}={cookie}".encode())] if cookie else []
    scope = {"type": "http", "headers": headers, "query_string": query.encode()}
    return choose(Request(scope))


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    english, chinese = messages("en"), messages("zh")
    singular = {key for key in english if key.endswith(".one")}  # Chinese has no plural
    assert set(english) - singular == set(chinese)
    for key, text in chinese.items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(english[key])), key
        assert text.strip() == text
        assert text


def test_chinese_is_chinese() -> None:
    for key, text in messages("zh").items():
        assert re.search(r"[\u4e00-\u9fff]", text) or PLACEHOLDER.search(text), key


def test_templates_ask_only_for_what_is_there() -> None:
    known, used = set(messages("en")), set()
    for path in (HOME / "templates").glob("*.html"):
        for key, joined in CALL.findall(path.read_text(encoding="utf-8")):
            hits = {k for k in known if k.startswith(key)} if joined else {key}
            if key in {"items", "events", "visits"} or f"{key}.other" in known:
                hits = {f"{key}.one", f"{key}.other"} & known
            assert hits <= known, (path.name, key)
            assert hits, (path.name, key)
            used |= hits
    code = "".join(p.read_text(encoding="utf-8") for p in HOME.glob("*.py"))
    templates = "".join(p.read_text(encoding="utf-8") for p in (HOME / "templates").iterdir())
    unused = {k for k in known - used if f'"{k}"' not in code and f"'{k}'" not in templates}
    assert unused == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-Hans-CN,en;q=0.9", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("fr-FR", "en"),
        ("fr, zh;q=0.1", "zh"),
        ("en;q=0.2, zh;q=0.3", "zh"),
        ("zh;q=nonsense, en", "en"),
        ("zh;q=0", "en"),
    ],
)
def test_accept_language(header: str, language: str) -> None:
    assert asked(header) == language


def test_precedence_is_query_then_cookie_then_header() -> None:
    assert asked("en", cookie="zh") == "zh"
    assert asked("en", cookie="zh", query="lang=en") == "en"
    assert asked("zh", cookie="xx", query="lang=yy") == "zh"


@given(st.text(max_size=60))
def test_any_header_gives_a_language(header: str) -> None:
    assert asked(header) in LANGUAGES


def test_values_are_escaped_only_in_html() -> None:
    words = Words("en")
    told = words.html("strip.stored", who="<i>", kind="bought", title="&")
    assert told == "<b>&lt;i&gt;</b> bought <b>&amp;</b>"
    assert words("like.title", title="{0} <x>") == "More like {0} <x>"
    assert words.count("events", 1) == "1 event"
    assert words.count("events", 12345) == "12,345 events"
    assert Words("zh").count("events", 1) == "1 个事件"
    assert words.known("kind.teleport", "teleport") == "teleport"


def test_days_are_written_as_the_language_writes_them() -> None:
    micros = 1_322_137_800_000_000  # 2011-11-24 12:30 UTC
    assert Words("en").date(micros) == "24 Nov 2011"
    assert Words("zh").date(micros, clock=True) == "2011年11月24日 12:30"
