"""Web pages of other sites, and whatever else sends requests."""

import pytest

MESSAGE = "/agents/my-agent/message"
HERE = {"origin": "http://testserver"}
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
        {"origin": "http://testserver:3000", "sec-fetch-site": "same-site"},
        ELSEWHERE,
        {"origin": "http://testserver:3000"},
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
