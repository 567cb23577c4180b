"""Serve: the live state, the HTTP API and the console."""
