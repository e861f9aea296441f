"""How an accepted message comes into its mailbox."""

import logging

from caxton.bus.backlog import Backlogs
from caxton.bus.directory import Directory
from caxton.bus.replies import Replies
from caxton.bus.watching import Watch
from caxton.domain.delivery import BusEventKind, Claimed, Failure
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore

log = logging.getLogger(__name__)


class Delivering:
    """From the store, or past it, into the hands of whoever deals with a message."""

    def __init__(
        self, store: DeliveryStore, directory: Directory, replies: Replies, watch: Watch, clock: Clock
    ) -> None:
        self._store = store
        self._directory = directory
        self._replies = replies
        self._watch = watch
        self.backlogs = Backlogs(store, directory.find, self._claimed, clock)
        self.failures: dict[str, tuple[Failure, ...]] = {}
        """Of the messages in mailboxes that failed before, each attempt that did."""
        self._born: int | None = None
        """The newest message when the first receiver came: earlier ones may have been begun by another process."""

    def stored(self, message: Message, below: int) -> None:
        """Leave a stored message in its mailbox, as it is by now: storing took time.

        An agent that has gone or stopped meanwhile finds the message in the store when it comes back; one that is full
        does when it has room. `below` is a sequence number before that of the message.
        """
        address = message.receiver
        if address in self.backlogs.behind:
            self.backlogs.leave(message, below)
            self.backlogs.room(address)
        else:
            try:
                mailbox = self._directory.mailbox(address)
                mailbox.admit(message)
            except CaxtonError as error:
                if error.code is Code.MAILBOX_FULL:
                    self.backlogs.leave(message, below)
                else:
                    self._replies.postpone(message.id, error)
            else:
                mailbox.put(message)
        if self._watch.active:
            self._watch.observe(BusEventKind.ACCEPTED, message)

    def unstored(self, mailbox: Mailbox, message: Message) -> None:
        """Leave a message that is kept nowhere else in a mailbox that admits it."""
        mailbox.put(message)
        if self._watch.active:
            self._watch.observe(BusEventKind.ACCEPTED, message)

    def unstored_reply(self, reply: Message) -> None:
        """The same for a reply; where its receiver does not take it now it is lost, and the log has it."""
        mailbox = self._directory.find(reply.receiver)
        if mailbox is None:
            return
        try:
            mailbox.admit(reply)
        except CaxtonError as error:
            log.warning("the reply %s to %s was lost: %s", reply.id, reply.receiver, error)
        else:
            self.unstored(mailbox, reply)

    def again(self, message: Message) -> None:
        """See to it that a message that its sender repeats is delivered, where nobody has dealt with it."""
        if message.receiver in self.backlogs.behind or not self._is_accepted(message.id):
            return
        mailbox = self._directory.mailbox(message.receiver)
        if mailbox.holds(message.id):
            return
        mailbox.admit(message)
        # From the store, which knows what was tried before.
        self.backlogs.begin(message.receiver)
        self.backlogs.room(message.receiver)

    async def waiting(self, address: str) -> int:
        """Deliver what waits in the store for a receiver, as it has room; how many messages."""
        self._directory.mailbox(address)
        if self._born is None:
            self._born = self._store.last()
        # Before anything is awaited: what is sent meanwhile comes after what waits.
        backlog = self.backlogs.begin(address)
        count = await self._store.waiting(address)
        backlog.count += count
        await self.backlogs.fetch(address)
        return count

    def _claimed(self, mailbox: Mailbox, claimed: Claimed) -> None:
        message = claimed.message
        # Looked at again: one that was in hand when it was fetched may have been dealt with meanwhile.
        if not self._is_accepted(message.id):
            return
        if claimed.failures:
            self.failures[message.id] = claimed.failures
        again = claimed.attempts > 0 or (self._born is not None and claimed.seq <= self._born)
        mailbox.put(message, again=again, not_before=claimed.not_before)

    def _is_accepted(self, message_id: str) -> bool:
        stored = self._store.find(message_id)
        return stored is not None and stored.state is MessageState.ACCEPTED
