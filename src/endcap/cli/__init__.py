"""The command line: one file for each verb, no logic.

A verb is a module of this package with a Typer callback `command`; `VERBS` names them, and a
module is imported only when its verb is called, so that ``endcap --help`` stays quick.
"""

from endcap.cli.app import main

__all__ = ["main"]
