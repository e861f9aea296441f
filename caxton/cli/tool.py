"""`caxton tool`: tools, the servers they come from, and who may use them."""

from pathlib import Path
from typing import Any

import click

from caxton.cli.complete import agent_name
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.service.api import tools
from caxton.service.api.tools import AnswerApproval, CallTool, DeployWasm


@click.group(cls=CaxtonGroup)
def tool() -> None:
    """List, try and explain tools, and answer calls that wait."""


@tool.command("list")
@click.option("--server", help="Only the tools of this server.")
@pass_session
def list_(session: Session, server: str | None) -> None:
    """List the tools of all servers."""
    from caxton.cli.waiting import waiting

    with waiting(session, "asking the tool servers"):
        answer = session.client().call(tools.LIST, query={"server": server})

    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [(t.name, "changed" if t.changed else "", _line(t.description or t.title)) for t in answer.tools]
        if rows:
            print_table(session, ("TOOL", "", "DESCRIPTION"), rows)
        elif not answer.failures:
            click.echo('There is no tool yet. Add one to caxton.toml: [mcp_servers.time] with standard = "time".')
        for name, error in answer.failures.items():
            click.echo(f"{name}: {error.message} {error.why}".rstrip(), err=True)

    session.show(answer, people)


@tool.command()
@click.argument("name")
@pass_session
def show(session: Session, name: str) -> None:
    """Show a tool and its arguments."""
    answer = session.client().call(tools.SHOW, path={"name": name})

    def people() -> None:
        from caxton.cli.tables import print_fields

        required = answer.parameters.get("required", [])
        arguments = [
            (f"  {key}", _argument(schema, key in required))
            for key, schema in answer.parameters.get("properties", {}).items()
        ]
        print_fields(
            session,
            [
                ("name", answer.name),
                ("description", answer.description),
                ("effects", "reads only" if answer.hints.read_only else "may change something"),
                ("changed", "yes: its description is not the approved one" if answer.changed else None),
                ("arguments", "" if arguments else "none"),
                *arguments,
            ],
        )

    session.show(answer, people)


@tool.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "given", metavar="OBJECT", help="All arguments as a JSON object.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait.")
@pass_session
def call(session: Session, name: str, arguments: tuple[str, ...], given: str | None, timeout: float | None) -> None:
    """Call a tool by hand. A VALUE is JSON where it can be read so, else text."""
    from caxton.cli.waiting import waiting

    body = CallTool(arguments=_arguments(arguments, given), timeout=timeout)
    with waiting(session, f"{name} works"):
        answer = session.client().call(tools.CALL, path={"name": name}, body=body)
    session.show(answer, lambda: click.echo(answer.text, err=answer.failed))
    if answer.failed:
        click.get_current_context().exit(1)


@tool.command()
@click.argument("agent", shell_complete=agent_name)
@click.argument("name")
@click.option("--json", "given", metavar="OBJECT", help="The call's arguments, for rules about these.")
@pass_session
def explain(session: Session, agent: str, name: str, given: str | None) -> None:
    """Say whether AGENT may call the tool, and which rule says so."""
    answer = session.client().call(tools.EXPLAIN, path={"name": name}, query={"agent": agent, "arguments": given})
    session.show(answer, lambda: click.echo(f"{answer.verdict}: {answer.why}"))


@tool.command()
@pass_session
def servers(session: Session) -> None:
    """List the servers of tools."""
    _servers(session, session.client().call(tools.SERVERS))


@tool.command()
@click.argument("server")
@pass_session
def restart(session: Session, server: str) -> None:
    """Restart a tool server."""
    _servers(session, session.client().call(tools.RESTART, path={"name": server}))


@tool.command()
@click.argument("server")
@pass_session
def logs(session: Session, server: str) -> None:
    """Show the newest lines of a tool server's log."""
    answer = session.client().call(tools.LOGS, path={"name": server})
    session.show(answer, lambda: click.echo("\n".join(answer.lines)))


@tool.command()
@click.argument("name")
@pass_session
def approve(session: Session, name: str) -> None:
    """Take a tool's present description for the approved one."""
    answer = session.client().call(tools.APPROVE, path={"name": name})
    session.show(answer, lambda: click.echo(f"{name} is approved as it is now."))


