"""`caxton template`: the template library."""

import click

from caxton.cli.complete import template_name
from caxton.cli.session import CaxtonGroup, Session, pass_session


@click.group(cls=CaxtonGroup)
def template() -> None:
    """List and show agent templates."""


@template.command("list")
@pass_session
def list_(session: Session) -> None:
    """List the agent templates."""
    from caxton.config.templates import list_templates

    templates = list_templates()

    def people() -> None:
        from caxton.cli.tables import print_table

        print_table(
            session, ("NAME", "DESCRIPTION", "TAGS"), [(t.name, t.description, ", ".join(t.tags)) for t in templates]
        )
        click.echo("\nNext: caxton create NAME --template TEMPLATE")

    session.show(templates, people)


@template.command()
@click.argument("name", shell_complete=template_name)
@pass_session
def show(session: Session, name: str) -> None:
    """Print a template, ready to be saved and changed."""
    from caxton.config.templates import find_template

    found = find_template(name)
    session.show(found, lambda: click.echo(found.toml, nl=False))
