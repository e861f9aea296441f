"""`caxton memory`: what agents remember."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.service.api import memory as api
from caxton.service.api.memory import AddMemory, Exported, ImportMemory

BATCH_BYTES = 500_000
"""Of an import, what is sent at once: well below the largest body that a server takes."""


def space_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say whose memory is meant; the command gets `scope` and `owner`."""
    for name in ("agent", "workspace", "conversation"):
        command = click.option(f"--{name}", metavar="NAME", help=f"The memory of this {name}.")(command)
    return click.option("--global", "everyone", is_flag=True, help="The memory that all agents share.")(command)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--key", help="The entry of this key.")(command)
    command = click.option("--tag", help="Entries with this tag.")(command)
    command = click.option("--subject", help="Entries from or about this person.")(command)
    return space_options(command)


def wanted(given: dict[str, Any]) -> dict[str, Any]:
    """The query that the options of `filter_options` come to."""
    owners = {"agent": given.pop("agent"), "workspace": given.pop("workspace"), "session": given.pop("conversation")}
    named = {scope: owner for scope, owner in owners.items() if owner is not None}
    if given.pop("everyone"):
        named["global"] = None
    if len(named) > 1:
        raise click.UsageError("Choose one of --agent, --workspace, --conversation and --global.")
    for scope, owner in named.items():
        given |= {"scope": scope, "owner": owner}
    return given


@click.group(cls=CaxtonGroup)
def memory() -> None:
    """Search, add, list and forget what agents remember."""


@memory.command()
@click.argument("text")
@click.option("--mode", type=click.Choice(["hybrid", "semantic", "exact"]), default="hybrid", show_default=True)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most hits.")
@filter_options
@pass_session
def search(session: Session, /, text: str, **given: Any) -> None:
    """Search by meaning, by words, or by both."""
    answer = session.client().call(api.SEARCH, query={"text": text, **wanted(given)})

    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [(f"{h.score:.3f}", h.entry.id, _space(h.entry), _line(h.entry)) for h in answer.hits]
        print_table(session, ("SCORE", "ID", "SPACE", "TEXT"), rows)
        if answer.warning:
            click.echo(f"warning: {answer.warning}", err=True)

    session.show(answer, people)


@memory.command()
@click.argument("text")
@click.option("--key", help="Replaces the entry of this key, if there is one.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by; may be repeated.")
@click.option(
    "--importance", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="What matters stays longer."
)
@click.option("--subject", help="The person that it is from or about.")
@click.option("--expires-in", metavar="DURATION", help='Forgotten after that: "30d", "1h".')
@space_options
@pass_session
def add(session: Session, /, text: str, tags: tuple[str, ...], expires_in: str | None, **given: Any) -> None:
    """Remember TEXT."""
    from caxton.config.units import read_duration

    try:
        seconds = read_duration(expires_in) if expires_in else None
    except ValueError as error:
        raise click.UsageError(f"--expires-in: {error}, not {expires_in!r}.") from error
    fields = wanted(given)
    if "scope" not in fields:
        raise click.UsageError("Say whose memory: --agent, --workspace, --conversation or --global.")
    fields["owner"] = fields["owner"] or ""
    body = AddMemory(value=text, tags=tags, expires_in=seconds, **fields)
    answer = session.client().call(api.ADD, body=body)
    session.show(answer, lambda: click.echo(f"Remembered as {answer.id}."))


@memory.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Newest entries to show.")
@click.option("--before", metavar="ID", help="Only entries older than this one.")
@filter_options
@pass_session
def list_(session: Session, /, **given: Any) -> None:
    """List what is remembered, newest first."""
    answer = session.client().call(api.LIST, query=wanted(given))

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [(e.id, moment(e.updated_at), _space(e), e.key or "", _line(e)) for e in answer.entries]
        print_table(session, ("ID", "WHEN", "SPACE", "KEY", "TEXT"), rows)

    session.show(answer, people)


