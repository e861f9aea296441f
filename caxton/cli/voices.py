"""What several agents say at once, on one terminal."""

import click

from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.service.api.conversations import GroupEvent, GroupReply, SpeakerDelta, SpeakerStarted


class Voices:
    """Prints who says what. To a person, one of those who speak is shown as it speaks; the others when it has ended."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live: str | None = None
        self._waiting: list[GroupReply] = []

    def hear(self, event: GroupEvent) -> None:
        match event:
            case SpeakerStarted() if self._live is None and self._session.interactive:
                self._live = event.agent
                self._print_name(event.agent)
            case SpeakerDelta() if event.agent == self._live:
                click.echo(harmless(event.text), nl=False)
            case GroupReply() if event.agent == self._live:
                click.echo("\n" if event.reply else f"\n{_failure(event)}\n")
                self._live = None
                for reply in self._waiting:
                    self._print(reply)
                self._waiting.clear()
            case GroupReply() if self._live is not None:
                self._waiting.append(event)
            case GroupReply():
                self._print(event)

    def _print(self, event: GroupReply) -> None:
        self._print_name(event.agent)
        text = event.reply.text.strip() if event.reply else _failure(event)
        click.echo(f"{harmless(text) if self._session.interactive else text}\n")

    def _print_name(self, name: str) -> None:
        click.echo(click.style(name, bold=True) if self._session.colored else name)


def _failure(event: GroupReply) -> str:
    return f"({event.error.message} [{event.error.code}])" if event.error else "(no answer)"
