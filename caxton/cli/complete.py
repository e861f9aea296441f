"""Completion of what only the server knows."""

import os

import click

from caxton.cli.session import Session


def agent_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The agents whose names begin so; none where no server answers at once."""
    from caxton.cli.client import Client
    from caxton.domain.errors import CaxtonError
    from caxton.service.api.agents import LIST

    try:
        answer = Client(Session(environ=os.environ).url(), timeout=1).call(LIST)
    except CaxtonError:
        return []  # a shell waits for this: no words, no delay
    return [agent.name for agent in answer.agents if agent.name.startswith(incomplete)]


def capability_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The capabilities that begin so; none where no server answers at once."""
    from caxton.cli.client import Client
    from caxton.domain.errors import CaxtonError
    from caxton.service.api.capabilities import LIST

    try:
        answer = Client(Session(environ=os.environ).url(), timeout=1).call(LIST)
    except CaxtonError:
        return []
    return [one.name for one in answer.capabilities if one.name.startswith(incomplete)]


def template_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The templates whose names begin so."""
    from caxton.config.templates import list_templates

    return [template.name for template in list_templates() if template.name.startswith(incomplete)]


def provider_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The providers whose names begin so, as the settings have them."""
    from pathlib import Path

    from caxton.config.settings import configured_providers

    return [name for name in configured_providers({}, os.environ, Path.cwd()) if name.startswith(incomplete)]
