"""`caxton bus`: what goes through the bus, in figures and as it happens."""

import time
from functools import partial
from typing import Any

import click

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.domain.statistics import Flow, Latency, Rate, Statistics
from caxton.service.api import bus as operations
from caxton.service.api import events
from caxton.service.api.events import AgentEvent, EventsMissed, FeedEvent, FeedOpened, MessageEvent

INTERVAL = 2.0
"""Seconds between two looks."""


@click.group(cls=CaxtonGroup)
def bus() -> None:
    """See what goes through the bus."""


@bus.command()
@click.option("--agent", shell_complete=agent_name, help="Only the messages to this agent.")
@click.option("--watch", is_flag=True, help="Look again every 2 seconds, until interrupted.")
@pass_session
def stats(session: Session, agent: str | None, watch: bool) -> None:
    """Show counters, latencies, rates and queues since the server started."""
    client = session.client()
    while True:
        answer = client.call(operations.STATS, query={"receiver": agent})
        if watch and not session.json:
            click.clear()
        session.show(answer, partial(_show, session, answer))
        if not watch:
            return
        time.sleep(INTERVAL)


@bus.command()
@click.option("--agent", shell_complete=agent_name, help="Only what this agent sends, receives, or is.")
@click.option("--conversation", help="Only messages of this conversation.")
@click.option(
    "--kind", metavar="KIND[,KIND]", help="Only these: accepted, started, settled, failed, retried, buried, refused."
)
@click.option("--performative", metavar="ACT[,ACT]", help="Only messages of these performatives.")
@click.option("--sender", help="Only messages from this sender.")
@click.option("--trace", help="Only messages of the trace with this id.")
@click.option("--after", metavar="ID", help="First what happened after this event, as far as it is kept.")
@click.option("--limit", type=click.IntRange(1), help="End after so many events.")
@pass_session
def tail(
    session: Session,
    agent: str | None,
    conversation: str | None,
    kind: str | None,
    performative: str | None,
    sender: str | None,
    trace: str | None,
    after: str | None,
    limit: int | None,
) -> None:
    """Follow what happens to messages and agents, until interrupted. For programs it is one JSON value a line."""
    query = {
        "agent": agent,
        "conversation_id": conversation,
        "kind": kind,
        "performative": performative,
        "sender": sender,
        "trace_id": trace,
        "after": after,
    }
    told = 0
    for event in session.client().stream(events.STREAM, query=query):
        if session.json:
            import msgspec

            click.echo(msgspec.json.encode(event))
        elif line := _line(session, event):
            click.echo(line)
        told += not isinstance(event, FeedOpened)
        if told == limit:
            return


def _show(session: Session, answer: Statistics) -> None:
    from caxton.cli.tables import moment, print_fields, print_table

    total = answer.total
    names = ("accepted", "started", "settled", "failed", "retried", "buried", "refused")
    print_fields(
        session,
        [
            ("since", moment(answer.since)),
            ("messages", ", ".join(f"{getattr(total, name)} {name}" for name in names)),
            ("waiting", _latency(total.waiting)),
            ("handling", _latency(total.handling)),
            ("arrivals", _rate(total.arrivals)),
            ("ends", _rate(total.ends)),
            ("queues", f"{total.queue.depth} in hand, {total.queue.stored} more in the store"),
        ],
    )
    if answer.receivers:
        click.echo()
        columns = (
            "RECEIVER",
            "ACCEPTED",
            "SETTLED",
            "FAILED",
            "BURIED",
            "IN HAND",
            "PEAK",
            "STORED",
            "WAITED",
            "HANDLED",
        )
        print_table(session, columns, [(name, *_row(flow)) for name, flow in answer.receivers.items()])


def _row(flow: Flow) -> tuple[object, ...]:
    queue = flow.queue
    waited, handled = (
        f"{_time(one.p50)} / {_time(one.p99)}" if one.count else "" for one in (flow.waiting, flow.handling)
    )
    counts = flow.accepted, flow.settled, flow.failed, flow.buried
    return (*counts, queue.depth, queue.peak, queue.stored, waited, handled)


def _latency(latency: Latency) -> str:
    if not latency.count:
        return ""
    parts = [f"{name} {_time(getattr(latency, name))}" for name in ("p50", "p90", "p95", "p99")]
    return ", ".join([*parts, f"longest {_time(latency.longest)}"])


def _rate(rate: Rate) -> str:
    return f"{rate.m1:.3g}/s over 1 min, {rate.m5:.3g}/s over 5, {rate.m15:.3g}/s over 15, {rate.m60:.3g}/s over 60"


def _time(seconds: float) -> str:
    """A duration in the unit that people would give it in."""
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _line(session: Session, event: FeedEvent) -> str:
    """An event in one line; none for the opening."""
    match event:
        case MessageEvent():
            message = event.message
            what = f"{message.performative} {message.sender} → {message.receiver}"
            return _told(session, event.at, event.kind, what, event.error.message if event.error else message.text)
        case AgentEvent():
            return _told(session, event.at, "agent", f"{event.agent}: {event.source} → {event.target}", event.reason)
        case EventsMissed():
            return f"({'some' if event.count is None else event.count} events are missing here)"
        case _:
            return ""


def _told(session: Session, at: float, kind: str, what: str, text: str) -> str:
    from caxton.cli.tables import STATE_STYLES

    style: dict[str, Any] = dict(STATE_STYLES.get(kind, {}))
    shown = click.style(f"{kind:<8}", **style) if session.colored and style else f"{kind:<8}"
    said = " ".join(text.split())
    said = said if len(said) <= 60 else f"{said[:59]}…"
    return harmless(f"{time.strftime('%H:%M:%S', time.localtime(at))} ") + shown + harmless(f" {what}  {said}".rstrip())
