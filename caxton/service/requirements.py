"""What agents require of others, and whether there is anybody who can do it."""

from collections import Counter

from caxton.config.codes import Problem
from caxton.config.toml import Finding, locate
from caxton.domain.capability import by_name, read_capability
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.lifecycle import AgentState
from caxton.domain.suggestion import did_you_mean
from caxton.runtime.actor import Actor
from caxton.runtime.supervisor import Supervisor

SHOWN = 5
"""Missing capabilities that the health names; there may be many."""


class Requirements:
    """Looked up when asked: agents come and go."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def warnings(self, actor: Actor) -> tuple[Diagnostic, ...]:
        """A warning for each capability that an agent requires and no other running agent offers, at its place."""
        offered = self._offered()
        if not (missing := _missing(actor, offered)):
            return ()
        required = actor.loaded.definition.requires
        found = [
            Finding(
                ("requires", required.index(name)),
                Problem.CAPABILITY_MISSING,
                f"no other running agent can do {name!r}",
                did_you_mean(name, offered) or "`caxton capability list` shows what there is.",
                severity=Severity.WARNING,
            )
            for name in missing
        ]
        return tuple(locate(actor.loaded.source, found))

    def health(self) -> ComponentHealth:
        """Degraded where a running agent requires what no other running one offers."""
        offered = self._offered()
        missing = [
            f"{name!r}, which {actor.name!r} requires"
            for actor in self._supervisor.all()
            if actor.state is AgentState.RUNNING
            for name in _missing(actor, offered)
        ]
        if not missing:
            return ComponentHealth(name="capabilities", status=HealthStatus.OK)
        more = f", and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        detail = f"No running agent can do {'; '.join(missing[:SHOWN])}{more}."
        return ComponentHealth(name="capabilities", status=HealthStatus.DEGRADED, detail=detail)

    def _offered(self) -> Counter[str]:
        """By every name that something is found under, how many running agents offer it."""
        return Counter(
            name
            for actor in self._supervisor.all()
            if actor.state is AgentState.RUNNING
            for name in by_name(actor.loaded.definition.offers)
        )


def _missing(actor: Actor, offered: Counter[str]) -> list[str]:
    """What an agent requires and nobody offers; what it offers itself does not count."""
    definition = actor.loaded.definition
    if not definition.requires:
        return []
    own = by_name(definition.offers) if actor.state is AgentState.RUNNING else {}
    names = dict.fromkeys(definition.requires)
    return [name for name in names if offered[str(read_capability(name))] <= (str(read_capability(name)) in own)]
