"""The operations on capabilities."""

from caxton.domain.capability import CapabilityName, Provider, read_capability
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import AgentState
from caxton.domain.ports.directory import Offers
from caxton.domain.suggestion import did_you_mean
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.capabilities import CapabilityEntry, CapabilityList, CapabilityView, ProviderEntry


class CapabilityService:
    """One method an operation of `service.api.capabilities`."""

    def __init__(self, *, offers: Offers, supervisor: Supervisor) -> None:
        self._offers = offers
        self._supervisor = supervisor

    async def list(self) -> CapabilityList:
        offered: dict[CapabilityName, list[Provider]] = {}
        for provider in self._offers.offers():
            offered.setdefault(provider.capability.name, []).append(provider)
        required = _required(self._supervisor)
        unmet = [name for name in required if not any(one.meets(name) for one in offered)]
        entries = [
            CapabilityEntry(
                name=str(name),
                description=next((one.capability.description for one in providers if one.capability.description), ""),
                agents=sorted(one.agent for one in providers),
                running=sum(self._state(one) is AgentState.RUNNING for one in providers),
                required_by=_agents(required, [one for one in required if name.meets(one)]),
            )
            for name, providers in [*offered.items(), *((name, []) for name in unmet)]
        ]
        return CapabilityList(capabilities=sorted(entries, key=lambda entry: _order(entry.name)))

    async def show(self, *, name: str) -> CapabilityView:
        wanted = read_capability(name)
        everything = self._offers.offers()
        providers = [one for one in everything if one.capability.name.meets(wanted)]
        required = _required(self._supervisor)
        asked = [one for one in required if one.meets(wanted) or wanted.meets(one)]
        if not providers:
            # Then it is there as what somebody lacks; who has another version does not lack it.
            asked = [one for one in asked if not any(offer.capability.name.meets(one) for offer in everything)]
        required_by = _agents(required, asked)
        if not (providers or required_by):
            there_is = [*(offer.capability.name for offer in everything), *required]
            hint = did_you_mean(name, dict.fromkeys(str(known) for one in there_is for known in _names(one)))
            raise CaxtonError(Code.CAPABILITY_NOT_FOUND, f"No agent can do {name!r}, nor requires it.", hint=hint)
        entries = [
            ProviderEntry(
                agent=one.agent,
                capability=str(one.capability.name),
                description=one.capability.description,
                state=self._state(one),
                waiting=one.waiting,
                limit=one.limit,
                seconds=one.seconds,
                input=one.capability.input,
                output=one.capability.output,
            )
            for one in providers
        ]
        entries.sort(key=lambda entry: (entry.agent, _order(entry.capability)))
        return CapabilityView(name=str(wanted), providers=entries, required_by=required_by)

    def _state(self, provider: Provider) -> AgentState:
        """How the agent is; what is known to the bus and is no agent takes messages for as long as it is."""
        actor = self._supervisor.find(provider.agent)
        return actor.state if actor else AgentState.RUNNING


def _required(supervisor: Supervisor) -> dict[CapabilityName, list[str]]:
    """What is required, and by whom."""
    required: dict[CapabilityName, list[str]] = {}
    for actor in supervisor.all():
        for name in actor.loaded.definition.requires:
            required.setdefault(read_capability(name), []).append(actor.name)
    return required


def _agents(required: dict[CapabilityName, list[str]], names: list[CapabilityName]) -> list[str]:
    return sorted({agent for name in names for agent in required[name]})


def _names(name: CapabilityName) -> tuple[CapabilityName, CapabilityName]:
    """What it can be asked for by."""
    return CapabilityName(name.name), name


def _order(text: str) -> tuple[str, int]:
    """By name, then by version as a number."""
    name = read_capability(text)
    return name.name, name.version or 0
