"""Prepare: clean, deduplicate, sessionise, weigh, split; events become a `Dataset`."""
