"""What makes the memory of a rescued database agree with itself again. Part of the rescue's transaction."""

from caxton.domain.ports.database import Session

DERIVED = frozenset({"memory_tags", "memory_indexes", "memory_pages"})
"""Tables that triggers and the statements below fill."""

STATEMENTS = (
    # A space whose row is lost gets a name by which an operator finds it.
    """
    INSERT INTO memory_spaces (id, scope, owner) SELECT DISTINCT space, 'workspace', 'rescued-' || space
    FROM memory_entries WHERE space NOT IN (SELECT id FROM memory_spaces)
    """,
    "DELETE FROM memory_vectors WHERE entry NOT IN (SELECT seq FROM memory_entries)",
    "DELETE FROM memory_vectors WHERE model NOT IN (SELECT id FROM memory_models)",
    """
    DELETE FROM memory_vectors WHERE length(vector) <> (SELECT 2 * dimension FROM memory_models WHERE id = model)
    """,
    """
    DELETE FROM memory_relations
    WHERE source NOT IN (SELECT seq FROM memory_entries) OR target NOT IN (SELECT seq FROM memory_entries)
    """,
    """
    INSERT OR IGNORE INTO memory_tags (space, tag, entry)
    SELECT e.space, tag.value, e.seq FROM memory_entries AS e, json_each(e.tags) AS tag
    """,
    # As `checks.searched_text` has it: the key, and a text as it is or any other value as its JSON.
    """
    INSERT INTO memory_words (rowid, text, space)
    SELECT seq, coalesce(key || ': ', '') || iif(json_type(value) = 'text', value ->> '$', value), 's' || space
    FROM memory_entries
    """,
    # Last, for a space that is left without entries goes by its trigger.
    """
    UPDATE memory_spaces SET
        entries = (SELECT count(*) FROM memory_entries AS e WHERE e.space = memory_spaces.id),
        bytes = (SELECT coalesce(sum(size), 0) FROM memory_entries AS e WHERE e.space = memory_spaces.id)
    """,
)


def agree(session: Session) -> None:
    for statement in STATEMENTS:
        session.execute(statement)
