"""Events that come over a message broker."""
