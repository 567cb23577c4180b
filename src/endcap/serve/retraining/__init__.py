"""Training by itself: when it is due, out of the serving process, one at a time."""
