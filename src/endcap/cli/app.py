"""Wire the verbs, and turn errors into exit codes in one place."""

import importlib
import sys
from typing import Any, Final

import click
import typer
from typer.core import TyperGroup

from endcap.schema.errors import EndcapError

VERBS: Final[dict[str, str]] = {
    "demo": "Import, prepare, train, evaluate and serve the shop in the box.",
    "import": "Read events and catalogue from files.",
    "prepare": "Clean what was collected and report what was removed and why.",
    "train": "Fit a pipeline and publish its artefact.",
    "evaluate": "Compare models on a split of the events.",
    "recommend": "Recommend to a user, or find what is like an item.",
    "plot": "Draw, such as a heat map of predicted scores.",
    "serve": "Serve the HTTP API and the console.",
    "config": "Show the settings in force and where each comes from.",
}
"""Every verb and its one-line help; the module of ``import`` is ``import_`` and so on."""


class LazyVerbs(TyperGroup):
    """Import a verb's module only when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the journey."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the click command of a verb; None when there is none."""
        if cmd_name not in VERBS:
            return None
        if ctx.resilient_parsing or not _called(cmd_name):
            return click.Command(cmd_name, help=VERBS[cmd_name])
        module = importlib.import_module(f"endcap.cli.{cmd_name}_")
        return typer.main.get_command(module.app)


def _called(verb: str) -> bool:
    return verb in sys.argv[1:]
