"""Errors over HTTP."""

import pytest
from starlette.requests import ClientDisconnect

from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import CODES, CaxtonError, Code, ConfigurationError, ProviderError

MESSAGE = "/agents/my-agent/message"


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_answered_with_its_status_and_leads_to_its_description(http, messages, code):
    messages.answers["send"] = CaxtonError(code, "What happened.", why="The cause.", hint="The next step.")
    answer = http.post(MESSAGE, content="Hello")
    assert answer.status_code == CODES[code].http
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"/docs#error-{code}",
        "title": CODES[code].title,
        "status": CODES[code].http,
        "detail": "What happened.",
        "code": code.value,
        "why": "The cause.",
        "hint": "The next step.",
    }
    page, _, anchor = answer.json()["type"].partition("#")
    assert f'id="{anchor}"' in http.get(page).text


def test_a_problem_without_a_cause_has_the_remedy_of_its_code(http, messages):
    messages.answers["send"] = CaxtonError(Code.MAILBOX_FULL, "Too many.")
    problem = http.post(MESSAGE, content="Hello").json()
    assert "why" not in problem
    assert problem["hint"] == CODES[Code.MAILBOX_FULL].remedy


def test_a_configuration_error_has_all_its_diagnostics(http, agents):
    wrong = Diagnostic(
        code="unknown_key",
        message="no such key",
        file="(request)",
        line=5,
        column=1,
        length=10,
        source="x = 1",
    )
    odd = Diagnostic(code="unused", message="not used", file="(request)", severity=Severity.WARNING)
    agents.answers["create"] = ConfigurationError([wrong, odd])
    answer = http.post("/agents", content='name = "my-agent"')
    assert answer.status_code == 422
    assert answer.json()["code"] == "configuration_invalid"
    assert answer.json()["diagnostics"] == [
        {
            "code": "unknown_key",
            "message": "no such key",
            "file": "(request)",
            "line": 5,
            "column": 1,
            "length": 10,
            "source": "x = 1",
        },
        {"code": "unused", "message": "not used", "file": "(request)", "severity": "warning"},
    ]


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "0"), (0.2, "1"), (20.0, "20"), (20.5, "21")])
def test_a_provider_that_says_when_to_come_back_is_passed_on(http, messages, seconds, header):
    messages.answers["send"] = ProviderError(Code.PROVIDER_RATE_LIMITED, "Slow down.", retry_after=seconds)
    assert http.post(MESSAGE, content="Hello").headers["retry-after"] == header


def test_there_is_no_time_to_come_back_where_none_was_given(http, messages):
    messages.answers["send"] = ProviderError(Code.PROVIDER_RATE_LIMITED, "Slow down.")
    assert "retry-after" not in http.post(MESSAGE, content="Hello").headers


def test_a_crash_is_logged_once_with_a_trace_id_that_the_client_gets_and_nothing_else(http, messages, caplog):
    messages.answers["send"] = RuntimeError("secret inside")
    answer = http.post(MESSAGE, content="Hello")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert answer.json()["detail"].split()[-1].rstrip(".") in record.getMessage()
    assert "secret inside" in str(record.exc_info[1])


async def test_a_crash_is_logged_once_by_the_real_server_too(wire, messages, caplog):
    messages.answers["send"] = RuntimeError("secret inside")
    async with wire.request(f"POST {MESSAGE} HTTP/1.1\nhost: localhost\ncontent-length: 5", b"Hello") as reader:
        answer = await wire.answer(reader)
    assert answer.status == 500
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def test_a_client_that_left_is_not_a_fault(http, messages, caplog):
    messages.answers["send"] = ClientDisconnect()
    http.post(MESSAGE, content="Hello")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/agnts", "'/agents'"),
        ("/agents/", "'/agents'"),
        ("/agent/my-agent/message", "'/agents/my-agent/message'"),
        ("/agents/my-agent/mesage", "'/agents/my-agent/message'"),
        ("/helth", "'/health'"),
        ("/opanapi.json", "'/openapi.json'"),
    ],
)
def test_a_mistyped_path_is_answered_with_the_nearest(http, path, meant):
    assert meant in http.get(path).json()["hint"]
