"""Other libraries on the same splits, each run in an environment of its own."""
