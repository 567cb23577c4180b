"""Contract suites: subclass one in your tests, and whatever you wrote is held to it."""
