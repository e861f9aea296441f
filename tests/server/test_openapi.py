"""The OpenAPI document."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from caxton.domain.errors import CODES
from caxton.service.api.operation import BodyKind
from caxton.service.api.table import OPERATIONS

PATHS = [(operation, path) for operation in OPERATIONS for path in (operation.path, *operation.aliases)]
IDS = [f"{operation.method} {path}" for operation, path in PATHS]


@pytest.fixture
def document(http):
    answer = http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    validate(document, cls=OpenAPIV31SpecValidator)


@pytest.mark.parametrize(("operation", "path"), PATHS, ids=IDS)
def test_every_operation_is_described(document, operation, path):
    described = document["paths"][path][operation.method.lower()]
    assert described["summary"] == operation.summary
    assert described["tags"] == [operation.noun]
    parameters = {(parameter["in"], parameter["name"]) for parameter in described["parameters"]}
    expected = {("path", name) for name in re.findall(r"\{(\w+)\}", path)}
    expected |= {("query", name) for name in operation.query.__struct_fields__} if operation.query else set()
    if operation.body_kind in (BodyKind.MESSAGE, BodyKind.FIPA):
        expected |= {("header", "Idempotency-Key"), ("header", "traceparent")}
    assert parameters == expected
    assert ("requestBody" in described) == (operation.body_kind is not BodyKind.NONE)
    answers = described["responses"]
    assert ("application/json" in answers[str(operation.status)]["content"]) is not operation.endless
    for code in operation.errors:
        assert f"`{code}`" in answers[str(CODES[code].http)]["description"]
        assert "application/problem+json" in answers[str(CODES[code].http)]["content"]


def test_operation_ids_are_unique(document):
    ids = [described["operationId"] for methods in document["paths"].values() for described in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_tag_is_declared(document):
    declared = {tag["name"] for tag in document["tags"]}
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}
    assert used == declared


def test_a_message_may_be_json_or_text_and_its_reply_may_stream(document):
    described = document["paths"]["/agents/{name}/message"]["post"]
    assert set(described["requestBody"]["content"]) == {"application/json", "text/plain"}
    assert set(described["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert {"400", "413", "415", "422"} <= set(described["responses"])


def test_a_definition_may_be_toml_or_json(document):
    described = document["paths"]["/agents/{name}"]["put"]["requestBody"]
    assert set(described["content"]) == {"application/toml", "application/json"}
    assert described["required"] is True
    assert document["paths"]["/agents"]["post"]["requestBody"]["required"] is False


def test_the_bounds_of_a_page_are_described(document):
    (limit,) = [p for p in document["paths"]["/conversations"]["get"]["parameters"] if p["name"] == "limit"]
    assert limit["required"] is False
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}


def test_readiness_is_described_when_not_ready_too(document):
    answer = document["paths"]["/ready"]["get"]["responses"]["503"]["content"]
    assert answer["application/json"] == {"schema": {"$ref": "#/components/schemas/Readiness"}}


def test_every_schema_is_used_and_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert used == set(schemas)


def test_the_openai_compatible_operations_are_described(document):
    assert document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ] == {"$ref": "#/components/schemas/ChatRequest"}
    assert {"/v1/models", "/v1/models/{model}"} <= set(document["paths"])
