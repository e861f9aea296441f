"""`caxton provider`: the providers of language models, and what they cost."""

from typing import Any

import click

from caxton.cli.complete import provider_name
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.service.api import providers
from caxton.service.api.providers import Pulled, PullModel

CAPABILITIES = ("tools", "vision", "json_schema")


@click.group(cls=CaxtonGroup)
def provider() -> None:
    """List, check and account for providers of language models."""


@provider.command("list")
@pass_session
def list_(session: Session) -> None:
    """List the providers."""
    answer = session.client().call(providers.LIST)

    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [
            (f"{p.name} *" if p.default else p.name, p.kind, p.model.name, _state(p), p.today.tokens, _money(p.today))
            for p in answer.providers
        ]
        print_table(session, ("NAME", "KIND", "MODEL", "STATE", "TOKENS TODAY", "COST TODAY"), rows)
        click.echo("\n* the default: for agents that name none")

    session.show(answer, people)


@provider.command()
@click.argument("name", shell_complete=provider_name)
@pass_session
def show(session: Session, name: str) -> None:
    """Show a provider: what it can do, its limits and how it is."""
    answer = session.client().call(providers.SHOW, path={"name": name})

    def people() -> None:
        from caxton.cli.tables import print_fields

        limits = {field: getattr(answer.limits, field) for field in answer.limits.__struct_fields__}
        print_fields(
            session,
            [
                ("name", answer.name),
                ("kind", answer.kind),
                ("default", "yes" if answer.default else "no"),
                ("base URL", answer.base_url),
                ("key from", answer.key),
                ("model", answer.model.name),
                ("context", f"{answer.model.context_length} tokens" if answer.model.context_length else "unknown"),
                ("can do", _abilities(answer.model)),
                ("state", _state(answer)),
                ("detail", answer.detail),
                ("limits", ", ".join(f"{key} {value:g}" for key, value in limits.items() if value is not None)),
                ("today", f"{answer.today.tokens} tokens, {_money(answer.today)}"),
            ],
        )

    session.show(answer, people)


@provider.command()
@click.argument("name", shell_complete=provider_name)
@click.option("--model", help="Ask this model instead of the provider's own.")
@pass_session
def check(session: Session, name: str, model: str | None) -> None:
    """Ask a provider a short question, and time the answer."""
    from caxton.cli.waiting import waiting

    with waiting(session, f"{name} is asked"):
        answer = session.client().call(providers.CHECK, path={"name": name}, query={"model": model})

    def people() -> None:
        first = f"the first token after {answer.first_token:.3f} s, " if answer.first_token is not None else ""
        click.echo(f"{name} answers: {first}all after {answer.duration:.3f} s, with {answer.model}.")

    session.show(answer, people)


@provider.command()
@click.argument("name", shell_complete=provider_name)
@pass_session
def models(session: Session, name: str) -> None:
    """List the models of a provider and what they can do."""
    answer = session.client().call(providers.MODELS, path={"name": name})

    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [(m.name, m.context_length or "unknown", _abilities(m)) for m in answer.models]
        print_table(session, ("MODEL", "CONTEXT", "CAN DO"), rows)

    session.show(answer, people)


@provider.command()
@click.argument("name", shell_complete=provider_name)
@click.argument("model")
@pass_session
def pull(session: Session, name: str, model: str) -> None:
    """Have a provider fetch MODEL."""
    from caxton.cli.waiting import progress

    done = None
    with progress(session, f"fetching {model}") as advance:
        for event in session.client().stream(providers.PULL, path={"name": name}, body=PullModel(model=model)):
            if isinstance(event, Pulled):
                done = event
            else:
                advance(event.status, event.completed, event.total)
    if done:
        session.show(done, lambda: click.echo(f"{name} has {model}; that took {done.duration:.1f} s."))


@provider.command()
@click.argument("name", shell_complete=provider_name)
@pass_session
def reset(session: Session, name: str) -> None:
    """Try a provider again that is left alone after failures."""
    answer = session.client().call(providers.RESET, path={"name": name})
    session.show(answer, lambda: click.echo(f"{name} is asked again."))


@provider.command()
@click.option(
    "--by",
    type=click.Choice(["agent", "conversation", "day", "model", "provider"]),
    default="day",
    show_default=True,
    help="What to sum up by.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Days back, today included.")
@pass_session
def usage(session: Session, by: str, days: int) -> None:
    """Show tokens used, and what they cost where prices are known."""
    answer = session.client().call(providers.USAGE, query={"by": by, "days": days})

    def people() -> None:
        from caxton.cli.tables import print_table

        rows = [
            (s.key, s.completions, s.prompt_tokens, s.completion_tokens, _money(s))
            for s in (*answer.sums, answer.total)
        ]
        print_table(session, (by.upper(), "ANSWERS", "PROMPT TOKENS", "ANSWER TOKENS", "COST"), rows)
        if answer.total.unmetered:
            click.echo(f"\nOf {answer.total.unmetered} answers the provider did not say how many tokens they took.")

    session.show(answer, people)


def _state(one: Any) -> str:
    if one.circuit.state != "closed":
        return f"{one.circuit.state}, {one.circuit.failures} failures"
    return one.health or "ok"


def _abilities(model: Any) -> str:
    known = [name for name in CAPABILITIES if getattr(model, name)]
    unknown = [name for name in CAPABILITIES if getattr(model, name) is None]
    return ", ".join([*known, *(f"{name}?" for name in unknown)]) or "text"


def _money(spent: Any) -> str:
    """A sum in US dollars; what is not known is said, and not taken for nothing."""
    if spent.unpriced and not spent.cost:
        return "unknown"
    return f"${spent.cost:.4f}" + (f" and {spent.unpriced} of unknown price" if spent.unpriced else "")
