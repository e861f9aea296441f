"""What is known of agents by their names."""

from caxton.domain.agent import AgentDefinition
from caxton.domain.lifecycle import AgentState
from caxton.domain.ports.messenger import Contact
from caxton.runtime.supervisor import Supervisor

AT_WORK = (AgentState.RUNNING, AgentState.DRAINING)


class Roster:
    """Answers for whoever needs to know of an agent without having to do with its life.

    Some of those are parts of what a supervisor is made of; so this is there first, and knows nobody until it has one.
    """

    supervisor: Supervisor | None = None

    def definition(self, agent: str) -> AgentDefinition | None:
        """The definition in force; None where there is no such agent."""
        actor = self.supervisor.find(agent) if self.supervisor else None
        return actor.loaded.definition if actor else None

    def description(self, agent: str) -> str:
        """What an agent says it is for; empty where it does not, or is not there."""
        definition = self.definition(agent)
        return definition.description if definition else ""

    def patience(self, agent: str) -> float:
        """Seconds that a turn of this agent may take."""
        definition = self.definition(agent) or AgentDefinition(name=agent, system_prompt="")
        return definition.resources.max_execution_time

    def contacts(self) -> list[Contact]:
        """Those that run, and what they can do."""
        actors = self.supervisor.all() if self.supervisor else ()
        running = [actor.loaded.definition for actor in actors if actor.state is AgentState.RUNNING]
        return [Contact(name=one.name, description=one.description, capabilities=one.offers) for one in running]

    def at_rest(self) -> set[str]:
        """The names of those that have nothing in hand: they do not run, nor are about to, nor end what they began."""
        actors = self.supervisor.all() if self.supervisor else ()
        return {actor.name for actor in actors if actor.state not in AT_WORK and not actor.restarting}
