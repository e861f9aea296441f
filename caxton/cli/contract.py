"""`caxton contract`: have agents bid on a task, and look at what became of it."""

import sys
from typing import Any

import click

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.domain.bids import ScoringPolicy
from caxton.domain.contract_net import ContractState, PartyState
from caxton.service.api import contracts
from caxton.service.api.contracts import CallForProposals, ContractProgress, ContractView, PartyView

WEIGHTS = ScoringPolicy.__struct_fields__


def _weights(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not written NAME=NUMBER, as in cost=5") from None
        if name not in WEIGHTS or not 0 <= weights[name] < float("inf"):
            raise click.BadParameter(f"{value!r}: the weights are {', '.join(WEIGHTS)}, and from 0 on")
    return weights


@click.group(cls=CaxtonGroup)
def contract() -> None:
    """Have agents bid on tasks (FIPA contract net), and look at contracts."""


@contract.command()
@click.argument("task", required=False)
@click.option("--capability", metavar="NAME", help='Call the agents that can do this: "summaries", "charts:v2".')
@click.option("--agent", "agents", multiple=True, shell_complete=agent_name, help="Call this agent; give it again.")
@click.option("--group", metavar="ID", help="Call the agents of a group conversation.")
@click.option("--everybody", is_flag=True, help="Call every agent that runs.")
@click.option("--deadline", type=float, default=10.0, show_default=True, help="Seconds to wait for bids, each round.")
@click.option("--work-deadline", type=float, default=300.0, show_default=True, help="Seconds the work may take.")
@click.option(
    "--rounds", type=int, default=1, show_default=True, help="Most rounds of bids, each with the best before."
)
@click.option("--winners", type=int, default=1, show_default=True, help="How many are to do it.")
@click.option("--reserve", type=int, default=2, show_default=True, help="Bids kept for when a winner fails.")
@click.option("--max-cost", type=float, help="Take no bid above this.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    callback=_weights,
    metavar="NAME=NUMBER",
    help=f"What counts for how much: {', '.join(WEIGHTS)}.  [default: cost=4 load=3 success=3]",
)
@click.option("--no-wait", is_flag=True, help="Do not wait for the end.")
@pass_session
def run(
    session: Session,
    task: str | None,
    capability: str | None,
    agents: tuple[str, ...],
    group: str | None,
    everybody: bool,
    deadline: float,
    work_deadline: float,
    rounds: int,
    winners: int,
    reserve: int,
    max_cost: float | None,
    weights: dict[str, float],
    no_wait: bool,
) -> int:
    """Have agents bid on TASK, and the best of them do it.

    Without TASK, or with "-", it is read from standard input. The exit status is 1 where it was not done.
    """
    if task in (None, "-"):
        task = sys.stdin.read()
    if not task or not task.strip():
        raise click.UsageError("There is no task.")
    body = CallForProposals(
        task=task,
        capability=capability,
        agents=agents,
        group=group,
        everybody=everybody,
        deadline=deadline,
        work_deadline=work_deadline,
        rounds=rounds,
        winners=winners,
        reserve=reserve,
        max_cost=max_cost,
        weights=ScoringPolicy(**weights),
        wait=not no_wait,
    )
    answer = _begun(session, body) if no_wait else _ended(session, body)
    session.show(answer, lambda: _show(session, answer))
    return 0 if no_wait or answer.state is ContractState.COMPLETED else 1


@contract.command("list")
@click.option("--state", type=click.Choice([state.value for state in ContractState]), help="Only those in this state.")
@click.option("--limit", default=20, show_default=True, help="Newest contracts to show.")
@click.option("--before", help="Only contracts older than the one with this id.")
@pass_session
def list_(session: Session, state: str | None, limit: int, before: str | None) -> None:
    """List contracts, newest first."""
    answer = session.client().call(contracts.LIST, query={"state": state, "limit": limit, "before": before})

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [
            (one.id, moment(one.created_at), one.state, f"{one.bids}/{one.participants}", _some(one.awarded), one.task)
            for one in answer.contracts
        ]
        short = [(*row[:-1], _line(harmless(row[-1]))) for row in rows]
        print_table(session, ("ID", "WHEN", "STATE", "BIDS", "AWARDED", "TASK"), short)

    session.show(answer, people)


@contract.command()
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show a contract with every bid, score, award and result."""
    answer = session.client().call(contracts.SHOW, path={"id": id})
    session.show(answer, lambda: _show(session, answer))


@contract.command()
@click.argument("id")
@pass_session
def cancel(session: Session, id: str) -> None:
    """Call a contract off; its participants are told."""
    answer = session.client().call(contracts.CANCEL, path={"id": id})
    session.show(answer, lambda: click.echo(f"Contract {answer.id} is {answer.state}. {answer.why}".rstrip()))


def _begun(session: Session, body: CallForProposals) -> ContractView:
    answer: ContractView = session.client().call(contracts.RUN, body=body)
    return answer


def _ended(session: Session, body: CallForProposals) -> ContractView:
    """The contract as it ended, with its progress on the terminal meanwhile."""
    from caxton.cli.waiting import changing

    with changing(session) as say:
        for event in session.client().stream(contracts.RUN, body=body):
            if isinstance(event, ContractView):
                return event
            say(_progress(event))
    raise AssertionError("the client raises where the whole answer does not come")


def _progress(now: ContractProgress) -> str:
    if now.at_work:
        return f"{_some(now.at_work)} at work"
    answered = now.participants - now.awaited
    return f"round {now.round}: {answered} of {now.participants} answered, {now.bids} bids"


def _show(session: Session, one: ContractView) -> None:
    from caxton.cli.tables import moment, print_fields, print_table

    took = None if one.ended_at is None else f"{one.ended_at - one.created_at:.2f} s"
    print_fields(
        session,
        [
            ("id", one.id),
            ("state", one.state),
            ("why", one.why),
            ("task", harmless(one.task.strip())),
            ("called", f"{one.called} by {one.initiator}"),
            ("began", moment(one.created_at)),
            ("took", took),
            ("round", f"{one.round} of {one.terms.rounds}" if one.terms.rounds > 1 else None),
        ],
    )
    click.echo()
    rows = [_row(party) for party in sorted(one.participants, key=_place)]
    print_table(session, ("AGENT", "STATE", "SCORE", "COST", "LOAD", "SECONDS", "WHY"), rows)
    for party in one.participants:
        if party.award and party.award.text:
            name = click.style(party.agent, bold=True) if session.colored else party.agent
            click.echo(f"\n{name}\n{harmless(party.award.text.strip())}")


def _place(party: PartyView) -> tuple[bool, bool, float, str]:
    """Those that were awarded first, then by score."""
    score = party.bids[-1].score if party.bids else None
    return party.award is None, party.state is not PartyState.PROPOSED, -(score or 0.0), party.agent


def _row(party: PartyView) -> tuple[Any, ...]:
    why = _line(harmless(party.why))
    if not party.bids:
        return party.agent, party.state, "", "", "", "", why
    bid = party.bids[-1]
    score = "" if bid.score is None else f"{bid.score:.3f}"
    cost = " → ".join(f"{one.cost:g}" for one in party.bids)
    seconds = "" if bid.estimated_seconds is None else f"{bid.estimated_seconds:g}"
    return party.agent, party.state, score, cost, f"{bid.load:.2f}", seconds, why


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
