"""`caxton completion`: completion scripts for shells."""

import click
from click.shell_completion import get_completion_class

from caxton.cli.session import CaxtonCommand

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=CaxtonCommand)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    \b
    bash: eval "$(caxton completion bash)" in ~/.bashrc
    zsh:  eval "$(caxton completion zsh)" in ~/.zshrc
    fish: caxton completion fish > ~/.config/fish/completions/caxton.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows all three
    root = context.find_root().command
    click.echo(kind(root, {}, "caxton", "_CAXTON_COMPLETE").source())
