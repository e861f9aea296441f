"""Routes, statuses and arguments, for every operation of the table."""

import re

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.service.api.operation import BodyKind
from caxton.service.api.server import Readiness
from caxton.service.api.table import OPERATIONS

PATHS = [(operation, path) for operation in OPERATIONS for path in (operation.path, *operation.aliases)]
BODIES = {
    BodyKind.NONE: None,
    BodyKind.JSON: b'{"model": "some-model"}',
    BodyKind.MESSAGE: b'{"text": "Hello"}',
    BodyKind.DEFINITION: b'name = "my-agent"',
    BodyKind.FIPA: b'{"receiver": "my-agent", "text": "Hello"}',
}
# What some operations cannot do without.
OWN_BODIES = {
    "contracts.run": b'{"task": "Draw sales", "capability": "charts"}',
    "conversations.create": b'{"participants": ["my-agent"]}',
    "conversations.send": b'{"text": "Hello"}',
    "dlq.redirect": b'{"receiver": "my-agent"}',
    "dlq.replay_all": b"{}",
    "memory.add": b'{"value": "Ada likes tea"}',
    "memory.restore": b'{"records": []}',
    "tools.answer": b'{"granted": true}',
    "tools.call": b'{"arguments": {}}',
    "tools.deploy": b'{"name": "text", "module": "AGFzbQ=="}',
}
QUERIES = {"memory.search": {"text": "tea"}}


@pytest.mark.parametrize(("operation", "path"), PATHS, ids=[f"{o.method} {path}" for o, path in PATHS])
def test_every_operation_has_a_route_that_calls_its_service(http, services, operation, path):
    url = re.sub(r"\{\w+\}", "some-value", path)
    body = OWN_BODIES.get(operation.name, BODIES[operation.body_kind])
    answer = http.request(operation.method, url, content=body, params=QUERIES.get(operation.name))
    assert answer.status_code == operation.status
    assert answer.headers["content-type"].startswith("text/event-stream" if operation.endless else "application/json")
    (call,) = services[operation.noun].calls
    assert call[0] == operation.verb
    expected = set(re.findall(r"\{(\w+)\}", path))
    expected |= set(operation.query.__struct_fields__) if operation.query else set()
    expected |= {"body"} if operation.body_kind is not BodyKind.NONE else set()
    assert set(call[1]) == expected
    assert all(call[1][name] == "some-value" for name in re.findall(r"\{(\w+)\}", path))


def test_two_operations_share_a_path_by_method(http, messages):
    assert http.post("/agents/my-agent/messages", content="Hello").json()["text"] == "Hello there"
    assert http.get("/agents/my-agent/messages").json() == {"verb": "list"}
    assert [verb for verb, _ in messages.calls] == ["send", "list"]


def test_a_fixed_path_goes_before_one_with_a_parameter(http, agents):
    http.post("/agents/validate", content='name = "my-agent"')
    assert agents.calls[-1][0] == "validate"


@pytest.mark.parametrize("written", ["a%2Fb", "a%2fb", "%61%2Fb"])
def test_an_encoded_slash_belongs_to_the_value(http, services, written):
    assert http.get(f"/conversations/{written}").status_code == 200
    assert services["conversations"].last["id"] == "a/b"
    http.post(f"/conversations/{written}/reset")
    assert services["conversations"].calls[-1] == ("reset", {"id": "a/b"})


def test_a_percent_sign_in_a_value_is_decoded_once(http, services):
    http.get("/conversations/50%2525")
    assert services["conversations"].last["id"] == "50%25"
    http.get("/conversations/50%252F%2F")
    assert services["conversations"].last["id"] == "50%2F/"


def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_takes(http):
    answer = http.delete("/agents/my-agent/messages")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert answer.json()["code"] == "method_not_allowed"


def test_the_head_of_an_answer_can_be_asked_for(http):
    assert http.head("/health").status_code == 200


def test_an_unknown_path_is_a_problem(http):
    answer = http.get("/agnts")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert "/agents" in answer.json()["hint"]


def test_a_path_nothing_like_ours_leads_to_the_docs(http):
    assert "/docs" in http.get("/wp-login.php").json()["hint"]


def test_a_slash_too_many_is_not_found_rather_than_redirected_with_its_body_lost(http):
    answer = http.post("/agents/my-agent/message/", content="Hello", follow_redirects=False)
    assert answer.status_code == 404
    assert "'/agents/my-agent/message'" in answer.json()["hint"]


def test_readiness_has_the_same_body_whether_ready_or_not(http, services):
    part = ComponentHealth(name="provider local", status=HealthStatus.LOADING, required=True)
    services["server"].answers["ready"] = Readiness(ready=False, components=[part])
    answer = http.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["components"] == [{"name": "provider local", "status": "loading", "required": True}]
    services["server"].answers["ready"] = Readiness(ready=True, components=[])
    assert http.get("/ready").status_code == 200


def test_an_agent_is_created_from_a_template_without_a_body(http, agents):
    answer = http.post("/agents?template=assistant&name=my-agent")
    assert answer.status_code == 201
    assert agents.last == {"template": "assistant", "name": "my-agent"}


def test_a_body_beside_a_template_is_not_dropped_unseen(http, agents):
    http.post("/agents?template=assistant&name=my-agent", content='name = "other"')
    assert agents.last["body"].toml == 'name = "other"'
    assert agents.last["template"] == "assistant"


def test_the_root_leads_to_the_docs(http):
    answer = http.get("/", follow_redirects=False)
    assert answer.is_redirect
    assert answer.headers["location"] == "/docs"


def test_errors_of_a_service_keep_their_status(http, messages):
    messages.answers["send"] = CaxtonError(Code.AGENT_NOT_RUNNING, "Agent 'my-agent' is stopped.")
    assert http.post("/agents/my-agent/message", content="Hello").status_code == 503
