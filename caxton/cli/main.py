"""The top of the command: the table of commands, and what becomes of errors."""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise

import click

from caxton.cli.session import CaxtonGroup, Session

COMMANDS = {
    "version": ("caxton.cli.version:version", "Show the version."),
    "server": ("caxton.cli.server:server", "Start, stop and look at the server."),
    "create": ("caxton.cli.create:create", "Create an agent from a file, a template, or by answering questions."),
    "validate": ("caxton.cli.validate:validate", "Check agent files and server files."),
    "agent": ("caxton.cli.agent:agent", "List, show and operate agents."),
    "message": ("caxton.cli.message:message", "Send messages to agents, and look at them."),
    "chat": ("caxton.cli.chat:chat", "Talk with an agent."),
    "conversation": ("caxton.cli.conversation:conversation", "Begin, follow and look after conversations."),
    "contract": ("caxton.cli.contract:contract", "Have agents bid on tasks, and look at contracts."),
    "capability": ("caxton.cli.capability:capability", "List and show what agents can do for each other."),
    "memory": ("caxton.cli.memory:memory", "Search, add, list and forget what agents remember."),
    "person": ("caxton.cli.person:person", "Show and erase what is kept of a person."),
    "bus": ("caxton.cli.bus:bus", "See what goes through the bus, in figures and as it happens."),
    "dlq": ("caxton.cli.dlq:dlq", "Look at dead letters, and deliver or delete them."),
    "provider": ("caxton.cli.provider:provider", "List, check and account for providers of language models."),
    "tool": ("caxton.cli.tool:tool", "List, try and explain tools, and answer calls that wait."),
    "template": ("caxton.cli.template:template", "List and show agent templates."),
    "logs": ("caxton.cli.logs:logs", "Show the server's log."),
    "schema": ("caxton.cli.schema:schema", "Print the JSON Schema of a file format, for editors."),
    "completion": ("caxton.cli.completion:completion", "Print a shell's completion script."),
    "man": ("caxton.cli.man:man", "Write the manual pages."),
}
"""Each command's place and summary: the summaries are here so that help needs to import none."""


class LazyGroup(CaxtonGroup):
    """Imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from caxton.domain.suggestion import did_you_mean

            if hint := did_you_mean(args[0], COMMANDS):
                raise click.UsageError(f"{error.message} {hint}", ctx) from error
            raise


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: caxton server start; caxton create hello --template assistant; caxton chat hello",
)
def cli() -> None:
    """Caxton: the agent server you configure rather than program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0, 1 failed, 2 wrong usage, 3 server not reachable, 130 interrupted."""
    session = Session(environ=os.environ)
    _tolerate()
    try:
        # Without click's own handling of errors a command that asks to exit returns the status.
        status = cli.main(args=arguments, prog_name="caxton", standalone_mode=False, obj=session)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        words = sys.argv[1:] if arguments is None else arguments
        if session.json or "--output=json" in words or ("--output", "json") in pairwise(words):
            from caxton.cli.failures import show_usage_error

            session.output = "json"  # said, perhaps, behind what could not be read
            show_usage_error(session, error)
        else:
            error.show()
        return error.exit_code
    except Exception as error:
        from caxton.cli.failures import show_error
        from caxton.domain.errors import CaxtonError

        told = _of_a_file(error) if isinstance(error, OSError) and error.filename else error
        if not isinstance(told, CaxtonError):
            raise
        show_error(session, told)
        return told.info.exit
    return status if isinstance(status, int) else 0


def _of_a_file(error: OSError) -> Exception:
    """What a command meant to do with a file, and could not."""
    from caxton.domain.errors import CaxtonError, Code

    message = f"{str(error.filename)!r} cannot be used."
    return CaxtonError(
        Code.STORAGE_FAILED, message, why=str(error.strerror), hint="Check the path and its permissions."
    )


def _tolerate() -> None:
    """Let no text break the command: what comes in is judged by whom it is sent to, what cannot be shown is a "?"."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
