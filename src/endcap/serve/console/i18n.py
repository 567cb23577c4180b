"""The console's words in English and Chinese."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request

from endcap.recommend.sentences import Language

LANGUAGES: Final[dict[Language, str]] = {"en": "English", "zh": "中文"}
COOKIE: Final = "endcap_lang"
DEFAULT: Final[Language] = "en"


@cache
def messages(language: Language) -> Mapping[str, str]:
    """Return key -> text with ``{placeholders}`` for one of `LANGUAGES`."""
    path = files(__package__) / "messages" / f"{language}.json"
    loaded: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def choose(request: Request) -> Language:
    """Return the language of a request: ``?lang``, then the cookie, then what the browser asks."""
    named = request.query_params.get("lang"), request.cookies.get(COOKIE)
    known = next((found for text in named if (found := _known(text or ""))), None)
    return known or _accepted(request.headers.get("accept-language", ""))


def _known(text: str) -> Language | None:
    return next((language for language in LANGUAGES if language == text), None)


def _accepted(header: str) -> Language:
    """Return the known language with the highest quality in an ``Accept-Language`` header."""
    best: Language = DEFAULT
    best_quality = 0.0
    for part in header.split(","):
        tag, _, parameter = part.strip().partition(";")
        language = _known(tag.split("-")[0].strip().lower())
        try:
            quality = float(parameter.partition("q=")[2]) if "q=" in parameter else 1.0
        except ValueError:
            continue
        if language and quality > best_quality:
            best, best_quality = language, quality
    return best


class Words:
    """The texts of one language, as the templates use them.

    Parameters
    ----------
    language
        A key of `LANGUAGES`.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = messages(language)

    def __call__(self, key: str, **values: Any) -> str:
        """Return a text with its placeholders filled; the page escapes it."""
        return self._texts[key].format(**values) if values else self._texts[key]

    def count(self, key: str, n: int) -> str:
        """Return ``key.one`` or ``key.other`` with `n` filled in."""
        form = "one" if n == 1 and f"{key}.one" in self._texts else "other"
        return self._texts[f"{key}.{form}"].format(n=f"{n:,}")

    def html(self, key: str, **values: Any) -> Markup:
        """Return a text whose own tags stand and whose values are escaped."""
        return Markup(self._texts[key]).format(**values)  # noqa: S704 - our own text

    def known(self, key: str, default: str = "") -> str:
        """Return a text that may be missing, such as that of a shop's own kind of event."""
        return self._texts.get(key, default)

    def date(self, micros: int, *, clock: bool = False) -> str:
        """Return a day (and time) in UTC, written as the language writes it."""
        moment = datetime.fromtimestamp(micros / 1e6, UTC)
        if self.language == "zh":
            day = f"{moment.year}年{moment.month}月{moment.day}日"
        else:
            day = f"{moment.day} {moment:%b %Y}"
        return f"{day} {moment:%H:%M}" if clock else day
