"""Public fakes for tests of Caxton and of what is built on it."""
