"""The `caxton` command: click commands, one file a noun. Whatever is slow to import is imported by who needs it."""
