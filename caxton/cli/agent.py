"""`caxton agent`: list, show and operate agents."""

import click

from caxton.cli.complete import agent_name
from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.domain.identifiers import ANONYMOUS, default_conversation
from caxton.service.api import agents, conversations, messages
from caxton.service.api.operation import Operation


@click.group(cls=CaxtonGroup)
def agent() -> None:
    """List, show and operate agents."""


name_argument = click.argument("name", shell_complete=agent_name)


@agent.command("list")
@pass_session
def list_(session: Session) -> None:
    """List the agents, and the files that define none."""
    answer = session.client().call(agents.LIST)

    def people() -> None:
        from caxton.cli.show import show_agents

        show_agents(session, answer)

    session.show(answer, people)


@agent.command()
@name_argument
@pass_session
def show(session: Session, name: str) -> None:
    """Show an agent: definition, state, last reload, last error."""
    _operate(session, agents.SHOW, name)


@agent.command()
@name_argument
@pass_session
def start(session: Session, name: str) -> None:
    """Start a stopped or failed agent."""
    _operate(session, agents.START, name)


@agent.command()
@name_argument
@pass_session
def stop(session: Session, name: str) -> None:
    """Stop an agent when its turns are done. It stays stopped until started."""
    _operate(session, agents.STOP, name)


@agent.command()
@name_argument
@pass_session
def restart(session: Session, name: str) -> None:
    """Stop and start an agent."""
    _operate(session, agents.RESTART, name)


@agent.command()
@name_argument
@pass_session
def reload(session: Session, name: str) -> None:
    """Read an agent's file again, now, and show the result."""
    _operate(session, agents.RELOAD, name)


@agent.command()
@name_argument
@click.option("--purge", is_flag=True, help="Erase its conversations and forget its id too.")
@yes_option
@pass_session
def delete(session: Session, name: str, purge: bool, yes: bool) -> None:
    """Delete an agent and its file. Its conversations stay, unless purged."""
    session.confirm(f"Delete agent {name} and its file{', and all its conversations' if purge else ''}?", yes=yes)
    answer = session.client().call(agents.DELETE, path={"name": name}, query={"purge": purge})
    session.show(answer, lambda: click.echo(f"Deleted agent {name}: {answer.file}"))


@agent.command()
@name_argument
@click.option("--conversation", help="Another conversation than the one you have with it.")
@click.option("--limit", default=50, show_default=True, help="Newest messages to show.")
@pass_session
def history(session: Session, name: str, conversation: str | None, limit: int) -> None:
    """Show what was said in a conversation with an agent."""
    client = session.client()
    query = {"conversation_id": conversation or default_conversation(ANONYMOUS, name), "limit": limit}
    answer = client.call(messages.LIST, path={"name": name}, query=query)
    talk = list(reversed(answer.messages))

    def people() -> None:
        from caxton.cli.show import show_messages

        show_messages(session, talk)

    session.show(talk, people)


@agent.command()
@name_argument
@click.option("--conversation", help="Only this conversation.")
@yes_option
@pass_session
def reset(session: Session, name: str, conversation: str | None, yes: bool) -> None:
    """Erase an agent's conversations."""
    session.confirm(
        f"Erase {f'conversation {conversation}' if conversation else f'all conversations of {name}'}?", yes=yes
    )
    client = session.client()
    if conversation:
        answer = client.call(conversations.RESET, path={"id": conversation})
    else:
        answer = client.call(agents.RESET, path={"name": name})
    session.show(answer, lambda: click.echo(f"Erased {answer.messages_erased} messages."))


@agent.command()
@name_argument
@click.option("--limit", default=20, show_default=True, help="Newest events to show.")
@pass_session
def events(session: Session, name: str, limit: int) -> None:
    """Show an agent's changes of state, newest first."""
    answer = session.client().call(agents.EVENTS, path={"name": name}, query={"limit": limit})

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [(moment(e.at), e.trigger, e.source, e.target, e.reason) for e in answer.events]
        print_table(session, ("WHEN", "WHAT", "FROM", "TO", "WHY"), rows)

    session.show(answer, people)


def _operate(session: Session, operation: Operation, name: str) -> None:
    answer = session.client().call(operation, path={"name": name})

    def people() -> None:
        from caxton.cli.show import show_agent

        show_agent(session, answer)

    session.show(answer, people)
