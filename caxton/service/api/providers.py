"""Providers of language models, seen from outside."""

from typing import Annotated

import msgspec

from caxton.domain.completion import ModelInfo, PullProgress
from caxton.domain.errors import Code
from caxton.domain.health import HealthStatus
from caxton.domain.limits import ModelLimits
from caxton.domain.usage import UsageBy, UsageSum
from caxton.service.api.operation import BodyKind, Operation


class CircuitView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests go through: `closed` they do, `open` none does for `remaining` seconds, `half-open` one tries.

    `failures` counts those in a row.
    """

    state: str
    failures: int
    remaining: float


class TodayView(msgspec.Struct, frozen=True, kw_only=True):
    """What was used since midnight UTC. `cost` is in US dollars; `unpriced` completions are not in it."""

    tokens: int
    cost: float
    unpriced: int


class ProviderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`key` says where the key comes from, and never what it is."""

    name: str
    kind: str
    default: bool
    model: ModelInfo
    base_url: str | None
    key: str
    circuit: CircuitView
    today: TodayView
    limits: ModelLimits
    health: HealthStatus | None
    detail: str


class ProviderList(msgspec.Struct, frozen=True, kw_only=True):
    providers: list[ProviderSummary]


class ProviderCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that answered a short question. Times in seconds, the first token's None where it does not stream."""

    provider: str
    model: str
    first_token: float | None
    duration: float
    text: str


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    models: list[ModelInfo]


class PullModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model to fetch, by the provider's name for it."""

    model: str


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """The model is there. `duration` is in seconds."""

    provider: str
    model: str
    duration: float


PullEvent = PullProgress | Pulled


class CheckQuery(msgspec.Struct, frozen=True, kw_only=True):
    model: str | None = None


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """By what to sum up, and how many days back, today included."""

    by: UsageBy = UsageBy.DAY
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was used since `since` (seconds since the epoch, UTC), and all of it together."""

    by: UsageBy
    since: float
    sums: list[UsageSum]
    total: UsageSum


PROVIDER_ERRORS = (
    Code.PROVIDER_AUTHENTICATION,
    Code.PROVIDER_MALFORMED,
    Code.PROVIDER_QUOTA,
    Code.PROVIDER_RATE_LIMITED,
    Code.PROVIDER_REJECTED,
    Code.PROVIDER_TIMEOUT,
    Code.PROVIDER_UNAVAILABLE,
)

LIST = Operation(
    name="providers.list",
    method="GET",
    path="/providers",
    summary="List the providers of language models",
    permission="providers:read",
    response=ProviderList,
)
USAGE = Operation(
    name="providers.usage",
    method="GET",
    path="/usage",
    summary="Tokens and cost by agent, conversation, day, model or provider",
    permission="providers:read",
    response=UsageReport,
    query=UsageQuery,
)
SHOW = Operation(
    name="providers.show",
    method="GET",
    path="/providers/{name}",
    summary="Show a provider",
    permission="providers:read",
    response=ProviderSummary,
    errors=(Code.PROVIDER_UNKNOWN,),
)
CHECK = Operation(
    name="providers.check",
    method="POST",
    path="/providers/{name}/check",
    summary="Ask a provider a short question: does it answer, is the key right, how fast is it",
    permission="providers:use",
    response=ProviderCheck,
    query=CheckQuery,
    errors=(Code.PROVIDER_UNKNOWN, *PROVIDER_ERRORS),
)
MODELS = Operation(
    name="providers.models",
    method="GET",
    path="/providers/{name}/models",
    summary="List the models of a provider, and what each is known to do",
    permission="providers:read",
    response=ModelList,
    errors=(Code.PROVIDER_UNKNOWN, Code.NOT_SUPPORTED, *PROVIDER_ERRORS),
)
PULL = Operation(
    name="providers.pull",
    method="POST",
    path="/providers/{name}/pull",
    summary="Have a provider fetch a model, with its progress as events",
    permission="providers:use",
    response=Pulled,
    body=PullModel,
    body_kind=BodyKind.JSON,
    events={"progress": PullProgress, "pulled": Pulled},
    errors=(Code.PROVIDER_UNKNOWN, Code.NOT_SUPPORTED, *PROVIDER_ERRORS),
)
RESET = Operation(
    name="providers.reset",
    method="POST",
    path="/providers/{name}/reset",
    summary="Try a provider again that is left alone after failures",
    permission="providers:use",
    response=ProviderSummary,
    errors=(Code.PROVIDER_UNKNOWN,),
)

OPERATIONS = (LIST, USAGE, SHOW, CHECK, MODELS, PULL, RESET)
