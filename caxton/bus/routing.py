"""Where a message goes, and whether it is taken there."""

import asyncio
from collections.abc import Iterable

import msgspec

from caxton.bus.backlog import Backlogs
from caxton.bus.directory import Directory
from caxton.domain.address import SEPARATOR, AddressKind, read_address
from caxton.domain.bus_settings import BusSettings, Overload
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message
from caxton.domain.ports.bus import Groups, Mailbox


class Router:
    """Reads addresses and holds messages against the settings."""

    def __init__(self, directory: Directory, backlogs: Backlogs, settings: BusSettings, groups: Groups | None) -> None:
        self._directory = directory
        self._backlogs = backlogs
        self._settings = settings
        self._groups = groups

    def one(self, message: Message) -> Message:
        """The message as its one receiver gets it.

        CaxtonError where nobody is there (`agent_not_found`, `capability_not_found`), where it does not fit
        (`content_mismatch`), or where it has come too far or round in a circle (`delegation_loop`).
        """
        receiver = message.receiver
        if message.hops > self._settings.max_hops:
            raise _too_far(message, self._settings.max_hops)
        if SEPARATOR in receiver and read_address(receiver).kind is AddressKind.CAPABILITY:
            found = self._directory.resolve(message, avoid=(*message.path, message.sender))
            return msgspec.structs.replace(message, receiver=found, addressed=receiver)
        if message.path and receiver in message.path:
            raise _circle(message)
        return message

    def many(self, message: Message) -> list[str]:
        """Whoever is meant by a group, or by all, and takes the message now; not its sender, nor who had it before.

        CaxtonError `conversation_not_found`, and `delegation_loop` where it has come too far.
        """
        if message.hops > self._settings.max_hops:
            raise _too_far(message, self._settings.max_hops)
        return [
            receiver
            for receiver in self._members(message.receiver)
            if receiver != message.sender and receiver not in message.path and self._takes(receiver, message)
        ]

    async def make_room(self, mailbox: Mailbox, message: Message, refusal: CaxtonError) -> None:
        """Wait for room in a full mailbox, for as long as the settings say, unless the message may wait in the store.

        Raises the refusal where it stands.
        """
        if refusal.code is not Code.MAILBOX_FULL:
            raise refusal
        if not self._may_spill(message):
            await self._vacancy(mailbox, message, refusal)

    async def _vacancy(self, mailbox: Mailbox, message: Message, refusal: CaxtonError) -> None:
        """Wait until a mailbox takes the message; `refusal` where it does not in time."""
        try:
            async with asyncio.timeout(self._settings.patience):
                while True:
                    await mailbox.vacancy()
                    try:
                        mailbox.admit(message)
                    except CaxtonError as error:
                        # Where there is room, and it is refused all the same, waiting for room is of no use.
                        if error.code is not Code.MAILBOX_FULL or mailbox.depth < mailbox.limit:
                            raise
                    else:
                        return
        except TimeoutError:
            raise refusal from None

    def _members(self, receiver: str) -> Iterable[str]:
        address = read_address(receiver)
        match address.kind:
            case AddressKind.ALL:
                return list(self._directory.addresses())
            case AddressKind.GROUP:
                if members := self._groups.members(address.name) if self._groups else ():
                    return members
                detail = f"There is no open group conversation {address.name!r}."
                raise CaxtonError(Code.CONVERSATION_NOT_FOUND, detail)
            case AddressKind.AGENT | AddressKind.CAPABILITY:
                return [receiver]

    def _takes(self, receiver: str, message: Message) -> bool:
        mailbox = self._directory.find(receiver)
        if mailbox is None:
            return False
        try:
            mailbox.admit(message)
        except CaxtonError as error:
            return error.code is Code.MAILBOX_FULL and self._may_spill(message, receiver)
        return True

    def _may_spill(self, message: Message, receiver: str | None = None) -> bool:
        return (
            message.is_stored
            and self._settings.overload is Overload.SPILL
            and self._backlogs.count(receiver or message.receiver) < self._settings.backlog
        )


def _too_far(message: Message, most: int) -> CaxtonError:
    detail = f"This message is {message.hops} messages away from the first, and {most} are allowed: {_way(message)}."
    return CaxtonError(Code.DELEGATION_LOOP, detail)


def _circle(message: Message) -> CaxtonError:
    return CaxtonError(Code.DELEGATION_LOOP, f"{message.receiver!r} has a part in this already: {_way(message)}.")


def _way(message: Message) -> str:
    return " → ".join((*message.path, message.receiver))