@tool.command()
@pass_session
def approvals(session: Session) -> None:
    """List the calls that wait for a yes."""
    answer = session.client().call(tools.APPROVALS)

    def people() -> None:
        import msgspec

        from caxton.cli.tables import moment, print_table

        if not answer.approvals:
            click.echo("No call waits.")
            return
        rows = [
            (a.id, a.agent or "", a.tool, msgspec.json.encode(a.arguments).decode(), moment(a.asked_at))
            for a in answer.approvals
        ]
        print_table(session, ("ID", "AGENT", "TOOL", "ARGUMENTS", "SINCE"), rows)
        click.echo("\nNext: caxton tool answer ID yes|no")

    session.show(answer, people)


@tool.command()
@click.argument("id")
@click.argument("answer", type=click.Choice(["yes", "no"]))
@click.option("--reason", default="", help="Why; the agent is told.")
@pass_session
def answer(session: Session, id: str, answer: str, reason: str) -> None:
    """Say yes or no to a call that waits."""
    import getpass

    body = AnswerApproval(granted=answer == "yes", by=getpass.getuser(), reason=reason)
    done = session.client().call(tools.ANSWER, path={"id": id}, body=body)
    session.show(done, lambda: click.echo("The call is made." if done.granted else "The call is refused."))


@tool.command()
@click.argument("name")
@click.argument("module", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sha256", default="", help="Refuse the module unless this is its hash.")
@click.option(
    "--signature", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file with its signature."
)
@click.option("--fuel", type=click.IntRange(min=1), help="Units of fuel for a call, about one an instruction.")
@click.option("--memory", metavar="SIZE", help='Memory of an instance: "64MB".')
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Longest call.")
@pass_session
def deploy(
    session: Session,
    name: str,
    module: Path,
    sha256: str,
    signature: Path | None,
    fuel: int | None,
    memory: str | None,
    seconds: float | None,
) -> None:
    """Add the WebAssembly tool server in the file MODULE, as NAME."""
    from caxton.cli.waiting import waiting
    from caxton.config.units import read_size
    from caxton.domain.tool_settings import WasmLimits

    try:
        bytes_ = read_size(memory) if memory else None
    except ValueError as error:
        raise click.UsageError(f"--memory: {error}, not {memory!r}.") from error
    given: dict[str, Any] = {"max_fuel": fuel, "max_memory_bytes": bytes_, "max_seconds": seconds}
    body = DeployWasm(
        name=name,
        module=module.read_bytes(),
        sha256=sha256,
        signature=signature.read_bytes() if signature else b"",
        limits=WasmLimits(**{key: value for key, value in given.items() if value is not None}),
    )
    with waiting(session, f"{name} is compiled"):
        answer = session.client().call(tools.DEPLOY, body=body)
    session.show(answer, lambda: click.echo(f"{name} offers {', '.join(answer.tools) or 'no tools'}."))


@tool.command()
@click.argument("name")
@pass_session
def undeploy(session: Session, name: str) -> None:
    """Remove a WebAssembly tool server that was added by `deploy`."""
    answer = session.client().call(tools.UNDEPLOY, path={"name": name})
    session.show(answer, lambda: click.echo(f"{name} is removed."))


@tool.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Newest to show.")
@pass_session
def violations(session: Session, limit: int) -> None:
    """List the newest calls that were refused."""
    answer = session.client().call(tools.VIOLATIONS, query={"limit": limit})

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [(moment(v.at), v.decision.agent or "", v.decision.tool, v.decision.why) for v in answer.violations]
        print_table(session, ("WHEN", "AGENT", "TOOL", "WHY"), rows)

    session.show(answer, people)


def _servers(session: Session, answer: Any) -> None:
    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [(s.name, s.kind, s.sharing, s.status, s.detail) for s in answer.servers]
        print_table(session, ("SERVER", "KIND", "SHARING", "STATUS", "DETAIL"), rows)

    session.show(answer, people)


def _arguments(pairs: tuple[str, ...], given: str | None) -> dict[str, Any]:
    import msgspec

    arguments: dict[str, Any] = {}
    if given is not None:
        try:
            arguments = msgspec.json.decode(given, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise click.UsageError(f"--json has to be a JSON object: {error}") from error
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise click.UsageError(f"An argument is written KEY=VALUE, not {pair!r}.")
        try:
            arguments[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            arguments[key] = value
    return arguments


def _argument(schema: dict[str, Any], required: bool) -> str:
    kind = schema.get("type", "any")
    return f"{kind}{', required' if required else ''}  {schema.get('description', '')}".rstrip()


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"
