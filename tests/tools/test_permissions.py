"""Permissions: what is not listed is refused, and every decision names its rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.tool import ToolName, Verdict
from caxton.domain.tool_settings import ArgumentRule, ToolPolicy
from caxton.tools.permissions import AGENT_LIST, ALLOW_LIST, APPROVE_LIST, DENY_LIST, REMEMBERED, RULES, Permissions

READ = ToolName("files", "read_file")
WRITE = ToolName("files", "write_file")
GET = ToolName("http", "get")


def permissions(*patterns: str, agent: str = "helper", **policy: object) -> Permissions:
    made = Permissions(ToolPolicy(**policy))
    made.grant(agent, patterns)
    return made


def test_what_the_agent_lists_is_allowed_by_that_pattern():
    decision = permissions("http.get", "files.read_*").check("helper", READ)
    assert (decision.verdict, decision.rule, decision.where) == (Verdict.ALLOW, "files.read_*", AGENT_LIST)
    assert "'helper' may call files.read_file" in decision.why


def test_what_the_agent_does_not_list_is_refused_and_its_list_shown():
    decision = permissions("files.read_*").check("helper", WRITE)
    assert (decision.verdict, decision.rule, decision.where) == (Verdict.DENY, "", AGENT_LIST)
    assert "'files.read_*'" in decision.why


@pytest.mark.parametrize("agent", ["helper", "stranger"])
def test_an_agent_without_a_list_may_call_nothing(agent):
    assert permissions().check(agent, READ).verdict is Verdict.DENY


def test_the_system_may_forbid_what_an_agent_lists():
    decision = permissions("*", deny=("files.write_*",)).check("helper", WRITE)
    assert (decision.verdict, decision.rule, decision.where) == (Verdict.DENY, "files.write_*", DENY_LIST)


def test_the_system_may_allow_less_than_an_agent_lists():
    made = permissions("*", allow=("files.*",))
    assert made.check("helper", READ).allowed
    decision = made.check("helper", GET)
    assert (decision.verdict, decision.where) == (Verdict.DENY, ALLOW_LIST)


def test_an_operator_is_bound_by_the_system_alone():
    made = permissions(allow=("files.*",), deny=("files.write_*",))
    assert made.check(None, READ).allowed
    assert not made.check(None, WRITE).allowed
    assert not made.check(None, GET).allowed


def test_some_calls_wait_for_a_person():
    decision = permissions("*", approve=("files.write_*",)).check("helper", WRITE)
    assert (decision.verdict, decision.rule, decision.where) == (Verdict.ASK, "files.write_*", APPROVE_LIST)
    assert decision.allowed


def test_a_rule_for_arguments_bounds_calls():
    rule = ArgumentRule(tool="files.*", argument="path", path_prefixes=("reports",))
    made = permissions("*", rules=(rule,))
    assert made.check("helper", READ, {"path": "reports/may.txt"}).allowed
    refused = made.check("helper", READ, {"path": "secrets/may.txt"})
    assert (refused.verdict, refused.where) == (Verdict.DENY, RULES)
    assert "secrets/may.txt" in refused.why
    assert "path at or below 'reports'" in refused.rule
    assert made.check("helper", GET, {"url": "x"}).allowed


def test_a_rule_for_arguments_may_hold_for_some_agents_only():
    rule = ArgumentRule(tool="files.*", argument="path", path_prefixes=("reports",), agents=("help*",))
    made = permissions("*", rules=(rule,))
    made.grant("boss", ("*",))
    assert not made.check("helper", READ, {"path": "a"}).allowed
    assert made.check("boss", READ, {"path": "a"}).allowed


def test_without_arguments_their_rules_are_named():
    rule = ArgumentRule(tool="files.*", argument="path", path_prefixes=("reports",))
    decision = permissions("*", rules=(rule,)).check("helper", READ)
    assert decision.allowed
    assert "at or below 'reports'" in decision.why


def test_changes_hold_from_the_next_check_on():
    made = permissions("files.*")
    assert made.check("helper", WRITE).allowed
    made.grant("helper", ("files.read_*",))
    assert not made.check("helper", WRITE).allowed
    made.grant("helper", ("*",))
    made.replace(ToolPolicy(deny=("files.write_*",)))
    assert not made.check("helper", WRITE).allowed
    made.revoke("helper")
    assert not made.check("helper", READ).allowed


def test_wrong_patterns_leave_the_rules_as_they_were():
    made = permissions("*", deny=("files.*",))
    with pytest.raises(ValueError, match=r"server\.tool"):
        made.replace(ToolPolicy(allow=("*",), deny=("nonsense",)))
    assert not made.check("helper", READ).allowed


def test_a_name_of_absurd_length_is_refused():
    assert not permissions("*").check("helper", ToolName("files", "a" * 1_000)).allowed


def test_invented_names_do_not_fill_the_memory():
    made = permissions("files.*")
    for number in range(REMEMBERED + 10):
        made.check("helper", ToolName("files", str(number)))
    assert len(made._known) <= REMEMBERED


PATTERNS = st.lists(st.sampled_from(["*", "files.*", "files.read_*", "*.get", "http.post"]), max_size=3).map(tuple)
TOOLS = st.sampled_from([READ, WRITE, GET, ToolName("http", "post"), ToolName("other", "get")])


@given(agent=PATTERNS, allow=PATTERNS, deny=PATTERNS, approve=PATTERNS, tool=TOOLS)
def test_nothing_is_allowed_but_what_both_lists_have_and_deny_has_not(agent, allow, deny, approve, tool):
    from caxton.domain.tool_pattern import ToolPatterns

    def listed(patterns):
        return ToolPatterns(patterns).match(str(tool)) is not None

    made = permissions(*agent, allow=allow, deny=deny, approve=approve)
    decision = made.check("helper", tool)
    assert decision.allowed == (listed(agent) and listed(allow) and not listed(deny))
    assert (decision.verdict is Verdict.ASK) == (decision.allowed and listed(approve))
    assert decision == made.check("helper", tool)
    assert str(tool) in decision.why
