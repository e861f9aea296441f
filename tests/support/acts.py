"""Messages of every kind, made up."""

from hypothesis import strategies as st

from caxton.domain.content import LARGEST, SMALLEST
from caxton.domain.message import Durability, Message, Performative

NAMES = st.from_regex(r"[a-z]{3,8}(-[a-z]{1,5})?", fullmatch=True)
TEXTS = st.text(max_size=20)
"""Hypothesis makes no half surrogate pairs unless it is asked to."""
TIMES = st.floats(0, 2**40, allow_nan=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(SMALLEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXTS, inside, max_size=4),
    max_leaves=12,
)


def contents() -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(TEXTS, JSON, max_size=5)


def messages() -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        id=st.uuids(version=4).map(str),
        performative=st.sampled_from(Performative),
        sender=NAMES,
        receiver=NAMES,
        conversation_id=NAMES,
        created_at=TIMES,
        content=contents(),
        in_reply_to=st.none() | NAMES,
        reply_with=st.none() | TEXTS,
        reply_by=st.none() | TIMES,
        protocol=st.none() | TEXTS,
        ontology=st.none() | TEXTS,
        language=st.none() | TEXTS,
        priority=st.integers(0, 9),
        idempotency_key=st.none() | TEXTS,
        hops=st.integers(0, 100),
        trace=st.none() | TEXTS,
        durability=st.sampled_from(Durability),
        addressed=st.none() | TEXTS,
        cause=st.none() | NAMES,
        path=st.lists(NAMES, max_size=4).map(tuple),
        awaited=st.booleans(),
    )
