"""Completion of what only the server, or the template library, knows."""


def test_agents_are_offered_by_name(complete, agent):
    assert complete("chat", agent[:-1]) == [agent]
    assert complete("agent", "show", agent[:-1]) == [agent]


def test_templates_are_offered_by_name(complete):
    assert complete("template", "show", "tr") == ["translator"]
    assert complete("create", "--template", "tr") == ["translator"]


def test_nothing_is_offered_and_nothing_said_without_a_server(complete, caxton):
    caxton.environ["CAXTON_URL"] = "http://127.0.0.1:1"
    assert complete("chat", "a") == []
