"""The JSON Schema of the file formats, for editors that check and complete TOML as it is typed."""

from typing import Any

from caxton.config.agent_file import AgentFile
from caxton.config.settings import ServerFile


def agent_schema() -> dict[str, Any]:
    """The schema of agent files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **AgentFile.model_json_schema()}


def server_schema() -> dict[str, Any]:
    """The schema of `caxton.toml`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ServerFile.model_json_schema()}
