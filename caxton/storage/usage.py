"""What the use of models came to, in the embedded database."""

from collections.abc import Collection, Sequence

import msgspec

from caxton.domain.ports.database import Database, Session
from caxton.domain.usage import ModelUse, UsageBy, UsageSum

RECORD = """
INSERT INTO model_uses (at, agent, conversation_id, provider, model, prompt_tokens, completion_tokens, cost)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
SUMS = """
SELECT
    {column} AS key,
    count(*),
    coalesce(sum(prompt_tokens), 0),
    coalesce(sum(completion_tokens), 0),
    coalesce(sum(cost), 0.0) AS cost,
    sum(prompt_tokens IS NULL OR completion_tokens IS NULL),
    sum(cost IS NULL)
FROM model_uses WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY {order}
"""
ANONYMISE = """
UPDATE model_uses SET conversation_id = ''
WHERE conversation_id IN (SELECT value FROM json_each(?)) OR substr(conversation_id, 1, length(?)) = ?
RETURNING 1
"""
COLUMNS = {
    UsageBy.AGENT: "agent",
    UsageBy.CONVERSATION: "conversation_id",
    UsageBy.DAY: "day",
    UsageBy.MODEL: "provider || '/' || model",
    UsageBy.PROVIDER: "provider",
}
ENDLESS = 1e12


class SqliteUsageStore:
    """Implements `ports.usage.UsageStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, uses: Sequence[ModelUse]) -> None:
        rows = [
            (
                use.at,
                use.agent,
                use.conversation_id,
                use.provider,
                use.model,
                use.prompt_tokens,
                use.completion_tokens,
                use.cost,
            )
            for use in uses
        ]

        def work(session: Session) -> None:
            for row in rows:
                session.execute(RECORD, row)

        await self._database.write(work)

    async def anonymise(self, conversations: Collection[str], *, prefix: str) -> int:
        values = (msgspec.json.encode([*conversations]).decode(), prefix, prefix)
        return len(await self._database.write(lambda session: session.execute(ANONYMISE, values)))

    async def sums(self, by: UsageBy, *, since: float, until: float | None = None) -> list[UsageSum]:
        order = "key DESC" if by is UsageBy.DAY else "cost DESC, sum(prompt_tokens + completion_tokens) DESC, key"
        sql = SUMS.format(column=COLUMNS[by], order=order)
        rows = await self._database.scan(
            lambda session: session.execute(sql, (since, ENDLESS if until is None else until))
        )
        return [
            UsageSum(
                key=key,
                completions=completions,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                cost=cost,
                unmetered=unmetered,
                unpriced=unpriced,
            )
            for key, completions, prompt_tokens, completion_tokens, cost, unmetered, unpriced in rows
        ]
