"""What the operations look like from outside: their declarations and their request and response types.

Light on purpose: the CLI imports this package and nothing of what carries the operations out.
"""
