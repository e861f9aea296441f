"""`[bus]` of the server file."""

from typing import Literal

from pydantic import Field

from caxton.config.check import FileModel
from caxton.config.fields import Duration, Retention
from caxton.domain.bus_settings import Balance, BusSettings, Overload, RetrySettings


class RetriesTable(FileModel):
    """`[bus.retries]`: how a message that nobody waits for is tried again after a failure that may pass."""

    attempts: int = Field(5, ge=1, le=100, description="Attempts in all; then it is a dead letter.")
    first_delay: Duration = Field(1.0, description='Wait after the first failure: "1s". It doubles each time.')
    longest_delay: Duration = Field(300.0, description='Longest wait between two attempts: "5m".')


class BusTable(FileModel):
    """`[bus]`: how messages are routed, bounded, repeated and kept."""

    balance: Literal["context", "least-loaded", "fastest", "round-robin"] = Field(
        "context", description="Which of several able agents gets a message."
    )
    overload: Literal["spill", "refuse"] = Field(
        "spill", description="Messages beyond an agent's mailbox wait in the store, or are refused."
    )
    mailbox: int = Field(1000, ge=1, le=1_000_000, description="Most messages an agent has in hand.")
    backlog: int = Field(100_000, ge=0, description="Most messages that wait in the store beyond an agent's mailbox.")
    patience: Duration = Field(5.0, description="How long a sender waits for room before it is refused.")
    max_hops: int = Field(8, ge=1, le=100, description="Longest chain of messages that one leads to.")
    waiting: Retention | None = Field(
        604_800.0, description='How long messages wait for an agent that does not run: "7d".'
    )
    idempotency_window: Retention = Field(86_400.0, description='How long an idempotency key is known: "1d".')
    retention: Retention | None = Field(
        None, description='How long messages, and with them conversations, are kept: "90d"; for ever where left out.'
    )
    dead_letter_retention: Retention | None = Field(None, description="How long dead letters are kept.")
    conversation_idle: Retention | None = Field(None, description="After how long a silent group is closed.")
    archive: bool = Field(True, description="Whether what `retention` deletes is first put into a compressed file.")
    retries: RetriesTable = RetriesTable()


def bus_settings(table: BusTable) -> BusSettings:
    """The settings of the table."""
    fields = table.model_dump(exclude={"balance", "overload", "retries"})
    return BusSettings(
        balance=Balance(table.balance),
        overload=Overload(table.overload),
        retries=RetrySettings(**table.retries.model_dump()),
        **fields,
    )
