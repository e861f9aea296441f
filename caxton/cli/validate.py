"""`caxton validate`: every problem of every file, without a server."""

from collections.abc import Iterator
from pathlib import Path

import click

from caxton.cli.session import CaxtonCommand, Session, session_of
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import EXIT_FAILED


@click.command(cls=CaxtonCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.pass_context
def validate(context: click.Context, files: tuple[Path, ...]) -> None:
    """Check agent files, directories of them, and server files (caxton.toml). Exits with 1 when there are errors."""
    session = session_of(context)
    providers = _providers(session)
    found = {str(path): _diagnose(path, providers) for path in _expanded(files)}
    errors = sum(diagnostic.is_error for diagnostics in found.values() for diagnostic in diagnostics)

    def people() -> None:
        from caxton.cli.failures import show_diagnostic

        for path, diagnostics in found.items():
            for diagnostic in diagnostics:
                show_diagnostic(session, diagnostic)
            if not any(diagnostic.is_error for diagnostic in diagnostics):
                click.echo(f"{path}: ok")
        if errors:
            click.echo(f"{errors} {'error' if errors == 1 else 'errors'}")

    files_told = [{"file": path, "diagnostics": diagnostics} for path, diagnostics in found.items()]
    session.show({"valid": not errors, "files": files_told}, people)
    if errors:
        context.exit(EXIT_FAILED)


def _expanded(files: tuple[Path, ...]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            inside = sorted(path.glob("*.toml"))
            if not inside:
                raise click.UsageError(f"There is no .toml file in the folder {str(path)!r}.")
            yield from inside
        else:
            yield path


def _providers(session: Session) -> list[str]:
    from caxton.config.settings import configured_providers

    return configured_providers(session.flags, session.environ, Path.cwd())


def _diagnose(path: Path, providers: list[str]) -> list[Diagnostic]:
    from caxton.config.agent_file import diagnose
    from caxton.config.location import FILE_NAME
    from caxton.config.settings import diagnose_settings
    from caxton.config.source import read_source
    from caxton.domain.errors import ConfigurationError

    try:
        source = read_source(path)
    except ConfigurationError as error:
        return list(error.diagnostics)
    if path.name == FILE_NAME:
        from caxton.wiring import provider_kinds

        return diagnose_settings(source, kinds=provider_kinds())
    return diagnose(source, providers=providers)