@memory.command()
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show an entry."""
    answer = session.client().call(api.SHOW, path={"id": id})

    def people() -> None:
        from caxton.cli.tables import moment, print_fields

        print_fields(
            session,
            [
                ("id", answer.id),
                ("space", _space(answer)),
                ("key", answer.key),
                ("tags", ", ".join(answer.tags)),
                ("importance", f"{answer.importance:g}"),
                ("subject", answer.subject),
                ("learnt from", answer.source),
                ("made", moment(answer.created_at)),
                ("last used", moment(answer.used_at)),
                ("expires", moment(answer.expires_at) if answer.expires_at else None),
                ("text", answer.text),
            ],
        )

    session.show(answer, people)


@memory.command()
@click.argument("id", required=False)
@click.option("--all", "all_", is_flag=True, help="Everything of everyone.")
@filter_options
@yes_option
@pass_session
def forget(session: Session, /, id: str | None, all_: bool, yes: bool, **given: Any) -> None:
    """Forget one entry, or all that meet the conditions."""
    query = {**wanted(given), "id": id, "all": all_ or None}
    if not any(query.values()):
        raise click.UsageError("Say what to forget: an ID, a condition, or --all.")
    session.confirm("Forget it for good?", yes=yes)
    answer = session.client().call(api.FORGET, query=query)
    session.show(answer, lambda: click.echo(f"Forgotten: {answer.entries}."))


@memory.command()
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@filter_options
@pass_session
def export(session: Session, /, file: TextIO, **given: Any) -> None:
    """Write entries and relations to FILE, one JSON object a line."""
    import msgspec

    done = None
    for event in session.client().stream(api.EXPORT, query=wanted(given)):
        if isinstance(event, Exported):
            done = event
        else:
            file.write(msgspec.json.encode(event).decode() + "\n")
    if done and file.name != "-":
        session.show(done, lambda: click.echo(f"Exported: {done.count}."))


@memory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_session
def import_(session: Session, file: Path) -> None:
    """Store the entries and relations of an exported FILE."""
    from caxton.cli.waiting import progress

    client, new = session.client(), 0
    with progress(session, f"reading {file.name}") as advance:
        total, done = file.stat().st_size, 0
        for batch, size in _batches(file):
            new += client.call(api.IMPORT, body=ImportMemory(records=batch)).records
            done += size
            advance(f"{new} new", done, total)
    session.show({"records": new}, lambda: click.echo(f"Imported: {new} new."))


@memory.command()
@space_options
@pass_session
def stats(session: Session, /, **given: Any) -> None:
    """Show how much is remembered."""
    _stats(session, session.client().call(api.STATS, query=wanted(given)))


@memory.command()
@pass_session
def reindex(session: Session) -> None:
    """Embed every entry anew, in the background."""
    _stats(session, session.client().call(api.REINDEX))


def _stats(session: Session, answer: Any) -> None:
    def people() -> None:
        from caxton.cli.tables import print_fields

        print_fields(
            session,
            [
                ("entries", f"{answer.entries} in {answer.spaces} spaces, {answer.bytes} bytes"),
                ("embedded", f"{answer.embedded}, {answer.pending} still to come"),
                ("model", f"{answer.model}, {answer.dimension or 'unknown'} dimensions"),
                ("error", answer.error),
            ],
        )

    session.show(answer, people)


def _batches(file: Path) -> Iterator[tuple[list[Any], int]]:
    """The records of an export in batches, with the bytes that each takes in the file."""
    import msgspec

    from caxton.domain.memory import MemoryEntry, Relation

    decode = msgspec.json.Decoder(MemoryEntry | Relation).decode
    batch: list[Any] = []
    size = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                batch.append(decode(line))
            except msgspec.MsgspecError as error:
                raise click.ClickException(f"{file}:{number} is no exported record: {error}") from error
            size += len(line)
            if size >= BATCH_BYTES:
                yield batch, size
                batch, size = [], 0
    if batch:
        yield batch, size


def _space(entry: Any) -> str:
    return f"{entry.space.scope}:{entry.space.owner}" if entry.space.owner else str(entry.space.scope)


def _line(entry: Any) -> str:
    text = " ".join(entry.text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
