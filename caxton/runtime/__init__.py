"""Agents at work: the supervisor, one actor an agent, the turn loop and the context window."""
