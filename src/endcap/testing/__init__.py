"""Shipped contract suites, oracles and the shop simulator."""
