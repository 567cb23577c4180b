"""How long work tells how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called with ``done`` of ``total`` (0: unknown) and a short note such as ``"loss 0.41"``."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report once; called often, so be quick."""


def silent(done: int, total: int, note: str = "") -> None:
    """Tell nobody."""
