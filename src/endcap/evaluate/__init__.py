"""Evaluate: splits x metrics, with intervals, against honest baselines."""
