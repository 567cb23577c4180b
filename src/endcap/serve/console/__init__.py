"""The web console: a shopper's seat, the catalogue and the stream of events, as plain pages."""

from endcap.serve.console.backend import RuntimeBackend
from endcap.serve.console.router import Console

__all__ = ["Console", "RuntimeBackend"]
