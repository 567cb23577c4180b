"""Slates under rules: pins, quotas, diversity and more, solved together, each with its price."""
