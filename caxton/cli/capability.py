"""`caxton capability`: what agents can do for each other."""

import click

from caxton.cli.complete import capability_name
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.service.api import capabilities


@click.group(cls=CaxtonGroup)
def capability() -> None:
    """List and show what agents can do for each other."""


@capability.command("list")
@pass_session
def list_capabilities(session: Session) -> None:
    """List what agents offer, and what they require of each other."""
    answer = session.client().call(capabilities.LIST)

    def shown() -> None:
        from caxton.cli.tables import print_table

        if not answer.capabilities:
            click.echo('No agent offers anything yet. Next: capabilities = ["data-analysis"] in an agent\'s file.')
            return
        rows = [
            (one.name, ", ".join(one.agents) or "nobody", one.running, ", ".join(one.required_by), one.description)
            for one in answer.capabilities
        ]
        print_table(session, ("CAPABILITY", "AGENTS", "RUNNING", "REQUIRED BY", "DESCRIPTION"), rows)

    session.show(answer, shown)


@capability.command()
@click.argument("name", shell_complete=capability_name)
@pass_session
def show(session: Session, name: str) -> None:
    """Show who offers a capability, its schemas, load and speed.

    Without a version all its versions are shown.
    """
    answer = session.client().call(capabilities.SHOW, path={"name": name})

    def shown() -> None:
        import json

        from caxton.cli.harmless import harmless
        from caxton.cli.tables import print_fields, print_table

        required_by = ", ".join(answer.required_by)
        if not answer.providers:
            click.echo(f"No agent can do {answer.name!r}, which {required_by} requires.")
            return
        rows = [
            (one.agent, one.capability, one.state, f"{one.waiting} of {one.limit}", speed(one.seconds))
            for one in answer.providers
        ]
        print_table(session, ("AGENT", "CAPABILITY", "STATE", "IN HAND", "TAKES"), rows)
        if required_by:
            click.echo(f"\nRequired by: {required_by}.")
        for one in answer.providers:
            told = [
                ("description", one.description),
                *((side, json.dumps(schema, ensure_ascii=False)) for side, schema in _schemas(one)),
            ]
            if any(value for _, value in told):
                click.echo(f"\n{harmless(one.agent)}, {harmless(one.capability)}:")
                print_fields(session, told)

    session.show(answer, shown)


def _schemas(one: capabilities.ProviderEntry) -> list[tuple[str, object]]:
    return [(side, schema) for side, schema in (("input", one.input), ("output", one.output)) if schema is not None]


def speed(seconds: float | None) -> str:
    """How long something took, as people read it."""
    return "unknown" if seconds is None else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
