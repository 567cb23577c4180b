"""Feedback: what was shown meets what happened."""
