"""How the server tells what it does: logs so far."""
