"""How what the server answers is shown to people."""

from typing import Any

import click

from caxton.cli.failures import show_diagnostic
from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.cli.tables import moment, print_fields, print_table
from caxton.domain.agent import ReloadOutcome
from caxton.service.api.agents import AgentList, AgentView
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


def said(message: MessageView) -> str:
    """The text of a message; of one without, what it is instead."""
    if message.text:
        return message.text
    error: dict[str, Any] = message.content.get("error", {})
    return f"({': '.join(part for part in (message.performative, error.get('message')) if part)})"
