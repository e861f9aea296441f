"""How what the server answers is shown to people."""

from typing import Any

import click

from caxton.cli.failures import show_diagnostic
from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.cli.tables import moment, print_fields, print_table
from caxton.domain.address import read_address
from caxton.domain.agent import ReloadOutcome
from caxton.domain.conversation import Group
from caxton.service.api.agents import AgentList, AgentView
from caxton.service.api.conversations import Participation
from caxton.service.api.events import EventMessage
from caxton.service.api.messages import MessageView


def show_agents(session: Session, answer: AgentList) -> None:
    if answer.agents:
        columns = ("NAME", "STATE", "PROVIDER", "VERSION", "LAST TURN", "FILE IS", "DESCRIPTION")
        rows = [
            (a.name, a.state, a.provider, a.version, moment(a.last_activity), a.last_reload, a.description)
            for a in answer.agents
        ]
        print_table(session, columns, rows)
    else:
        click.echo("There is no agent yet. Next: caxton create hello --template assistant")
    for file in answer.rejected:
        click.echo(f"\n{file.file} defines no agent:")
        for diagnostic in file.diagnostics:
            show_diagnostic(session, diagnostic)


def show_agent(session: Session, agent: AgentView) -> None:
    definition, activity = agent.definition, agent.activity
    print_fields(
        session,
        [
            ("name", agent.name),
            ("id", agent.id),
            ("state", agent.state),
            ("description", definition.description),
            ("version", definition.version),
            ("provider", agent.provider),
            ("model", definition.llm.model),
            ("capabilities", ", ".join(definition.capabilities)),
            ("requires", ", ".join(definition.requires)),
            ("tags", ", ".join(definition.tags)),
            ("file", agent.file),
            ("last reload", f"{agent.last_reload.outcome}, {moment(agent.last_reload.at)}"),
            ("turns", f"{activity.turns}, of them failed {activity.failures}"),
            ("now", f"{activity.active_turns} turns under way, {activity.waiting} messages waiting"),
            ("last turn", moment(activity.last_activity)),
            ("last error", activity.last_error.message if activity.last_error else None),
            ("system prompt", definition.system_prompt.strip()),
        ],
    )
    for diagnostic in agent.warnings:
        show_diagnostic(session, diagnostic)
    if agent.last_reload.outcome is ReloadOutcome.REJECTED:
        click.echo("\nThe file as it is now was rejected; the agent goes on as it was before:")
    for diagnostic in agent.last_reload.diagnostics:
        show_diagnostic(session, diagnostic)


def show_messages(session: Session, messages: list[MessageView]) -> None:
    """A talk as it went: who said what."""
    if not messages:
        click.echo("Nothing was said yet.")
    for message in messages:
        name = click.style(message.sender, bold=True) if session.colored else message.sender
        click.echo(f"{name}  {moment(message.created_at)}\n{harmless(said(message).strip())}\n")


def show_group(session: Session, group: Group, events: list[Participation]) -> None:
    """Who takes part in a conversation, how they speak, and who came and went."""
    closed = moment(group.closed_at) if group.closed_at is not None else None
    print_fields(
        session,
        [
            ("title", group.title),
            ("participants", ", ".join(one.name for one in group.participants)),
            ("history", group.history),
            ("order", group.order),
            ("closed after", f"{group.idle:g} s of silence" if group.idle is not None else None),
            ("closed", closed),
            *((name, value) for name, value in group.metadata.items()),
            *(("joined" if one.joined else "left", f"{one.name}, {moment(one.at)}") for one in events),
        ],
    )
    click.echo()


def said_once(messages: list[MessageView]) -> list[MessageView]:
    """The messages without those that say to others what was said to one already."""
    said: dict[object, MessageView] = {}
    for message in messages:
        said.setdefault(saying(message), message)
    return list(said.values())


def saying(message: MessageView | EventMessage) -> object:
    """The same for all messages that say one thing to several, at once or one after another."""
    if message.addressed and not read_address(message.addressed).is_one:
        return message.sender, message.performative, message.reply_with or message.created_at
    return message.id


def said(message: MessageView | EventMessage) -> str:
    """The text of a message; of one without, what it is instead."""
    if message.text:
        return message.text
    error: dict[str, Any] = message.content.get("error", {})
    return f"({': '.join(part for part in (message.performative, error.get('message')) if part)})"
