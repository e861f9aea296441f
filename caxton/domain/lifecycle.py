"""The life of an agent: its states, the one table of transitions, and the event each makes."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class AgentState(StrEnum):
    UNLOADED = "unloaded"
    LOADED = "loaded"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Trigger(StrEnum):
    LOAD = "load"
    START = "start"
    DRAIN = "drain"
    RESUME = "resume"
    STOP = "stop"
    FAIL = "fail"
    UNLOAD = "unload"


TRANSITIONS: Mapping[tuple[AgentState, Trigger], AgentState] = {
    (AgentState.UNLOADED, Trigger.LOAD): AgentState.LOADED,
    (AgentState.LOADED, Trigger.START): AgentState.RUNNING,
    (AgentState.STOPPED, Trigger.START): AgentState.RUNNING,
    (AgentState.FAILED, Trigger.START): AgentState.RUNNING,
    (AgentState.RUNNING, Trigger.DRAIN): AgentState.DRAINING,
    (AgentState.DRAINING, Trigger.RESUME): AgentState.RUNNING,
    (AgentState.DRAINING, Trigger.STOP): AgentState.STOPPED,
    (AgentState.LOADED, Trigger.STOP): AgentState.STOPPED,
    (AgentState.FAILED, Trigger.STOP): AgentState.STOPPED,
    (AgentState.LOADED, Trigger.FAIL): AgentState.FAILED,
    (AgentState.RUNNING, Trigger.FAIL): AgentState.FAILED,
    (AgentState.DRAINING, Trigger.FAIL): AgentState.FAILED,
    (AgentState.LOADED, Trigger.UNLOAD): AgentState.UNLOADED,
    (AgentState.STOPPED, Trigger.UNLOAD): AgentState.UNLOADED,
    (AgentState.FAILED, Trigger.UNLOAD): AgentState.UNLOADED,
}


class IllegalTransition(Exception):
    """A trigger was pulled in a state that does not take it: a fault of the caller, never of the user."""

    def __init__(self, state: AgentState, trigger: Trigger) -> None:
        legal = ", ".join(t for s, t in TRANSITIONS if s is state)
        super().__init__(f"{trigger!s} is not possible while {state!s}; possible: {legal}")
        self.state = state
        self.trigger = trigger


class LifecycleEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of one agent's state. `at` is in seconds since the epoch, UTC."""

    agent: str
    at: float
    trigger: Trigger
    source: AgentState
    target: AgentState
    reason: str = ""


def advance(state: AgentState, trigger: Trigger) -> AgentState:
    """The state that follows, by the table; IllegalTransition where the table has none."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger) from None
