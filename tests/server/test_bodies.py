"""Request bodies: what is taken, as what, and what is refused how."""

import json
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caxton.domain.completion import ChatMessage, Role
from caxton.service.api.messages import SendMessage

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}
MESSAGE = "/agents/my-agent/message"

TAKEN = [
    ("as curl sends JSON", FORM, '{"text": "Hello"}', "Hello"),
    ("as curl sends text", FORM, "Hello", "Hello"),
    ("JSON", JSON, '{"text": "Hello"}', "Hello"),
    ("JSON with a charset", {"content-type": "Application/JSON; charset=UTF-8"}, '{"text": "Hello"}', "Hello"),
    ("JSON as a browser's fetch sends it", {"content-type": "text/plain;charset=UTF-8"}, '{"text": "Hello"}', "Hello"),
    ("JSON without a type", {}, ' \n{"text": "Hello"}\n', "Hello"),
    ("JSON after a byte order mark", JSON, '\ufeff{"text": "Hello"}', "Hello"),
    ("text", TEXT, "Hello there", "Hello there"),
    ("text without a type", {}, "Hello there", "Hello there"),
    ("text of another subtype", {"content-type": "text/markdown"}, "# Hello", "# Hello"),
    ("text that begins like JSON", TEXT, "{curly} is a word", "{curly} is a word"),
    ("text that is JSON of another kind", TEXT, '{"total": 5}', '{"total": 5}'),
    ("text in other letters", TEXT, "héllo wörld ✓", "héllo wörld ✓"),
    ("text that keeps its spaces", TEXT, "  two\n\n", "  two\n\n"),
]


