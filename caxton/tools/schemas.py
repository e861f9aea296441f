"""What servers say of their tools, marked where it is no longer what was approved."""

import logging

from caxton.domain.ports.tools import Fingerprints
from caxton.domain.tool import ToolSchema
from caxton.tools.fingerprints import marked

KEPT = 1_000
"""Listings kept marked; a server has one, and another after each change."""

security = logging.getLogger("caxton.security")

_Listing = tuple[ToolSchema, ...]


class Schemas:
    """Marks listings. A tool that is seen for the first time counts as approved: whoever configured its server did."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints
        # By identity: hosts hand out the same listing until it changes. Each is kept, so its identity stays its own.
        self._marked: dict[int, tuple[_Listing, dict[str, ToolSchema]]] = {}

    def marked(self, listing: _Listing) -> dict[str, ToolSchema]:
        """The listing's tools by their own names. Of two with one name the last counts, for the server's call too."""
        known = self._marked.get(id(listing))
        if known is None:
            if len(self._marked) >= KEPT:
                self._marked.clear()
            known = self._marked[id(listing)] = listing, {one.name.tool: self._mark(one) for one in listing}
        return known[1]

    def approve(self, schema: ToolSchema) -> ToolSchema:
        """Have this be the approved form of its tool from now on."""
        self._fingerprints.approve(schema.name, schema.fingerprint)
        self._marked.clear()
        return marked(schema, schema.fingerprint)

    def _mark(self, schema: ToolSchema) -> ToolSchema:
        schema = marked(schema, self._fingerprints.find(schema.name))
        if schema.changed:
            security.warning(
                "the tool %r is no longer what was approved; it now says %.500r", str(schema.name), schema.description
            )
        elif self._fingerprints.find(schema.name) is None:
            self._fingerprints.approve(schema.name, schema.fingerprint)
        return schema
