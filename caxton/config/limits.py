"""`[limits]` of an agent and of a provider."""

from pydantic import Field

from caxton.config.check import FileModel


class LimitsTable(FileModel):
    """`[limits]`: what may be asked of models. Requests beyond the first three wait, beyond a budget they fail."""

    concurrent: int | None = Field(None, ge=1, le=10_000, description="Requests at once.")
    requests_per_minute: int | None = Field(None, ge=1, description="Requests a minute.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Tokens a minute, of prompts and answers.")
    daily_tokens: int | None = Field(None, ge=1, description="Tokens a day; days are those of UTC.")
    daily_cost: float | None = Field(None, gt=0, description="US dollars a day.")
