"""What all commands share: the options that each of them takes, and what follows from those."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click


class Session:
    """One run of the command. `environ` is where settings are looked up."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.flags: dict[str, object] = {}
        self.output: str | None = None
        self.color: bool | None = None

    @property
    def json(self) -> bool:
        """Whether the output is for programs."""
        return (self.output or self.environ.get("CAXTON_OUTPUT")) == "json"

    @property
    def interactive(self) -> bool:
        """Whether a person sits at both ends."""
        return sys.stdin.isatty() and sys.stdout.isatty() and not self.json

    @property
    def colored(self) -> bool:
        """Whether to colour: on a terminal, unless NO_COLOR (no-color.org) or `--no-color` say otherwise."""
        if self.color is not None:
            return self.color
        return sys.stdout.isatty() and not self.environ.get("NO_COLOR")

    def location(self, **flags: object) -> Any:
        """Data directory and URL of the server that is meant (`config.location.Location`)."""
        from caxton.config.location import locate

        return locate({**self.flags, **{k: v for k, v in flags.items() if v is not None}}, self.environ, Path.cwd())

    def url(self) -> str:
        """The server that is meant: as `--url` or CAXTON_URL say, else the one that runs in the data directory.

        Where none runs, the address that one would have.
        """
        location = self.location()
        if self.url_given:
            return str(location.url)
        from caxton.process.pidfile import read

        instance = read(location.pid_file)
        return instance.url if instance else str(location.url)

    @property
    def url_given(self) -> bool:
        """Whether a certain server is asked for, whatever runs in the data directory."""
        return bool(self.flags.get("url") or self.environ.get("CAXTON_URL"))

    def client(self) -> Any:
        """A client of the server that is meant (`cli.client.Client`)."""
        from caxton.cli.client import Client

        return Client(self.url())

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on if the person says yes, or has said so with `--yes`; a program is told that it has to."""
        if yes:
            return
        if not self.interactive:
            raise click.UsageError("This erases something. Say that you want it with --yes.")
        click.confirm(question, abort=True)

    def show(self, value: object, people: Callable[[], None]) -> None:
        """Print a value as JSON for programs, or do what shows it to people."""
        if self.json:
            import msgspec

            click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
        else:
            people()


class CaxtonCommand(click.Command):
    """A command that takes the common options, before or after its own arguments."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.params += _common_options()


class CaxtonGroup(click.Group):
    """A noun with its verbs; takes the common options too, before the verb."""

    command_class = CaxtonCommand

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.params += _common_options()


def session_of(context: click.Context) -> Session:
    session = context.find_object(Session)
    assert session is not None  # noqa: S101 - main made it
    return session


pass_session = click.make_pass_decorator(Session)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def _common_options() -> list[click.Parameter]:
    def note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None:
            return
        session = session_of(context)
        if parameter.name == "url":
            session.flags["url"] = value
        elif parameter.name == "output":
            session.output = value
        elif value:
            session.color = False

    return [
        click.Option(["--url"], help="The server to speak to.  [env: CAXTON_URL]", expose_value=False, callback=note),
        click.Option(
            ["--output"],
            type=click.Choice(["table", "json"]),
            help="Tables for people or JSON for programs.  [env: CAXTON_OUTPUT]",
            expose_value=False,
            callback=note,
        ),
        click.Option(["--no-color"], is_flag=True, help="No colours.", expose_value=False, callback=note),
    ]
