"""The readable description of the HTTP interface at /docs: one page, no script, nothing fetched from elsewhere."""

from functools import cache
from html import escape
from typing import Any

from caxton.domain.errors import CODES
from caxton.server.openapi import openapi

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #2a7ae2; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; text-transform: capitalize; }
article { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .25rem 1rem; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; }
nav a { margin-right: .75rem; }
a { color: var(--accent); }
summary { cursor: pointer; }
.method { color: var(--accent); font-weight: 700; }
"""

EXAMPLES = {"name": "my-agent", "model": "my-agent", "id": "ID"}
"""What stands for the parameters of a path in the examples."""


@cache
def docs_page() -> str:
    """The page, made from the OpenAPI document."""
    document = openapi()
    tags = [tag["name"] for tag in document["tags"]]
    sections = "".join(_section(tag, document["paths"]) for tag in tags)
    links = "".join(f'<a href="#{tag}">{tag}</a>' for tag in [*tags, "schemas", "errors"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Caxton {document["info"]["version"]}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>Caxton</h1><p>{escape(document['info']['description'])} For programs: "
        f'<a href="/openapi.json">/openapi.json</a>.</p><nav>{links}</nav>{sections}'
        f"{_schemas(document['components']['schemas'])}{_errors()}</html>"
    )


def _section(tag: str, paths: dict[str, Any]) -> str:
    articles = "".join(
        _article(method, path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    )
    return f'<h2 id="{tag}">{tag}</h2>{articles}'


def _article(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{p['name']}</code><td>{p['in']}<td>{_type(p['schema'])}"
        f"<td>{'required' if p['required'] else 'default ' + escape(repr(p['schema'].get('default')))}"
        for p in operation.get("parameters", ())
    )
    table = f"<table>{rows}</table>" if rows else ""
    contents = operation.get("requestBody", {}).get("content", {})
    body = "".join(f"<li><code>{kind}</code>: {_described(content['schema'])}" for kind, content in contents.items())
    answers = "".join(
        f"<tr><td>{status}<td>{escape(answer['description'])}<td>"
        + ", ".join(_described(content["schema"]) for content in answer.get("content", {}).values())
        for status, answer in operation["responses"].items()
    )
    return (
        f'<article id="{operation["operationId"]}"><h3><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code></h3><p>{escape(operation['summary'])}</p>{table}"
        f"{f'<p>Body:</p><ul>{body}</ul>' if body else ''}<pre>{escape(_curl(method, path, contents))}</pre>"
        f"<details><summary>Answers</summary><table>{answers}</table></details></article>"
    )


def _curl(method: str, path: str, contents: dict[str, Any]) -> str:
    verb = "" if method == "get" else f"-X {method.upper()} "
    for parameter, value in EXAMPLES.items():
        path = path.replace(f"{{{parameter}}}", value)
    data = ""
    if "application/toml" in contents:
        data = " --data-binary @my-agent.toml"
    elif "text/plain" in contents:
        data = ' -d \'{"text": "Hello"}\''
    elif contents:
        data = ' -d \'{"model": "my-agent", "messages": [{"role": "user", "content": "Hello"}]}\''
    return f"curl {verb}localhost:8080{path}{data}"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a word or two, with links to those that have a name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return f"<code>{escape(str(schema.get('type', 'any')))}</code>"


def _described(schema: dict[str, Any]) -> str:
    return f"{_type(schema)} {escape(schema.get('description', ''))}".rstrip()


def _schemas(components: dict[str, Any]) -> str:
    parts = []
    for name, schema in components.items():
        required = schema.get("required", ())
        rows = "".join(
            f"<tr><td><code>{field}</code><td>{_described(inner)}<td>{'' if field in required else 'optional'}"
            for field, inner in schema.get("properties", {}).items()
        )
        values = ", ".join(f"<code>{escape(str(value))}</code>" for value in schema.get("enum", ()))
        parts.append(
            f'<article id="schema-{name}"><h3>{name}</h3><p>{escape(schema.get("description", ""))}</p>{values}'
            f"<table>{rows}</table></article>"
        )
    return f'<h2 id="schemas">schemas</h2>{"".join(parts)}'


def _errors() -> str:
    rows = "".join(
        f'<tr id="error-{code}"><td><code>{code}</code><td>{info.http}<td>{escape(info.title)}<td>{escape(info.remedy)}'
        for code, info in CODES.items()
    )
    return f'<h2 id="errors">errors</h2><table><tr><th>code<th>status<th>means<th>what to do{rows}</table>'
