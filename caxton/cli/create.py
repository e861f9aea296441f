"""`caxton create`: from a file, a template or a few questions to a running agent."""

from pathlib import Path

import click

from caxton.cli.complete import template_name
from caxton.cli.session import CaxtonCommand, Session, pass_session
from caxton.service.api import agents
from caxton.service.api.server import HEALTH


@click.command(cls=CaxtonCommand)
@click.argument("name", required=False)
@click.option("--config", type=click.Path(path_type=Path), help="An agent file to hand to the server.")
@click.option("--template", help="Begin with this template.", shell_complete=template_name)
@click.option("--replace", is_flag=True, help="Replace an agent of that name; its id and conversations stay.")
@pass_session
def create(session: Session, name: str | None, config: Path | None, template: str | None, replace: bool) -> None:
    """Create an agent from a file, a template, or by answering questions.

    The server keeps the definition in its agents directory; changes saved there take effect at once.
    """
    if config and template:
        raise click.UsageError("Give either --config or --template.")
    if config:
        toml, name = _from_file(config, name)
    elif template:
        if not name:
            raise click.UsageError("An agent from a template needs a NAME.")
        toml = _from_template(template, name)
    elif session.interactive:
        session.client().call(HEALTH)  # before anybody answers questions for nothing
        toml, name = _ask(name)
    else:
        raise click.UsageError("Give --config FILE or --template T; questions are asked on a terminal only.")
    client = session.client()
    if replace:
        view = client.call(agents.REPLACE, path={"name": name}, body=toml)
    else:
        view = client.call(agents.CREATE, body=toml)

    def people() -> None:
        from caxton.cli.failures import show_diagnostic

        for diagnostic in view.last_reload.diagnostics:
            show_diagnostic(session, diagnostic, err=True)
        click.echo(f"Agent {view.name} is {view.state}, on provider {view.provider}.")
        click.echo(f"  file  {view.file}  (edit it: saved changes take effect at once)")
        click.echo(f"Next: caxton chat {view.name}")

    session.show(view, people)


def _from_file(config: Path, name: str | None) -> tuple[str, str]:
    """The file's text and the agent's name, checked here so that diagnostics speak of the file itself."""
    from caxton.config.agent_file import load_definition
    from caxton.config.source import read_source
    from caxton.config.toml import parse

    source = read_source(config)
    # Which providers there are is for the server to say; the file's own choice passes here.
    chosen = parse(source).get("llm_provider")
    names = chosen if isinstance(chosen, list) else [chosen]
    loaded = load_definition(source, providers=[name for name in names if isinstance(name, str)])
    if name and loaded.definition.name != name:
        raise click.UsageError(f"{config} defines {loaded.definition.name!r}, not {name!r}.")
    return source.text, loaded.definition.name


def _from_template(template: str, name: str) -> str:
    from caxton.config.templates import find_template, instantiate

    return instantiate(find_template(template), name)


def _ask(name: str | None) -> tuple[str, str]:
    """The text of an agent file made from answers, and the agent's name."""
    import tomli_w

    from caxton.config.templates import list_templates
    from caxton.domain.identifiers import is_agent_name

    def checked(text: str) -> str:
        if not is_agent_name(text):
            raise click.UsageError(f"{text!r} is not 3 to 64 lower-case letters, digits and single hyphens.")
        return text

    name = checked(name) if name else str(click.prompt("Name (as in my-agent)", value_proc=checked))
    templates = list_templates()
    click.echo("Begin with:")
    click.echo("  0  nothing: write the system prompt yourself")
    for number, template in enumerate(templates, start=1):
        click.echo(f"  {number}  {template.name}: {template.description}")
    chosen = click.prompt("Which", type=click.IntRange(0, len(templates)), default=0)
    if chosen:
        return _from_template(templates[chosen - 1].name, name), name
    description = click.prompt("Description, in a line", default="", show_default=False)
    prompt = click.prompt("System prompt: who is the agent, what does it do?")
    provider = click.prompt("Provider (empty for the server's default)", default="", show_default=False)
    data = {"name": name, "description": description, "system_prompt": prompt, "llm_provider": provider}
    return tomli_w.dumps({key: value for key, value in data.items() if value}), name
