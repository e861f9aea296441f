"""Whether a call may be made. Nothing may that is not listed.

In this order: the system's `deny`, the agent's own list, the system's `allow`, the rules for arguments, and last the
system's `approve`, which has a call wait for a person.
"""

from collections.abc import Iterable, Mapping

from caxton.domain.tool import ToolDecision, ToolName, Verdict
from caxton.domain.tool_pattern import ToolPatterns
from caxton.domain.tool_settings import ToolPolicy
from caxton.tools.arguments import CompiledRule

REMEMBERED = 10_000
"""Decisions kept; models invent names, so there is no end of them."""

LONGEST_NAME = 256

AGENT_LIST = "the agent's tools"
DENY_LIST = "[tools] deny"
ALLOW_LIST = "[tools] allow"
APPROVE_LIST = "[tools] approve"
RULES = "[[tools.rules]]"

_Known = tuple[ToolDecision, tuple[CompiledRule, ...]]


class Permissions:
    """The rules in force. They can be replaced at any time, and hold from the next check on."""

    def __init__(self, policy: ToolPolicy) -> None:
        self._agents: dict[str, ToolPatterns] = {}
        self._known: dict[tuple[str | None, str, str], _Known] = {}
        self.replace(policy)

    @property
    def policy(self) -> ToolPolicy:
        return self._policy

    def replace(self, policy: ToolPolicy) -> None:
        """Have other system rules from now on; ValueError where a pattern is wrong, and then the old ones stay."""
        compiled = ToolPatterns(policy.deny), ToolPatterns(policy.allow), ToolPatterns(policy.approve)
        rules = [(ToolPatterns((rule.tool,)), _names(rule.agents), CompiledRule(rule)) for rule in policy.rules]
        self._policy = policy
        self._deny, self._allow, self._approve = compiled
        self._rules = rules
        self._known = {}

    def grant(self, agent: str, patterns: Iterable[str]) -> None:
        """Have this be the agent's list from now on; ValueError where a pattern is wrong."""
        self._agents[agent] = ToolPatterns(patterns)
        self._known = {}

    def revoke(self, agent: str) -> None:
        """Forget an agent; it may call nothing."""
        self._agents.pop(agent, None)
        self._known = {}

    def may_use(self, agent: str, server: str) -> bool:
        """Whether the agent's list could have a tool of that server."""
        patterns = self._agents.get(agent)
        return patterns is not None and patterns.may_match_server(server)

    def check(self, agent: str | None, tool: ToolName, arguments: Mapping[str, object] | None = None) -> ToolDecision:
        """Decide. Without `arguments` the rules for these are not applied, only named.

        `agent` None is an operator, for whom the system's rules hold alone.
        """
        key = (agent, tool.server, tool.tool)
        known = self._known.get(key)
        if known is None:
            known = self._decide(agent, tool)
            if len(self._known) >= REMEMBERED:
                self._known = {}
            self._known[key] = known
        decision, rules = known
        if arguments is not None:
            for rule in rules:
                if objection := rule.objection(arguments):
                    why = f"{_who(agent)} may not call {tool}: {objection}, and {RULES} has {str(rule)!r}."
                    return _decision(agent, tool, Verdict.DENY, str(rule), RULES, why)
        return decision

    def _decide(self, agent: str | None, tool: ToolName) -> _Known:
        name, who = str(tool), _who(agent)
        if len(name) > LONGEST_NAME:
            why = f"{who} may not call {name[:80]!r}…: no tool's name has more than {LONGEST_NAME} characters."
            return _decision(agent, tool, Verdict.DENY, "", "the length of names", why), ()
        if denied := self._deny.match(name):
            why = f"{who} may not call {name}: {DENY_LIST} has {denied!r}."
            return _decision(agent, tool, Verdict.DENY, denied, DENY_LIST, why), ()
        granted: str | None = None
        if agent is not None:
            patterns = self._agents.get(agent)
            granted = patterns.match(name) if patterns else None
            if granted is None:
                listed = ", ".join(map(repr, patterns.patterns)) if patterns and patterns.patterns else "nothing"
                why = f"{who} may not call {name}: {AGENT_LIST} list {listed}."
                return _decision(agent, tool, Verdict.DENY, "", AGENT_LIST, why), ()
        allowed = self._allow.match(name)
        if allowed is None:
            listed = ", ".join(map(repr, self._allow.patterns)) or "nothing"
            why = f"{who} may not call {name}: {ALLOW_LIST} lists {listed}."
            return _decision(agent, tool, Verdict.DENY, "", ALLOW_LIST, why), ()
        rules = tuple(
            rule for tools, agents, rule in self._rules if tools.match(name) and (agent is None or agents(agent))
        )
        bounds = "".join(f" Its arguments are bound by {str(rule)!r}." for rule in rules)
        if approve := self._approve.match(name):
            why = f"{who} may call {name} once a person says yes: {APPROVE_LIST} has {approve!r}.{bounds}"
            return _decision(agent, tool, Verdict.ASK, approve, APPROVE_LIST, why), rules
        rule, where = (granted, AGENT_LIST) if granted else (allowed, ALLOW_LIST)
        why = f"{who} may call {name}: {where} {'have' if granted else 'has'} {rule!r}.{bounds}"
        return _decision(agent, tool, Verdict.ALLOW, rule, where, why), rules


class _Names:
    """Patterns of agent names; `*` stands for anything."""

    def __init__(self, patterns: Iterable[str]) -> None:
        # Agents' names have no dots, so they can be matched as the tools of one server.
        self._patterns = ToolPatterns(f"agent.{pattern}" for pattern in patterns)

    def __call__(self, name: str) -> bool:
        return self._patterns.match(f"agent.{name}") is not None


def _names(patterns: Iterable[str]) -> _Names:
    return _Names(patterns)


def _who(agent: str | None) -> str:
    return "An operator" if agent is None else f"The agent {agent!r}"


def _decision(agent: str | None, tool: ToolName, verdict: Verdict, rule: str, where: str, why: str) -> ToolDecision:
    return ToolDecision(tool=tool, agent=agent, verdict=verdict, rule=rule, where=where, why=why)
