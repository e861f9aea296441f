"""`caxton person`: what is kept of people, found and erased."""

import click

from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.service.api import people


@click.group(cls=CaxtonGroup)
def person() -> None:
    """Show what is kept of a person, and erase it everywhere."""


@person.command()
@click.argument("name")
@pass_session
def show(session: Session, name: str) -> None:
    """Show what is kept of a person.

    A person is the sender of messages and the subject of memories.
    """
    answer = session.client().call(people.SHOW, path={"person": name})

    def shown() -> None:
        from caxton.cli.tables import moment, print_table

        click.echo(f"Memories: {answer.memories}. Conversations: {len(answer.conversations)}.")
        if answer.groups:
            click.echo(f"Takes part in: {', '.join(answer.groups)}.")
        if answer.conversations:
            rows = [(c.id, c.agent, c.messages, moment(c.updated_at)) for c in answer.conversations]
            print_table(session, ("ID", "AGENT", "MESSAGES", "LAST ACTIVE"), rows)

    session.show(answer, shown)


@person.command()
@click.argument("name")
@yes_option
@pass_session
def forget(session: Session, name: str, yes: bool) -> None:
    """Erase what is kept of a person, everywhere.

    Their memories go, and every conversation they took part in, with all that was said there.
    """
    session.confirm(f"Erase everything that is kept of {name}?", yes=yes)
    answer = session.client().call(people.FORGET, path={"person": name})

    def shown() -> None:
        click.echo(
            f"Erased: {answer.memories} memories, {answer.messages} messages in {answer.conversations} conversations."
        )
        if answer.waiting:
            click.echo(
                f"warning: {answer.waiting} of the messages were not answered yet. Ask again when they are.", err=True
            )

    session.show(answer, shown)
