"""What a tool was when it was approved. A server that changes its words later may mean to mislead a model."""

import hashlib

import msgspec

from caxton.domain.tool import ToolName, ToolSchema

_encoder = msgspec.json.Encoder(order="deterministic")


def fingerprint(schema: ToolSchema) -> str:
    """SHA-256 over all that a server said of a tool, in hexadecimal; the same for the same words in any order."""
    said = (
        schema.name.server,
        schema.name.tool,
        schema.title,
        schema.description,
        schema.parameters,
        schema.returns,
        schema.hints,
    )
    return hashlib.sha256(_encoder.encode(said)).hexdigest()


def marked(schema: ToolSchema, approved: str | None) -> ToolSchema:
    """The schema with its fingerprint, and with `changed` where another one was approved."""
    found = fingerprint(schema)
    return msgspec.structs.replace(schema, fingerprint=found, changed=approved not in (None, found))


class MemoryFingerprints:
    """Implements `ports.tools.Fingerprints` for as long as the process lives."""

    def __init__(self) -> None:
        self._approved: dict[ToolName, str] = {}

    def find(self, tool: ToolName) -> str | None:
        return self._approved.get(tool)

    def approve(self, tool: ToolName, fingerprint: str) -> None:
        self._approved[tool] = fingerprint
