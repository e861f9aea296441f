"""The page at /docs."""

import re
from html.parser import HTMLParser

import pytest

from caxton.domain.errors import CODES
from caxton.service.api.operation import BodyKind
from caxton.service.api.table import OPERATIONS

EMPTY = {"meta", "br", "link", "hr", "img", "input"}
IMPLIED_END = {"td", "th", "tr", "p", "li"}


class Outline(HTMLParser):
    """The anchors, the links and the text of a page, and every tag that is not closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.crossed: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        named = dict(attrs)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named["href"]] if "href" in named else []
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open[-1] != tag and self._open[-1] in IMPLIED_END:
            self._open.pop()
        if not self._open or self._open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(http):
    answer = http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


@pytest.fixture
def outline(page):
    return Outline(page)


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(page, outline):
    assert outline.crossed == []
    assert not outline.tags & {"script", "link", "img", "iframe"}
    assert not re.search(r"https?://(?!localhost)", page)
    assert "url(" not in page
    assert "color-scheme: light dark" in page


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.name for operation in OPERATIONS])
def test_every_operation_is_described(outline, page, operation):
    assert operation.name in outline.ids
    article = page.split(f'<article id="{operation.name}">')[1].split("</article>")[0]
    text = Outline(article).text
    for expected in (operation.method, operation.path, operation.summary, "curl "):
        assert expected in text
    for field in operation.query.__struct_fields__ if operation.query else ():
        assert field in text
    if operation.body_kind is not BodyKind.NONE:
        assert " -d " in text or "--data-binary" in text
    for code in operation.errors:
        assert code in text


def test_every_code_has_an_anchor(outline):
    assert {f"error-{code}" for code in CODES} <= set(outline.ids)


def test_every_anchor_is_there_once_and_every_link_leads_to_one(outline, http):
    assert len(outline.ids) == len(set(outline.ids))
    for link in outline.links:
        if link.startswith("#"):
            assert link[1:] in outline.ids
        else:
            assert http.get(link).status_code == 200


def test_every_schema_that_is_mentioned_is_described(outline):
    assert {"schema-SendMessage", "schema-Reply", "schema-AgentView", "schema-Problem"} <= set(outline.ids)


def test_the_example_of_a_message_is_one_that_works(outline, http, messages):
    (example,) = set(re.findall(r"curl -X POST localhost:8080/agents/my-agent/message -d '(.+?)'", outline.text))
    assert http.post("/agents/my-agent/message", content=example).status_code == 200
    assert messages.last["body"].text
