"""Agent templates."""

import msgspec


class AgentTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template: an agent file that works as it is. `toml` is its whole text."""

    name: str
    description: str
    tags: tuple[str, ...]
    toml: str
