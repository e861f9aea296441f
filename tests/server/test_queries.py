"""Query strings."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WRONG = [
    ("/agents/my-agent/messages?limt=5", "limt", "'limit'"),
    ("/agents/my-agent/messages?limit=0", "limit", ""),
    ("/agents/my-agent/messages?limit=1001", "limit", ""),
    ("/agents/my-agent/messages?limit=-1", "limit", ""),
    ("/agents/my-agent/messages?limit=abc", "limit", ""),
    ("/agents/my-agent/messages?limit=", "limit", ""),
    ("/agents/my-agent/messages?limit=5&limit=6", "limit", ""),
    ("/agents/my-agent/events?limit=99999999999999999999999", "limit", ""),
    ("/conversations?limit=0", "limit", ""),
    ("/conversations/some-id?limit=1001", "limit", ""),
    ("/agents?verbose=1", "verbose", ""),
    ("/agents?=1", "", ""),
]


@pytest.mark.parametrize(("url", "named", "hinted"), WRONG, ids=[url for url, _, _ in WRONG])
def test_a_wrong_parameter_is_refused_by_name(http, services, url, named, hinted):
    answer = http.get(url)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "parameter_invalid"
    assert named in problem["detail"]
    assert hinted in problem["hint"]
    assert not any(service.calls for service in services.values())


@pytest.mark.parametrize("limit", [1, 1000])
def test_the_limits_of_a_page_are_inclusive(http, messages, limit):
    http.get(f"/agents/my-agent/messages?limit={limit}&before=some-id")
    assert messages.last == {"name": "my-agent", "limit": limit, "before": "some-id", "conversation_id": None}


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_switch_is_read_in_words_and_digits(http, agents, written, meant):
    http.delete(f"/agents/my-agent?purge={written}")
    assert agents.last["purge"] is meant


def test_a_switch_that_is_neither_is_refused(http):
    assert http.delete("/agents/my-agent?purge=maybe").status_code == 400


def test_a_value_is_decoded(http, services):
    http.get("/conversations?agent=a%20b%2Bc&before=x%26y")
    assert services["conversations"].last["agent"] == "a b+c"
    assert services["conversations"].last["before"] == "x&y"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.binary(max_size=60))
def test_no_query_makes_the_server_fail(http, query):
    written = "".join(f"%{byte:02x}" if byte <= 32 or byte >= 127 or byte in b'"#<>' else chr(byte) for byte in query)
    assert http.get(f"/agents/my-agent/messages?{written}").status_code in (200, 400)