@pytest.mark.parametrize(("headers", "body", "text"), [t[1:] for t in TAKEN], ids=[t[0] for t in TAKEN])
def test_a_message_is_read_as_what_it_is(http, messages, headers, body, text):
    answer = http.post(MESSAGE, content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert messages.last == {"name": "my-agent", "body": SendMessage(text=text)}


def test_a_message_may_have_every_field(http, messages):
    http.post(
        MESSAGE,
        json={
            "text": "Hello",
            "conversation_id": "new",
            "sender": "ada",
            "history": [{"role": "user", "content": "Hi"}],
        },
    )
    assert messages.last["body"] == SendMessage(
        text="Hello", conversation_id="new", sender="ada", history=(ChatMessage(Role.USER, "Hi"),)
    )


@pytest.mark.parametrize("header", ["a-key", '"a-key"'])
@pytest.mark.parametrize("body", ["Hello", '{"text": "Hello"}', '{"text": "Hello", "idempotency_key": "a-key"}'])
def test_an_idempotency_key_may_come_in_its_header(http, messages, body, header):
    assert http.post(MESSAGE, content=body, headers={"idempotency-key": header}).status_code == 200
    assert messages.last["body"] == SendMessage(text="Hello", idempotency_key="a-key")


def test_two_idempotency_keys_that_differ_are_refused(http, messages):
    body = {"text": "Hello", "idempotency_key": "one"}
    answer = http.post(MESSAGE, json=body, headers={"idempotency-key": "two"})
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")
    assert "'one'" in answer.json()["detail"]
    assert "'two'" in answer.json()["detail"]
    assert not messages.calls


REFUSED = [
    ("nothing", {}, b"", 422, "body_invalid", "empty"),
    ("space", JSON, b" \n", 422, "body_invalid", "empty"),
    ("a misspelt field", JSON, b'{"txt": "Hello"}', 422, "body_invalid", "`txt`"),
    ("a field too many", JSON, b'{"text": "Hello", "foo": 1}', 422, "body_invalid", "`foo`"),
    ("a missing field", JSON, b'{"sender": "ada"}', 422, "body_invalid", "`text`"),
    ("a field of the wrong kind", JSON, b'{"text": 1}', 422, "body_invalid", "`text`"),
    ("a deep field", JSON, b'{"text": "a", "history": [{"role": "king", "content": ""}]}', 422, "body_invalid", "role"),
    ("an array", JSON, b'["Hello"]', 422, "body_invalid", "object"),
    ("a string", JSON, b'"Hello"', 422, "body_invalid", "object"),
    ("broken JSON", JSON, b'{"text": "H\xc3\xa9",\n "sender": }', 400, "body_malformed", "line 2, column 12"),
    ("broken JSON of no type", FORM, b'{"text": "Hello"', 400, "body_malformed", "truncated"),
    ("text declared as JSON", JSON, b"Hello", 400, "body_malformed", "line 1, column 1"),
    ("an unpaired surrogate", JSON, b'{"text": "\\ud800"}', 400, "body_malformed", "truncated"),
    ("JSON nested without end", JSON, b'{"text": ' + b"[" * 3000, 422, "body_invalid", "`text`"),
    ("bytes that are no UTF-8", TEXT, b"caf\xe9", 415, "media_type_unsupported", "UTF-8"),
    ("UTF-16", TEXT, "Hello".encode("utf-16-le"), 415, "media_type_unsupported", "UTF-8"),
    (
        "a form with files",
        {"content-type": "multipart/form-data; boundary=x"},
        b"--x",
        415,
        "media_type_unsupported",
        "",
    ),
    ("a picture", {"content-type": "Image/PNG"}, b"x", 415, "media_type_unsupported", "image/png"),
    ("unknown bytes", {"content-type": "application/octet-stream"}, b"x", 415, "media_type_unsupported", ""),
    ("a document", {"content-type": "application/pdf"}, b"x", 415, "media_type_unsupported", ""),
    ("packed text", {**TEXT, "content-encoding": "gzip"}, b"x", 415, "media_type_unsupported", "gzip"),
    ("a real form", FORM, b"text=Hello", 422, "body_invalid", "form"),
]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "named"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_is_no_message_is_refused_with_its_reason(http, messages, headers, body, status, code, named):
    answer = http.post(MESSAGE, content=body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert named in problem["detail"]
    assert not messages.calls


def test_a_misspelt_field_is_named_with_the_right_one(http):
    assert "'text'" in http.post(MESSAGE, content='{"txt": "Hello"}').json()["hint"]


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(http, messages, largest):
    assert http.post(MESSAGE, content=b"x" * largest, headers=TEXT).status_code == 200
    answer = http.post(MESSAGE, content=b"x" * (largest + 1), headers=TEXT)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert str(largest) in answer.json()["detail"]
    assert len(messages.calls) == 1


async def test_a_body_too_large_is_refused_by_its_declared_length_before_it_is_sent(wire, messages, largest):
    head = f"POST {MESSAGE} HTTP/1.1\nhost: localhost\nexpect: 100-continue\ncontent-length: {largest + 1}"
    async with wire.request(head) as reader:
        answer = await wire.answer(reader)
    assert answer.status == 413
    assert not messages.calls


async def test_chunks_that_add_up_to_too_much_are_refused(wire, messages):
    chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
    head = f"POST {MESSAGE} HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked"
    async with wire.request(head, chunk * 5) as reader:  # and no end of the body yet
        answer = await wire.answer(reader)
    assert answer.status == 413
    assert not messages.calls


async def test_a_client_that_hangs_up_in_the_middle_of_a_body_is_no_fault(wire, messages, caplog):
    async with wire.request(f"POST {MESSAGE} HTTP/1.1\nhost: localhost\ncontent-length: 100", b"half"):
        pass
    async with wire.request(f"POST {MESSAGE} HTTP/1.1\nhost: localhost\ncontent-length: 5", b"Hello") as reader:
        assert (await wire.answer(reader)).status == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_definition_in_toml_is_handed_over_as_it_is(http, agents):
    toml = '# mine\r\nname = "my-agent"\nsystem_prompt = """\nBe kind.\n"""\n'
    assert http.post("/agents", content=toml, headers=FORM).status_code == 201
    assert agents.last["body"].toml == toml


def test_a_byte_order_mark_is_no_part_of_a_definition(http, agents):
    http.post("/agents", content='\ufeffname = "my-agent"'.encode())
    assert agents.last["body"].toml == 'name = "my-agent"'


def test_a_definition_in_json_becomes_the_same_in_readable_toml(http, agents):
    definition = {
        "name": "my-agent",
        "system_prompt": "Be kind.\nBe brief.",
        "llm": {"temperature": 0.5, "stop": ["x"]},
    }
    assert http.put("/agents/my-agent", json=definition).status_code == 200
    toml = agents.last["body"].toml
    assert tomllib.loads(toml) == definition
    assert "Be kind.\nBe brief." in toml


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"name": null}', "name"),
        ('{"llm": {"model": null}}', "llm.model"),
        ('{"tools": ["a", null]}', "tools[1]"),
        ('{"parameters": {"a b": [{"c": null}]}}', 'parameters."a b"[0].c'),
    ],
)
def test_a_null_in_a_definition_is_refused_by_its_place(http, agents, body, key):
    answer = http.post("/agents/validate", content=body)
    assert answer.status_code == 422
    assert f"`{key}`" in answer.json()["detail"]
    assert "null" in answer.json()["detail"]
    assert not agents.calls


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ('{"name": }', 400),
        ('{"a":' + "[" * 3000, 400),
        ('{"a":' + "[" * 900 + "]" * 900 + "}", 400),
        ('{"name": "a"} and more', 400),
        ('{"a": 1e999}', 422),
    ],
)
def test_a_definition_that_cannot_be_read_is_refused(http, agents, body, status):
    assert http.post("/agents/validate", content=body).status_code == status
    assert not agents.calls


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(definition=st.dictionaries(TEXTS, JSON_VALUES, min_size=1, max_size=4))
def test_every_json_definition_means_the_same_in_toml(http, agents, definition):
    assert http.post("/agents/validate", json=definition).status_code == 200
    assert tomllib.loads(agents.last["body"].toml) == definition


URLS = st.sampled_from(
    [
        ("POST", MESSAGE),
        ("POST", "/agents"),
        ("POST", "/messages"),
        ("PUT", "/agents/my-agent"),
        ("POST", "/agents/validate"),
        ("POST", "/v1/chat/completions"),
    ]
)
TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "text/plain",
        "application/toml",
        "application/x-www-form-urlencoded",
        "application/msgpack",
    ]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(url=URLS, kind=TYPES, body=st.binary(max_size=80) | JSON_VALUES.map(lambda v: json.dumps(v).encode()))
def test_no_body_makes_the_server_fail(http, url, kind, body):
    answer = http.request(*url, content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code in (200, 201, 202, 400, 413, 415, 422)
    assert "json" in answer.headers["content-type"]
