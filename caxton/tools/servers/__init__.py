"""Standard tools as MCP servers, each run in a process of its own: `python -m caxton.tools.servers.NAME`."""
