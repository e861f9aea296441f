"""Errors, as the command tells them."""

import click

from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError

COLORS = {"error": "red", "warning": "yellow"}


def show_error(session: Session, error: CaxtonError) -> None:
    """An error on standard error: words for people, JSON for programs."""
    diagnostics = error.diagnostics if isinstance(error, ConfigurationError) else ()
    if session.json:
        import msgspec

        report = msgspec.to_builtins(error.report())
        told = {**report, "docs": error.docs, "diagnostics": msgspec.to_builtins(diagnostics)}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2), err=True)
        return
    if diagnostics:
        for diagnostic in diagnostics:
            show_diagnostic(session, diagnostic, err=True)
        return
    click.echo(paint(session, "error: ", "red", bold=True) + harmless(error.message), err=True)
    if error.why:
        click.echo("".join(f"  {line}\n" for line in harmless(error.why).splitlines()), nl=False, err=True)
    if error.hint:
        click.echo(paint(session, "hint: ", "cyan") + harmless(error.hint), err=True)


def show_usage_error(session: Session, error: click.ClickException) -> None:
    """What click makes of wrong usage, as an error like all others."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"See `{context.command_path} --help`." if context else ""
    show_error(session, CaxtonError(Code.USAGE_INVALID, error.format_message(), hint=hint))


def show_diagnostic(session: Session, diagnostic: Diagnostic, *, err: bool = False) -> None:
    """A diagnostic with its line and caret; colours where they are seen."""
    first, *rest = diagnostic.render().split("\n")
    label = f"{diagnostic.severity}[{diagnostic.code}]"
    color = COLORS[diagnostic.severity]
    click.echo(first.replace(label, paint(session, label, color, bold=True), 1), err=err)
    for line in rest:
        is_caret = line.strip(" |\t") and not line.strip(" |\t^")
        click.echo(paint(session, line, color) if is_caret else line, err=err)


def paint(session: Session, text: str, color: str, *, bold: bool = False) -> str:
    return click.style(text, fg=color, bold=bold) if session.colored else text
