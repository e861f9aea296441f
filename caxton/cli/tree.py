"""A trace, drawn as a tree."""

import click

from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.service.api.traces import TraceNode, TraceTree

WIDEST = 60
"""Characters of a message's text that are shown."""


def show_tree(session: Session, tree: TraceTree) -> None:
    """One line a message, below that which it came from; the tools that were called for a reply go before it."""
    lines: list[tuple[int, str]] = []
    for node in tree.nodes:
        facts = [(use.tool, _facts(_took(use.duration), "failed" * use.failed)) for use in node.tools]
        lines += [(node.depth, f"tool {tool}  {told}") for tool, told in facts]
        lines.append((node.depth, _message(session, node)))
    for place, (depth, text) in enumerate(lines):
        click.echo(_branches(lines, place, depth) + text)
    shown = "" if tree.complete else f"; there are more than these {len(tree.nodes)} messages"
    click.echo(f"\ntrace {tree.trace_id}: {_took(tree.duration)} in all{shown}")
    if turns := [node.parent for node in tree.nodes if node.turn]:
        click.echo(f"What a model was sent: caxton message turn {turns[0]}" + " …" * (len(turns) > 1))


def _branches(lines: list[tuple[int, str]], place: int, depth: int) -> str:
    """What goes before a line so that the lines above lead to it."""
    if not depth:
        return ""
    parts = []
    for level in range(1, depth + 1):
        # Whether a later line hangs on the same stem, before one that is nearer to the root.
        following = next((deep for deep, _ in lines[place + 1 :] if deep <= level), 0)
        goes_on = following == level
        if level == depth:
            parts.append("├─ " if goes_on else "└─ ")
        else:
            parts.append("│  " if goes_on else "   ")
    return "".join(parts)


def _message(session: Session, node: TraceNode) -> str:
    message = node.message
    act = click.style(message.performative, bold=True) if session.colored else message.performative
    to = message.receiver if message.addressed is None else f"{message.receiver} ({message.addressed})"
    text = " ".join((message.text or (node.error.message if node.error else "")).split())
    text = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    tokens = node.usage.prompt_tokens + node.usage.completion_tokens if node.usage else None
    facts = _facts(
        node.state if node.took is not None or node.state != "settled" else "",
        _took(node.took) if node.took is not None else "",
        f"{node.attempts} attempts" if node.attempts > 1 else "",
        node.error.code if node.error else "",
        node.model or "",
        f"{node.model_calls} model calls" if node.model_calls and node.model_calls > 1 else "",
        f"{tokens} tokens" if tokens else "",
        _took(node.duration) if node.duration is not None else "",
    )
    return f"{act} {message.sender} → {to}: {harmless(text)}  {facts}".rstrip()


def _facts(*facts: str) -> str:
    told = ", ".join(fact for fact in facts if fact)
    return f"[{told}]" if told else ""


def _took(seconds: float) -> str:
    return f"{seconds:.3f} s"
