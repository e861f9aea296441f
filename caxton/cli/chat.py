"""`caxton chat`: talk with an agent."""

import sys
from collections.abc import Callable, Iterator

import click
import msgspec

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonCommand, Session, pass_session
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import ANONYMOUS, default_conversation
from caxton.service.api import agents, conversations, messages
from caxton.service.api.messages import Reply, ReplyDelta, ReplyStarted, ReplyTool, SendMessage

HELP = """\
/history  what was said so far
/reset    erase this conversation and begin afresh
/new      begin another conversation; this one is kept
/help     these lines
/quit     leave (or Ctrl-D); Ctrl-C stops an answer"""


@click.command(cls=CaxtonCommand)
@click.argument("name", shell_complete=agent_name)
@click.option("--conversation", help='The conversation to go on with; "new" begins another.')
@pass_session
def chat(session: Session, name: str, conversation: str | None) -> None:
    """Talk with an agent. Lines from a pipe are answered one by one."""
    talk = Chat(session, name, conversation)
    talk.greet()
    for line in talk.lines():
        if not line.strip():
            continue
        try:
            if line.startswith("/"):
                if talk.command(line.strip()):
                    return
            else:
                talk.say(line)
        except CaxtonError as error:
            if not session.interactive:
                raise
            from caxton.cli.failures import show_error

            show_error(session, error)  # an error ends the turn, not the talk


class Chat:
    """One talk: where it is and how it goes on."""

    def __init__(self, session: Session, name: str, conversation: str | None) -> None:
        self._session = session
        self._client = session.client()
        self._name = name
        self._conversation = conversation or default_conversation(ANONYMOUS, name)

    def greet(self) -> None:
        """Check that the agent is there, and say how to leave."""
        view = self._client.call(agents.SHOW, path={"name": self._name})
        if self._session.interactive:
            click.echo(f"{view.name} on {view.provider}. /help lists commands, Ctrl-D leaves.")

    def lines(self) -> Iterator[str]:
        """What the person types, with history and editing on a terminal; else standard input."""
        if not self._session.interactive:
            yield from (line.rstrip("\n") for line in sys.stdin)
            return
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory, History, InMemoryHistory

        folder = self._session.location().data_dir
        past: History = FileHistory(str(folder / "chat_history")) if folder.is_dir() else InMemoryHistory()
        prompt: PromptSession[str] = PromptSession(history=past)
        while True:
            try:
                yield prompt.prompt("> ")
            except KeyboardInterrupt:
                continue  # an unfinished line is dropped, as in a shell
            except EOFError:
                return

    def say(self, text: str) -> None:
        """Send a line and show the answer as it comes; for programs, the whole reply on a line of its own."""
        body = SendMessage(text=text, conversation_id=self._conversation)
        as_json, broken_off = self._session.json, False
        try:
            for event in self._client.stream(messages.SEND, path={"name": self._name}, body=body):
                if isinstance(event, ReplyStarted):
                    self._conversation = event.conversation_id
                elif isinstance(event, Reply):
                    click.echo(msgspec.json.encode(event).decode() if as_json else "")
                    broken_off = False
                elif isinstance(event, ReplyDelta) and not as_json:
                    click.echo(harmless(event.text) if self._session.interactive else event.text, nl=False)
                    broken_off = True
                elif isinstance(event, ReplyTool) and not as_json:
                    click.echo(f"[{event.tool}]", err=True)
        except KeyboardInterrupt:
            click.echo("\n(stopped listening; the whole answer is kept in the history)", err=True)
            broken_off = False
        finally:
            if broken_off:
                click.echo()

    def command(self, line: str) -> bool:
        """Carry out a /command; whether it ends the talk."""
        commands: dict[str, Callable[[], object]] = {
            "/help": lambda: click.echo(HELP),
            "/history": self._history,
            "/reset": self._reset,
            "/new": self._new,
        }
        if line in ("/quit", "/exit"):
            return True
        if action := commands.get(line):
            action()
        else:
            click.echo(f"There is no command {line}.\n{HELP}", err=True)
        return False

    def _history(self) -> None:
        from caxton.cli.show import show_messages

        query = {"conversation_id": self._conversation, "limit": 100}
        answer = self._client.call(messages.LIST, path={"name": self._name}, query=query)
        talk = list(reversed(answer.messages))
        self._session.show(talk, lambda: show_messages(self._session, talk))

    def _reset(self) -> None:
        try:
            self._client.call(conversations.RESET, path={"id": self._conversation})
        except CaxtonError as error:
            if error.code is not Code.CONVERSATION_NOT_FOUND:
                raise
        click.echo("The conversation begins afresh.")

    def _new(self) -> None:
        self._conversation = "new"
        click.echo("The next message begins another conversation.")
