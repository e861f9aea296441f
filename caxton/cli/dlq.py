"""`caxton dlq`: dead letters, and the way back."""

from collections.abc import Callable
from typing import Any

import click

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.service.api import dead_letters as api
from caxton.service.api.dead_letters import RedirectLetter, Replayed, ReplayLetters


@click.group(cls=CaxtonGroup)
def dlq() -> None:
    """Look at dead letters, and deliver or delete them.

    A dead letter is a message that could not be delivered or handled, however often that was tried.
    """


def which(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which dead letters are meant."""
    command = click.option("--code", metavar="CODE", help="Those that died of this error.")(command)
    return click.option("--receiver", metavar="AGENT", help="Those for this agent.", shell_complete=agent_name)(command)


all_option = click.option("--all", "all_", is_flag=True, help="Every one of them.")


@dlq.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Newest ones to show.")
@click.option("--before", metavar="ID", help="Only those that died before this one.")
@which
@pass_session
def list_(session: Session, /, **given: Any) -> None:
    """List dead letters, newest first."""
    answer = session.client().call(api.LIST, query=given)

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        if not answer.letters:
            click.echo("No dead letters.")
            return
        rows = [
            (one.id, moment(one.died_at), one.sender, one.receiver, one.attempts, one.code, one.error)
            for one in answer.letters
        ]
        print_table(session, ("ID", "DIED", "FROM", "TO", "ATTEMPTS", "CODE", "ERROR"), rows)
        if answer.next:
            click.echo(f"More: caxton dlq list --before {answer.next}", err=True)

    session.show(answer, people)


@dlq.command()
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show a dead letter, with every failed attempt."""
    letter = session.client().call(api.SHOW, path={"id": id})

    def people() -> None:
        from caxton.cli.tables import moment, print_fields, print_table

        print_fields(
            session,
            [
                ("id", letter.id),
                ("from", letter.sender),
                ("to", letter.receiver),
                ("addressed to", letter.addressed),
                ("performative", letter.performative),
                ("conversation", letter.conversation_id),
                ("sent", moment(letter.created_at)),
                ("died", moment(letter.died_at)),
                ("caused by", letter.cause),
                ("trace", letter.trace),
                ("text", letter.text),
            ],
        )
        click.echo()
        rows = [(f.attempt, moment(f.at), f.error.code, f.error.message) for f in letter.failures]
        print_table(session, ("ATTEMPT", "WHEN", "CODE", "ERROR"), rows)
        last = letter.failures[-1].error
        for said in (last.why, last.hint):
            if said:
                click.echo(harmless(said))

    session.show(letter, people)


@dlq.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@all_option
@which
@pass_session
def replay(session: Session, ids: tuple[str, ...], all_: bool, receiver: str | None, code: str | None) -> None:
    """Deliver dead letters again.

    Those named, or all that meet the conditions.
    """
    _check(ids, all_, receiver, code)
    if ids:
        done = _each(session, ids, lambda client, id: client.call(api.REPLAY, path={"id": id}))
    else:
        done = _pages(session, receiver=receiver, code=code, to=None)
    _tell(session, done)


@dlq.command()
@click.argument("agent", shell_complete=agent_name)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@all_option
@which
@pass_session
def redirect(
    session: Session, agent: str, ids: tuple[str, ...], all_: bool, receiver: str | None, code: str | None
) -> None:
    """Deliver dead letters to AGENT instead.

    Those named, or all that meet the conditions.
    """
    _check(ids, all_, receiver, code)
    if ids:
        body = RedirectLetter(receiver=agent)
        done = _each(session, ids, lambda client, id: client.call(api.REDIRECT, path={"id": id}, body=body))
    else:
        done = _pages(session, receiver=receiver, code=code, to=agent)
    _tell(session, done)


@dlq.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--older-than", metavar="DURATION", help='Those that died longer ago: "30d", "1h".')
@all_option
@which
@yes_option
@pass_session
def purge(
    session: Session,
    ids: tuple[str, ...],
    older_than: str | None,
    all_: bool,
    receiver: str | None,
    code: str | None,
    yes: bool,
) -> None:
    """Delete dead letters for good.

    Those named, or all that meet the conditions.
    """
    from caxton.cli.posting import seconds

    age = seconds("--older-than", older_than)
    _check(ids, all_, receiver, code, older_than)
    session.confirm("Delete these dead letters for good?", yes=yes)
    client = session.client()
    conditions = {"receiver": receiver, "code": code, "older_than": age, "all": all_ or None}
    wanted = [{**conditions, "id": id} for id in ids] or [conditions]
    purged = sum(client.call(api.PURGE, query=query).purged for query in wanted)
    session.show({"purged": purged}, lambda: click.echo(f"Deleted: {purged}."))


@dlq.command()
@pass_session
def stats(session: Session) -> None:
    """Count dead letters by receiver and error."""
    answer = session.client().call(api.STATS)

    def people() -> None:
        from caxton.cli.tables import print_table

        if answer.counts:
            print_table(session, ("TO", "CODE", "COUNT"), [(c.receiver, c.code, c.count) for c in answer.counts])
        click.echo(f"Dead letters: {answer.total}.")

    session.show(answer, people)


def _check(ids: tuple[str, ...], all_: bool, *conditions: str | None) -> None:
    """Say what is missing, or too much: names go alone, and everything only where that is said."""
    if ids and (all_ or any(conditions)):
        raise click.UsageError("Name them, or say what they have in common, not both.")
    if not (ids or all_ or any(conditions)):
        raise click.UsageError("Say which: IDs, --receiver, --code, or --all.")


def _each(session: Session, ids: tuple[str, ...], one: Callable[[Any, str], Replayed]) -> Replayed:
    client = session.client()
    answers = [one(client, id) for id in ids]
    return Replayed(replayed=len(answers), left=0, unknown=0, before=answers[-1].before)


def _pages(session: Session, *, receiver: str | None, code: str | None, to: str | None) -> Replayed:
    """Page after page, until there is nothing left that was dead when it began."""
    from caxton.cli.waiting import progress

    client = session.client()
    before: float | None = None
    done = 0
    with progress(session, "replaying", counted=True) as advance:
        while True:
            body = ReplayLetters(receiver=receiver, code=code, to=to, before=before)
            answer: Replayed = client.call(api.REPLAY_ALL, body=body)
            done, before = done + answer.replayed, answer.before
            advance("", done, done + answer.left)
            if not answer.replayed or not answer.left:
                return Replayed(replayed=done, left=answer.left, unknown=answer.unknown, before=before)


def _tell(session: Session, done: Replayed) -> None:
    def people() -> None:
        click.echo(f"Replayed: {done.replayed}.")
        if done.unknown:
            click.echo(
                f"{done.unknown} are for agents that are not there. Deliver them to another: caxton dlq redirect",
                err=True,
            )

    session.show({"replayed": done.replayed, "unknown": done.unknown}, people)
