"""`[contract_net]` of an agent file."""

from pydantic import Field, model_validator

from caxton.config.check import FileModel, wrong
from caxton.config.fields import Duration, Filled
from caxton.domain.bids import BiddingPolicy


class ContractNetTable(FileModel):
    """`[contract_net]`: how the agent answers calls for proposals, without its model."""

    bid: bool = Field(True, description="Whether it takes part; it refuses all calls if not.")
    cost: float = Field(1.0, ge=0, le=1e12, description="What it asks for a task, in whatever costs are counted in.")
    cost_per_1k_characters: float = Field(
        0.0, ge=0, le=1e12, description="What it asks for each thousand characters of the task, beside that."
    )
    lowest_cost: float | None = Field(
        None, ge=0, le=1e12, description="How low it goes when it is beaten in a round; not at all where left out."
    )
    max_load: int = Field(100, ge=1, description="With so many other messages in hand it refuses.")
    estimated_seconds: Duration | None = Field(None, description='How long it says a task takes: "30s".')
    quality: float | None = Field(None, ge=0, le=1, description="How good it says its work is, 0 to 1.")
    words: list[Filled] = Field([], description="It bids on tasks with one of these words only, in any case.")

    @model_validator(mode="after")
    def _falling(self) -> "ContractNetTable":
        if self.lowest_cost is not None and self.lowest_cost > self.cost:
            raise wrong(
                "'lowest_cost' is above 'cost'", "It is how low the agent goes; leave it out to stay at 'cost'."
            )
        return self

    def policy(self) -> BiddingPolicy:
        """The domain's value of this table."""
        return BiddingPolicy(**{**self.model_dump(), "words": tuple(self.words)})
