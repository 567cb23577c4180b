"""The words that every stage shares; imports nothing of ours."""
