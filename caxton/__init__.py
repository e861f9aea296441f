"""Caxton: the agent server you configure rather than program."""
