"""Collect: read foreign dialects, validate, quarantine, append."""
