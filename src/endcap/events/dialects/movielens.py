"""MovieLens folders: ml-100k (``u.data``), ml-1m (``ratings.dat``), ml-latest (``ratings.csv``).

Only the files that hold each rating once are read, not the splits (``u1.base`` …) beside them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple

from endcap.events.dialects.base import Record, TableName, failed, without_empty
from endcap.events.reading import Source, read_table
from endcap.events.validate.faults import Fault

_GENRES: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance"),
    *("Sci-Fi", "Thriller", "War", "Western"),
)


class _Form(NamedTuple):
    """How one of the files is written: `header` is empty where the first line is one."""

    table: TableName
    delimiter: str
    header: tuple[str, ...]
    mapped: Callable[[Mapping[str, str]], dict[str, Any]]
    encoding: str = "latin-1"


def _rating(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": "rating",
        "user_id": row["userId"],
        "item_id": row["movieId"],
        "value": row["rating"],
        "time": row["timestamp"],
    }


def _movie(row: Mapping[str, str]) -> dict[str, Any]:
    genres = [g for g in row["genres"].split("|") if g and g != "(no genres listed)"]
    return without_empty(
        {"item_id": row["movieId"], "title": row["title"], "categories": genres or None}
    )


def _movie_100k(row: Mapping[str, str]) -> dict[str, Any]:
    released = _day(row["released"])
    attributes = without_empty({"released": row["released"], "video": row["video"]})
    return without_empty(
        {
            "item_id": row["movieId"],
            "title": row["title"],
            "url": row["url"],
            "created": released,
            "attributes": attributes or None,
            "categories": [genre for genre in _GENRES if row[genre] == "1"] or None,
        }
    )


def _day(text: str) -> str | None:
    """Return the ISO date of ``01-Jan-1995``; films from before 1970 keep only the text."""
    try:
        day = datetime.strptime(text, "%d-%b-%Y").date()
    except ValueError:
        return None
    return day.isoformat() if day.year >= 1970 else None


def _user(row: Mapping[str, str]) -> dict[str, Any]:
    rest = without_empty({key: value for key, value in row.items() if key != "userId"})
    return {"user_id": row["userId"], "attributes": rest or None}


_RATING_COLUMNS: Final = ("userId", "movieId", "rating", "timestamp")
_FORMS: Final[dict[str, _Form]] = {
    "u.data": _Form("events", "\t", _RATING_COLUMNS, _rating),
    "u.item": _Form(
        "items", "|", ("movieId", "title", "released", "video", "url", *_GENRES), _movie_100k
    ),
    "u.user": _Form("users", "|", ("userId", "age", "gender", "occupation", "zip"), _user),
    "ratings.dat": _Form("events", "::", _RATING_COLUMNS, _rating),
    "movies.dat": _Form("items", "::", ("movieId", "title", "genres"), _movie),
    "users.dat": _Form("users", "::", ("userId", "gender", "age", "occupation", "zip"), _user),
    "ratings.csv": _Form("events", ",", (), _rating, ""),
    "movies.csv": _Form("items", ",", (), _movie, ""),
}
_CSV_COLUMNS: Final = {
    "ratings.csv": ",".join(_RATING_COLUMNS),
    "movies.csv": "movieId,title,genres",
}


class MovieLens:
    """Ratings, films and people of the MovieLens folders."""

    name: ClassVar[str] = "movielens"
    title: ClassVar[str] = "MovieLens folder"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where name and first line are those of a MovieLens file."""
        form = _FORMS.get(source.name)
        if form is None:
            return 0.0
        if not form.header:
            return 0.95 if source.first_line == _CSV_COLUMNS[source.name] else 0.0
        cells = source.first_line.count(form.delimiter) + 1
        return 0.95 if cells == len(form.header) else 0.5

    def read(self, source: Source) -> Iterator[Record]:
        """Yield ratings, films or people; a file of another name is read as ratings."""
        form = _FORMS.get(source.name, _FORMS["u.data"])
        pieces = read_table(
            source,
            delimiter=form.delimiter,
            header=form.header,
            encoding=self._encoding(source, form),
            quoted=not form.header,
        )
        for piece in pieces:
            if type(piece.content) is Fault:
                yield failed(form.table, piece)
            else:
                yield Record(form.table, piece.line, form.mapped(piece.content), piece.raw)

    @staticmethod
    def _encoding(source: Source, form: _Form) -> str:
        """The older sets are Latin-1, unless somebody converted them."""
        return form.encoding if source.encoding in {"gb18030", "cp1252"} else source.encoding
