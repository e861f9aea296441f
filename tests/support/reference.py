"""The reference pages, made from the code they describe. `python -m support.reference` (in tests/) writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic_core import PydanticUndefined

from caxton.cli.main import cli
from caxton.cli.man import commands
from caxton.config.agent_file import AgentFile
from caxton.config.bus_tables import BusTable, RetriesTable
from caxton.config.check import FileModel
from caxton.config.codes import MEANINGS
from caxton.config.location import variable
from caxton.config.settings import MemoryTable, ProviderTable, ServerTable
from caxton.config.tool_tables import McpServerTable, RuleTable, ToolsTable
from caxton.domain.errors import CODES

FOLDER = Path(__file__).parent.parent.parent / "tutorial" / "reference"
COMMON = {"--url", "--output", "--no-color", "--help"}
NOTE = "<!-- Made from the code by `make docs`; a test holds the two together. -->\n"


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    return {
        "agent-file.md": _agent_file(),
        "settings.md": _settings(),
        "errors.md": _errors(),
        "commands.md": _commands(),
    }


def _agent_file() -> str:
    intro = """
An agent is one file, `NAME.toml`, in the agents directory (`~/.caxton/agents`). Only `name` and `system_prompt` are
required. Unknown keys are errors. `caxton validate FILE` checks a file; `caxton schema agent` prints the JSON Schema
for editors.
"""
    page = f"# Agent files\n{NOTE}{intro}\n{_table(AgentFile)}"
    for name, field in AgentFile.model_fields.items():
        if table := _inner(field.annotation):
            summary = (table.__doc__ or "").partition(": ")[2].capitalize()
            header = f"{name}.NAME" if get_origin(field.annotation) is dict else name
            page += f"\n## [{header}]\n\n{summary}\n\n{_table(table)}"
    return page


def _inner(annotation: Any) -> type[FileModel] | None:
    """The table of a key that holds one, or several by name."""
    inner = get_args(annotation)[1] if get_origin(annotation) is dict else annotation
    return inner if isinstance(inner, type) and issubclass(inner, FileModel) else None


def _settings() -> str:
    variables = "\n".join(f"| `{key}` | `{variable(key)}` |" for key in ServerTable.model_fields)
    return f"""# Server settings
{NOTE}
Everything works without a file. Caxton looks for one at `--config`, then at `CAXTON_CONFIG`, then for `caxton.toml` in
the current folder, then in the data directory. An option goes before an environment variable, that before the file, and
that before the default. `config/caxton.toml` is a commented example; `caxton schema server` prints the JSON Schema.

## [server]

{_table(ServerTable)}
Each key has an environment variable:

| key | variable |
| --- | --- |
{variables}

The command also reads `CAXTON_URL` (which server to speak to), `CAXTON_OUTPUT` (`table` or `json`) and `NO_COLOR`.

## [memory]

{_table(MemoryTable)}
## [bus]

{_table(BusTable)}
## [bus.retries]

{_table(RetriesTable)}
## [providers.NAME]

{_table(ProviderTable)}
The providers `local` (the embedded model) and `openai` (key in `OPENAI_API_KEY`) exist without being listed.

## [tools]

{_table(ToolsTable)}
## [[tools.rules]]

{_table(RuleTable)}
## [mcp_servers.NAME]

{_table(McpServerTable)}
One of the first five keys says what the server is. The tools `memory.*` for agents' own memory and `messaging.*` for
messages to other agents exist without being listed.
"""


def _errors() -> str:
    errors = "\n".join(
        f'| <a id="{code}"></a>`{code}` | {info.http} | {info.exit} | {info.title}. | {info.remedy} |'
        for code, info in CODES.items()
    )
    problems = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in MEANINGS.items())
    return f"""# Errors
{NOTE}
Every error has a stable code. REST answers with `application/problem+json` (RFC 9457) that holds it; the `caxton`
command prints it with `--output json` and exits with the status below.

| code | HTTP | exit | means | what to do |
| --- | --- | --- | --- | --- |
{errors}

## Diagnostics

What is wrong in a configuration file is told by diagnostics, each with one of these codes:

| code | means |
| --- | --- |
{problems}
"""


def _commands() -> str:
    context = click.Context(cli, info_name="caxton")
    parts = [_command(name, command, inner) for name, command, inner in commands(context)]
    return f"""# Commands
{NOTE}
Exit status: 0 done; 1 failed; 2 wrong usage; 3 the server cannot be reached; 130 interrupted. Every command takes
`--url`, `--output table|json` and `--no-color`. `caxton man` writes these pages for `man`.
{"".join(parts)}"""


def _command(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    records = [
        record
        for parameter in command.get_params(context)
        if not COMMON & set(parameter.opts) and (record := parameter.get_help_record(context))
    ]
    options = "".join(f"- `{flags}`: {' '.join(text.split())}\n" for flags, text in records)
    text = (command.help or "").replace("\b", "").strip()
    return f"\n## {name}\n\n```\n{usage}\n```\n\n{text}\n{f'{chr(10)}{options}' if options else ''}"


def _table(model: Any) -> str:
    rows = "\n".join(_rows(model))
    return f"| key | default | meaning |\n| --- | --- | --- |\n{rows}\n"


def _rows(model: type[FileModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, FileModel):
            yield f"| `[{name}]` | | See below. |"
            continue
        match field.default:
            case default if default is PydanticUndefined:
                shown = "required"
            case None:
                shown = ""
            case bool(default):
                shown = f"`{str(default).lower()}`"
            case str(default):
                shown = f'`"{default}"`'
            case default:
                shown = f"`{default}`"
        yield f"| `{name}` | {shown} | {field.description} |"


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
