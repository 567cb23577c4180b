"""Learn: one file for each algorithm behind one contract."""
