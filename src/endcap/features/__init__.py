"""Features: point-in-time, one code path for training and for requests."""
