"""The template library: agent files that work as they are."""

import json
from pathlib import Path

import tomli

from caxton.config.places import Places
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.suggestion import did_you_mean
from caxton.domain.template import AgentTemplate

INSTALLED = Path(__file__).parent.parent / "templates"
CHECKOUT = Path(__file__).parent.parent.parent / "templates"


def list_templates() -> list[AgentTemplate]:
    """All templates by name: those of the installed package, or of the checkout it runs from."""
    folder = INSTALLED if INSTALLED.is_dir() else CHECKOUT
    return [_template(path) for path in sorted(folder.glob("*.toml"))]


def find_template(name: str) -> AgentTemplate:
    """The template of that name; CaxtonError `template_not_found` naming the nearest."""
    templates = {template.name: template for template in list_templates()}
    if template := templates.get(name):
        return template
    hint = did_you_mean(name, templates) or f"There are: {', '.join(templates)}."
    raise CaxtonError(Code.TEMPLATE_NOT_FOUND, f"There is no template {name!r}.", hint=hint)


def instantiate(template: AgentTemplate, name: str) -> str:
    """The template's text with `name` for the agent's name; all else, comments too, stays as it is.

    The name is not checked here; it is quoted, and the text is validated like any other.
    """
    lines = template.toml.split("\n")
    span = Places(template.toml).of(("name",))
    line = lines[span.line - 1]
    quoted = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    lines[span.line - 1] = line[: span.column - 1] + quoted + line[span.column - 1 + span.length :]
    return "\n".join(lines)


def _template(path: Path) -> AgentTemplate:
    text = path.read_text(encoding="utf-8")
    data = tomli.loads(text)
    return AgentTemplate(
        name=path.stem, description=data.get("description", ""), tags=tuple(data.get("tags", ())), toml=text
    )
