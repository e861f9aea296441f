"""`caxton man`: manual pages, made from the commands (man-pages(7))."""

from collections.abc import Iterator
from pathlib import Path

import click

from caxton.cli.session import CaxtonCommand


@click.command(cls=CaxtonCommand)
@click.option("--dir", "directory", default="man", show_default=True, type=click.Path(path_type=Path), help="Where to.")
@click.pass_context
def man(context: click.Context, directory: Path) -> None:
    """Write a manual page for every command; `man -l man/caxton.1` shows one."""
    directory.mkdir(parents=True, exist_ok=True)
    pages = 0
    for name, command, inner in commands(context.find_root()):
        path = directory / f"{name.replace(' ', '-')}.1"
        path.write_text(manual_page(name, command, inner), encoding="utf-8")
        pages += 1
    click.echo(f"Wrote {pages} pages to {directory}.")


def commands(context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below a context, with its whole name and a context of its own."""
    yield context.command_path, context.command, context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command:
                yield from commands(click.Context(command, info_name=name, parent=context))


def manual_page(name: str, command: click.Command, context: click.Context) -> str:
    """One page in roff."""
    summary = command.get_short_help_str(limit=200).rstrip(".")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{name.replace(" ", "-").upper()}" 1 "" "Caxton"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(summary)}",
        ".SH SYNOPSIS",
        f".B {_roff(name)}",
        _roff(usage),
        ".SH DESCRIPTION",
        *(_roff(line) if line.strip() else ".PP" for line in (command.help or "").replace("\b", "").splitlines()),
    ]
    options = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if options:
        lines.append(".SH OPTIONS")
        for flags, text in options:
            lines += [".TP", f".B {_roff(flags)}", _roff(text)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for sub in command.list_commands(context):
            lines += [".TP", f".B {_roff(name)} {_roff(sub)}", f"See {_roff(f'{name} {sub}'.replace(' ', '-'))}(1)."]
    lines += [
        ".SH EXIT STATUS",
        "0 done; 1 failed; 2 wrong usage; 3 the server cannot be reached; 130 interrupted.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text that roff takes for nothing else: no escapes, no hyphenation of options, no requests."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").strip()
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
