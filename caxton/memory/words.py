"""Search by words: what is asked of the full-text index, and how its list is fused with that of meanings."""

import re
from collections.abc import Iterable, Sequence

from caxton.domain.memory import MemoryQuery, SearchMode
from caxton.domain.ports.database import Session
from caxton.memory.filters import Where

FIND = """
SELECT memory_words.rowid FROM memory_words CROSS JOIN memory_entries AS e ON e.seq = memory_words.rowid
WHERE memory_words MATCH ? AND rank MATCH 'bm25(1.0, 0.0)' AND memory_words.rowid >= ? AND {where}
ORDER BY rank LIMIT ?
"""
NEWEST = "SELECT rowid FROM memory_words WHERE memory_words MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET ?"
COUNT = "SELECT count(*) FROM (SELECT 1 FROM memory_words WHERE memory_words MATCH ? AND rowid >= ? LIMIT ?)"
MAX_TERMS = 6
"""Words searched for at most, the rarest of the longest twice as many."""
MAX_RANKED = 1_000
"""Entries to rank, which is what a search costs. Words that would add more are left out; where even the rarest word is
in more, its newest entries are ranked."""
RRF = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009, which found 60 to do well)."""

COMMON = """
a about after all also am an and any are as at be because been before being but by can could did do does doing
don for from get give had has have having he her here hers him his how i if in into is it its just know let like
may me might mine more most must my no nor not now of off on once only or other our ours out over own please s
same shall she should so some such t tell than that the their theirs them then there these they this those to too
under until up us very was we were what when where which while who whom whose why will with would you your yours
"""
STOP_WORDS = frozenset(COMMON.split())


def find(session: Session, query: MemoryQuery, where: Where, limit: int) -> list[int]:
    """The seqs of the entries that the words of the query are in, best first (BM25).

    An exact search wants every word, and what is in double quotes as a phrase; others are content with any.
    """
    if where.spaces == ():
        return []
    exact = query.mode is SearchMode.EXACT
    terms = _exact(query.text) if exact else _any(session, query.text, where)
    if not terms:
        return []
    wanted = (" AND " if exact else " OR ").join(terms)
    asked = _in_spaces(wanted, where)
    oldest = 0
    if not exact and not query.filter.narrows:
        rows = session.execute(NEWEST, (asked, MAX_RANKED))
        oldest = rows[0][0] if rows else 0
    # To rank, SQLite counts the entries of every term, and a space is a term too, with all of its own: it is left out
    # where entries of other spaces, which the condition leaves out again, do not make up for that.
    anywhere = f"text : ({wanted})"
    if session.execute(COUNT, (anywhere, oldest, 3 * MAX_RANKED))[0][0] < 3 * MAX_RANKED:
        asked = anywhere
    rows = session.execute(FIND.format(where=where.sql), (asked, oldest, *where.values, limit))
    return [seq for (seq,) in rows]


def fused(lists: Iterable[Sequence[int]]) -> dict[int, float]:
    """Scores by reciprocal rank fusion, best first."""
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, seq in enumerate(ranked, 1):
            scores[seq] = scores.get(seq, 0.0) + 1 / (RRF + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _in_spaces(asked: str, where: Where) -> str:
    spaces = "" if where.spaces is None else f" AND space : ({' OR '.join(f's{id}' for id in where.spaces)})"
    return f"text : ({asked}){spaces}"


def _any(session: Session, text: str, where: Where) -> list[str]:
    words = list(dict.fromkeys(re.findall(r"\w+", text.lower())))
    telling = [word for word in words if word not in STOP_WORDS] or words
    terms = [f'"{word}"' for word in sorted(telling, key=len, reverse=True)[: 2 * MAX_TERMS]]
    counted = [(session.execute(COUNT, (_in_spaces(term, where), 0, MAX_RANKED))[0][0], term) for term in terms]
    chosen: list[str] = []
    total = 0
    for count, term in sorted(one for one in counted if one[0]):
        if chosen and (total + count > MAX_RANKED or len(chosen) == MAX_TERMS):
            break
        chosen.append(term)
        total += count
    return chosen


def _exact(text: str) -> list[str]:
    phrases = [" ".join(re.findall(r"\w+", phrase)) for phrase in re.findall(r'"([^"]*)"', text)]
    words = list(dict.fromkeys(re.findall(r"\w+", re.sub(r'"[^"]*"', " ", text).lower())))
    telling = [word for word in words if word not in STOP_WORDS] or ([] if any(phrases) else words)
    return [f'"{term}"' for term in [*filter(None, phrases), *telling]]
