"""TOML files to validated values: agent files, the server file, templates; and the watcher of the agents directory."""
