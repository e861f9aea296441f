"""Contracts in the embedded database."""

from collections.abc import Collection

import msgspec

from caxton.domain.bids import TrackRecord
from caxton.domain.contract_net import Contract, ContractState
from caxton.domain.ports.database import Database, Session

SAVE = """
INSERT INTO contracts (id, initiator, state, created_at, ended_at, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, body = excluded.body
"""
AWARD = """
INSERT INTO contract_awards (contract, agent, state) VALUES (?, ?, ?)
ON CONFLICT (agent, contract) DO UPDATE SET state = excluded.state
"""
FIND = "SELECT body FROM contracts WHERE id = ?"
UNFINISHED = "SELECT body FROM contracts WHERE ended_at IS NULL ORDER BY seq"
PAGE = """
SELECT body FROM contracts
WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR seq < (SELECT seq FROM contracts WHERE id = ?2))
ORDER BY seq DESC LIMIT ?3
"""
RECORDS = """
SELECT agent, sum(state = 'performed'), sum(state IN ('failed', 'overdue')) FROM contract_awards
WHERE agent IN (SELECT value FROM json_each(?)) GROUP BY agent
"""
DOOMED = "SELECT id FROM contracts WHERE ended_at < ?"
OWN = "SELECT id FROM contracts WHERE initiator = ? AND ended_at IS NOT NULL"
DROP_AWARDS = "DELETE FROM contract_awards WHERE contract IN (SELECT value FROM json_each(?))"
DROP = "DELETE FROM contracts WHERE id IN (SELECT value FROM json_each(?)) RETURNING 1"

_decode = msgspec.json.Decoder(Contract).decode


class SqliteContractStore:
    """Implements `ports.contracts.ContractStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, contract: Contract) -> None:
        row = (
            contract.id,
            contract.initiator,
            contract.state.value,
            contract.created_at,
            contract.ended_at,
            msgspec.json.encode(contract),
        )
        awards = [(contract.id, party.agent, party.state.value) for party in contract.parties if party.award]

        def work(session: Session) -> None:
            session.execute(SAVE, row)
            for award in awards:
                session.execute(AWARD, award)

        await self._database.write(work)

    def find(self, id: str) -> Contract | None:
        rows = self._database.read(lambda session: session.execute(FIND, (id,)))
        return _decode(rows[0][0]) if rows else None

    async def unfinished(self) -> list[Contract]:
        rows = await self._database.scan(lambda session: session.execute(UNFINISHED))
        return [_decode(body) for (body,) in rows]

    async def contracts(
        self, *, state: ContractState | None = None, limit: int, before: str | None = None
    ) -> list[Contract]:
        values = (state.value if state else None, before, limit)
        rows = await self._database.scan(lambda session: session.execute(PAGE, values))
        return [_decode(body) for (body,) in rows]

    async def records(self, agents: Collection[str]) -> dict[str, TrackRecord]:
        names = msgspec.json.encode([*agents]).decode()
        rows = await self._database.scan(lambda session: session.execute(RECORDS, (names,)))
        return {agent: TrackRecord(performed=performed, failed=failed) for agent, performed, failed in rows}

    async def drop(self, before: float) -> int:
        return await self._drop(DOOMED, before)

    async def forget(self, initiator: str) -> int:
        return await self._drop(OWN, initiator)

    async def _drop(self, chosen: str, value: float | str) -> int:
        def work(session: Session) -> int:
            ids = msgspec.json.encode([id for (id,) in session.execute(chosen, (value,))]).decode()
            session.execute(DROP_AWARDS, (ids,))
            return len(session.execute(DROP, (ids,)))

        return await self._database.write(work)
