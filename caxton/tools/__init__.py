"""Tools: MCP servers of any kind, out of process, and the permissions that every call passes."""
