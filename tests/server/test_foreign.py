"""Web pages of other sites, and whatever else sends requests."""

import pytest

from caxton.domain.settings import ServerSettings
from caxton.server.foreign import names_of

MESSAGE = "/agents/my-agent/message"
HERE = {"origin": "http://127.0.0.1"}
ELSEWHERE = {"origin": "https://evil.example"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {**HERE, "sec-fetch-site": "same-origin"},
        {**ELSEWHERE, "sec-fetch-site": "same-origin"},  # a proxy in front that changes the host
        HERE,
    ],
    ids=str,
)
def test_programs_people_and_our_own_pages_may_use_the_server(http, messages, headers):
    assert http.post(MESSAGE, content="Hello", headers=headers).status_code == 200
    assert len(messages.calls) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {**ELSEWHERE, "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        ELSEWHERE,
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"origin": "http://[broken"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", MESSAGE), ("POST", "/agents"), ("PUT", "/agents/a-b"), ("DELETE", "/agents/a-b")]
)
def test_a_page_of_another_site_may_change_nothing(http, services, headers, method, path):
    answer = http.request(method, path, content="Hello", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert all(not service.calls for service in services.values())


def test_it_is_refused_in_the_words_of_the_openai_api_there(http):
    answer = http.post("/v1/chat/completions", json={}, headers=ELSEWHERE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_refused")


def test_a_link_from_another_site_to_the_docs_works(http):
    assert http.get("/docs", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "[::1]:8080", "a.localhost", "192.0.2.7", ""]
)
def test_the_server_answers_to_its_own_names_and_to_addresses(http, host):
    assert http.get("/agents", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/agents"), ("POST", MESSAGE)])
def test_a_name_that_leads_here_and_is_not_ours_is_refused(http, services, host, method, path):
    answer = http.request(method, path, content="Hello", headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert "allowed_hosts" in answer.json()["hint"]
    assert all(not service.calls for service in services.values())


@pytest.mark.parametrize(
    ("host", "allowed", "names"),
    [
        ("127.0.0.1", (), {"localhost", "127.0.0.1"}),
        ("::1", (), {"localhost", "::1"}),
        ("localhost", (), {"localhost"}),
        ("127.0.0.1", ("caxton.example",), {"localhost", "127.0.0.1", "caxton.example"}),
        ("0.0.0.0", (), None),
        ("0.0.0.0", ("caxton.example",), {"localhost", "0.0.0.0", "caxton.example"}),
    ],
)
def test_a_server_that_others_reach_answers_to_any_name_unless_told_its_own(tmp_path, host, allowed, names):
    settings = ServerSettings(data_dir=tmp_path, agents_dir=tmp_path, host=host, allowed_hosts=allowed)
    assert names_of(settings) == names
