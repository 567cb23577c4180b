"""Endcap: a recommendation engine that a shop can own."""

__version__ = "0.1.0"
