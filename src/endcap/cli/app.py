"""Find the verb, run it, and turn errors into exit codes in one place.

Exit codes: 0 ok, 1 failure, 2 usage, 3 the data was refused, 130 interrupted.
"""

import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Final

import structlog
import typer

from endcap.schema.arrow_alone import leave_pandas
from endcap.schema.errors import EndcapError, nearest
from endcap.schema.version import __version__

VERBS: Final[dict[str, str]] = {
    "demo": "Import, prepare, train, evaluate and serve the shop in the box.",
    "import": "Read events and catalogue from files.",
    "quarantine": "Show what could not go in, and why.",
    "prepare": "Clean what was collected; report what was removed and why.",
    "train": "Fit a pipeline and publish its artefact.",
    "evaluate": "Compare models on a split of the events.",
    "recommend": "Recommend to a shopper, or find what is like an item.",
    "replay": "Make a past slate again, bit for bit.",
    "preview": "Show what rules would change and cost, before they go live.",
    "export": "Write slates of all users, or whom an item is for, to a file.",
    "plot": "Draw, such as a heat map of predicted scores.",
    "serve": "Serve the HTTP API and the console.",
    "worker": "Train again when it is due, by time or by drift.",
    "stream": "Take events from NATS, Redis, RabbitMQ or Kafka.",
    "publish": "Publish what was shown and what came of it to a broker.",
    "probe": "Measure how soon what is written to a server shows.",
    "erase": "Erase a person, everywhere and at once.",
    "keys": "Make, list and revoke the keys of the HTTP API.",
    "config": "Show the settings in force and where each comes from.",
}
"""Every verb, in the order of the journey. The verb ``x`` lives in the module ``cli/x_.py``."""

EPILOG: Final = """
First steps:  endcap demo  ·  endcap import events.csv catalogue.csv  ·  endcap train  ·
endcap recommend --user 12347  ·  endcap serve
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``endcap`` and exit."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run ``endcap`` with the given arguments and return its exit code."""
    verb = argv[0] if argv else "--help"
    _hush()
    try:
        if verb in VERBS:
            leave_pandas()
            module = importlib.import_module(f"endcap.cli.{verb}_")
            return _call(module.app, argv[1:], f"endcap {verb}")
        if not verb.startswith("-"):
            raise typer.BadParameter(f"no such verb: {verb!r}. {nearest(verb, VERBS)}")
        return _call(_top(), argv or [verb], "endcap")
    except typer.BadParameter as error:
        return _say(f"{error}", "See: endcap --help", 2)
    except EndcapError as error:
        return _say(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted; what was finished is kept.", "", 130)


def _hush() -> None:
    """Keep the log of the stages to warnings, on stderr; ``endcap serve`` logs in its own way."""
    structlog.reset_defaults()  # a verb run before in this process may have set what goes with it
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _call(app: typer.Typer, argv: Sequence[str], name: str) -> int:
    try:
        app(args=list(argv), prog_name=name)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _say(message: str, hint: str, code: int) -> int:
    sys.stderr.write(f"endcap: {message}\n" + (f"  {hint}\n" if hint else ""))
    return code


def _top() -> typer.Typer:
    """Build the front page: it lists the verbs without importing one of them."""
    app = typer.Typer(
        help="Endcap: a recommendation engine that a shop can own.",
        epilog=EPILOG,
        add_completion=False,
    )

    @app.callback(invoke_without_command=True)
    def front(
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            typer.echo(f"endcap {__version__}")

    for name, text in VERBS.items():
        app.command(name, help=text)(lambda: None)
    return app
