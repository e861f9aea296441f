"""`caxton schema`: the file formats, for editors."""

import click

from caxton.cli.session import CaxtonCommand


@click.command(cls=CaxtonCommand)
@click.argument("format", type=click.Choice(["agent", "server"]), default="agent")
def schema(format: str) -> None:
    """Print the JSON Schema of agent files or of caxton.toml, for editors that complete and check TOML."""
    import json

    from caxton.config.schema import agent_schema, server_schema

    click.echo(json.dumps(agent_schema() if format == "agent" else server_schema(), indent=2))
