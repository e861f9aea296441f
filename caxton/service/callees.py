"""Who is meant by a call for proposals."""

from caxton.domain.address import EVERYBODY, capability_address, group_address
from caxton.domain.capability import read_capability
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import AgentState
from caxton.domain.ports.bus import Groups
from caxton.domain.suggestion import did_you_mean
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.contracts import CallForProposals


class Callees:
    """The agents that there are, as those a contract may be made with."""

    def __init__(self, supervisor: Supervisor, groups: Groups) -> None:
        self._supervisor = supervisor
        self._groups = groups

    def find(self, body: CallForProposals) -> tuple[str, list[str]]:
        """Who is called, as an address, and name by name; CaxtonError where it is not clear, or nobody is there."""
        ways = [body.capability is not None, bool(body.agents), body.group is not None, body.everybody]
        if sum(ways) != 1:
            raise CaxtonError(
                Code.BODY_INVALID,
                "One of `capability`, `agents`, `group` and `everybody` has to say who is called.",
                hint='For example "capability": "summaries", or "everybody": true.',
            )
        if body.capability is not None:
            return capability_address(body.capability), self._able(body.capability)
        if body.group is not None:
            return group_address(body.group), self._members(body.group)
        if body.agents:
            return ",".join(body.agents), [self._supervisor.get(name).name for name in body.agents]
        return EVERYBODY, self._running()

    def _running(self) -> list[str]:
        return [actor.name for actor in self._supervisor.all() if actor.state is AgentState.RUNNING]

    def _able(self, capability: str) -> list[str]:
        """The running agents that have a capability."""
        wanted = read_capability(capability)
        offered = {name: self._supervisor.get(name).loaded.definition.capabilities for name in self._running()}
        able = [name for name, offers in offered.items() if any(read_capability(one).meets(wanted) for one in offers)]
        if not able:
            known = {one for offers in offered.values() for one in offers}
            hint = did_you_mean(capability, known)
            raise CaxtonError(Code.CAPABILITY_NOT_FOUND, f"No running agent has capability {capability!r}.", hint=hint)
        return able

    def _members(self, group: str) -> list[str]:
        """The agents of a group; people take part in those too, and do not bid."""
        members = self._groups.members(group)
        if not members:
            raise CaxtonError(Code.CONVERSATION_NOT_FOUND, f"There is no group {group!r}.")
        return [name for name in members if self._supervisor.find(name)]
