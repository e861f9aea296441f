"""The server as a process of the system: its PID file, how it is started in the background, and how it is stopped."""
