"""`caxton conversation`: list, show and reset conversations."""

import click

from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.service.api import conversations


@click.group(cls=CaxtonGroup)
def conversation() -> None:
    """List, show and reset conversations."""


@conversation.command("list")
@click.option("--agent", help="Only conversations with this agent.")
@click.option("--limit", default=50, show_default=True, help="How many, last active first.")
@click.option("--before", help="Only conversations after the one with this id, in that order.")
@pass_session
def list_(session: Session, agent: str | None, limit: int, before: str | None) -> None:
    """List conversations, last active first."""
    query = {"agent": agent, "limit": limit, "before": before}
    answer = session.client().call(conversations.LIST, query=query)

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [(c.id, c.agent, c.messages, moment(c.created_at), moment(c.updated_at)) for c in answer.conversations]
        print_table(session, ("ID", "AGENT", "MESSAGES", "BEGAN", "LAST ACTIVE"), rows)

    session.show(answer, people)


@conversation.command()
@click.argument("id")
@click.option("--limit", default=100, show_default=True, help="Newest messages to show.")
@pass_session
def show(session: Session, id: str, limit: int) -> None:
    """Show a conversation and its newest messages."""
    answer = session.client().call(conversations.SHOW, path={"id": id}, query={"limit": limit})

    def people() -> None:
        from caxton.cli.show import show_messages

        show_messages(session, answer.messages)

    session.show(answer, people)


@conversation.command()
@click.argument("id")
@yes_option
@pass_session
def reset(session: Session, id: str, yes: bool) -> None:
    """Erase a conversation's messages; the next turn begins afresh."""
    session.confirm(f"Erase conversation {id}?", yes=yes)
    answer = session.client().call(conversations.RESET, path={"id": id})
    session.show(answer, lambda: click.echo(f"Erased {answer.messages_erased} messages."))
