"""Recommend: retrieve, filter, rank, explain; pure functions of (request, state)."""
