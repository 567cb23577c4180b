"""How far an import is, on a terminal and in a log."""

import io

from endcap.cli.progress import Lines, shown
from endcap.schema.progress import silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with shown("import", stream=stream) as told:
        told(1_000_000, 4_000_000, "a.csv: 10 rows")
    assert "import" in stream.getvalue()


def test_a_pipe_gets_lines_and_no_more_than_asked() -> None:
    stream = io.StringIO()
    told = Lines("import", stream, every_seconds=0.0)
    told(1_000_000, 4_000_000, "a.csv")
    told(1_000_000, 0)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("import: 25 % (")
    assert first.endswith("s left) a.csv")
    assert "1,000,000 bytes" in second
    with shown("import", stream=stream) as patient:
        patient(2, 4)
    assert len(stream.getvalue().splitlines()) == 2


def test_nothing_is_shown_where_nobody_wants_it() -> None:
    with shown("import", stream=Terminal(), wanted=False) as told:
        assert told is silent
