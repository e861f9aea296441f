"""The operations on people: what is kept of them is found, and erased everywhere."""

import asyncio

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import default_conversation
from caxton.domain.memory import MemoryFilter, MemorySpace
from caxton.domain.ports.contracts import ContractStore
from caxton.domain.ports.conversations import GroupStore
from caxton.domain.ports.database import Database
from caxton.domain.ports.delivery import MessageArchive
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.observation import Feed
from caxton.domain.ports.usage import UsageStore
from caxton.runtime.ledger import Ledger
from caxton.runtime.summaries import Summaries
from caxton.runtime.traces import Traces
from caxton.service.api.people import PersonForgotten, PersonView

MOST_GROUPS = 1000
"""Groups of a person that are named."""


class PeopleService:
    """One method an operation of `service.api.people`. A person is the sender of messages, the subject of memories."""

    def __init__(
        self,
        *,
        store: MessageStore,
        memory: Memory,
        usage: UsageStore,
        ledger: Ledger,
        summaries: Summaries,
        traces: Traces,
        database: Database,
        groups: GroupStore | None = None,
        contracts: ContractStore | None = None,
        feed: Feed | None = None,
        archive: MessageArchive | None = None,
    ) -> None:
        self._store = store
        self._memory = memory
        self._usage = usage
        self._ledger = ledger
        self._summaries = summaries
        self._traces = traces
        self._database = database
        self._groups = groups
        self._contracts = contracts
        self._feed = feed
        self._archive = archive

    async def show(self, *, person: str) -> PersonView:
        about = MemoryFilter(spaces=None, subject=person, expired=True)
        memories = [None async for _ in self._memory.export(about)]
        return PersonView(
            person=person,
            memories=len(memories),
            conversations=await self._store.taken_part(person),
            groups=[group.id for group in await self._groups.of(person, limit=MOST_GROUPS)] if self._groups else [],
        )

    async def forget(self, *, person: str) -> PersonForgotten:
        """Erase conversations first, so that nothing is remembered from them again. Repeating it finds the rest.

        `storage_failed` where the file could not be rewritten; everything is erased then, and traces may be in it.
        """
        archived = await self._forget_archived(person)
        erased = await self._store.forget(person)
        departed = await self._groups.forget(person, erased.conversations) if self._groups else None
        contracts = await self._contracts.forget(person) if self._contracts else 0
        self._traces.forget(erased.conversations)
        if self._feed:
            self._feed.forget(erased.conversations)
        self._summaries.forget(erased.conversations)
        talks = tuple(MemorySpace(scope=MemoryScope.SESSION, owner=one) for one in erased.conversations)
        memories = await self._memory.forget(MemoryFilter(spaces=talks, expired=True)) if talks else 0
        memories += await self._memory.forget(MemoryFilter(spaces=None, subject=person, expired=True))
        await self._ledger.flush()
        uses = await self._usage.anonymise(erased.conversations, prefix=default_conversation(person, ""))
        await self._database.scrub()
        return PersonForgotten(
            person=person,
            memories=memories,
            conversations=len(erased.conversations),
            messages=erased.messages,
            waiting=erased.waiting,
            uses=uses,
            participations=departed.participations if departed else 0,
            contracts=contracts,
            archived=archived,
        )

    async def _forget_archived(self, person: str) -> int:
        """First of all: what the store knows of his conversations is needed for it, and it can be tried again."""
        if self._archive is None:
            return 0
        conversations = [one.id for one in await self._store.taken_part(person)]
        try:
            return await asyncio.to_thread(self._archive.forget, person, conversations)
        except OSError as error:
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"Messages of {person!r} could not be taken out of the archive; nothing is erased yet.",
                why=str(error),
                hint="See to that file, and ask again.",
            ) from error
