"""Whether text, words, vectors and counts agree, as every transaction leaves them."""

from caxton.domain.errors import CaxtonError
from caxton.domain.ports.database import Database, Session

CHECKS = (
    ("entries without their words", "SELECT seq FROM memory_entries EXCEPT SELECT id FROM memory_words_docsize"),
    ("words without their entry", "SELECT id FROM memory_words_docsize EXCEPT SELECT seq FROM memory_entries"),
    (
        "vectors without their entry",
        """
        SELECT v.number FROM memory_vectors AS v LEFT JOIN memory_entries AS e ON e.seq = v.entry AND e.space = v.space
        WHERE e.seq IS NULL
        """,
    ),
    (
        "vectors of another size than their model's",
        """
        SELECT v.number FROM memory_vectors AS v LEFT JOIN memory_models AS m ON m.id = v.model
        WHERE m.id IS NULL OR length(v.vector) <> 2 * m.dimension
        """,
    ),
    (
        "spaces whose counts are wrong",
        """
        SELECT s.id FROM memory_spaces AS s LEFT JOIN memory_entries AS e ON e.space = s.id GROUP BY s.id
        HAVING count(e.seq) <> s.entries OR total(e.size) <> s.bytes OR s.entries = 0
        """,
    ),
    (
        "entries without their space",
        "SELECT seq FROM memory_entries WHERE space NOT IN (SELECT id FROM memory_spaces)",
    ),
    (
        "indexes whose counts are wrong",
        """
        SELECT i.space FROM memory_indexes AS i LEFT JOIN memory_vectors AS v ON v.space = i.space AND v.model = i.model
        GROUP BY i.space, i.model HAVING count(v.number) <> i.vectors
        """,
    ),
    (
        "vectors that no index counts",
        """
        SELECT v.number FROM memory_vectors AS v
        LEFT JOIN memory_indexes AS i ON i.space = v.space AND i.model = v.model WHERE i.space IS NULL
        """,
    ),
    (
        "tags that differ from their entry's",
        """
        SELECT e.seq FROM memory_entries AS e
        WHERE json_array_length(e.tags) <> (SELECT count(*) FROM memory_tags WHERE entry = e.seq)
        UNION ALL SELECT entry FROM memory_tags WHERE entry NOT IN (SELECT seq FROM memory_entries)
        """,
    ),
    (
        "relations without an end",
        """
        SELECT source FROM memory_relations
        WHERE source NOT IN (SELECT seq FROM memory_entries) OR target NOT IN (SELECT seq FROM memory_entries)
        """,
    ),
)
WORDS = "INSERT INTO memory_words (memory_words) VALUES ('integrity-check')"


async def disagreements(database: Database) -> list[str]:
    """What is wrong, empty where everything agrees. Reads everything there is."""

    def look(session: Session) -> list[str]:
        counts = [(len(session.execute(sql)), what) for what, sql in CHECKS]
        return [f"{count} {what}" for count, what in counts if count]

    found = await database.scan(look)
    try:
        await database.write(lambda session: session.execute(WORDS))
    except CaxtonError as error:
        found.append(f"the index of words is damaged: {error.message}")
    return found
