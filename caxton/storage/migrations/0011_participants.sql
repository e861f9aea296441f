-- Conversations with participants. `metadata` is JSON, `idle` in seconds; nobody was idle before `active_at`.
CREATE TABLE conversation_groups (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    title      TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    history    TEXT NOT NULL,
    speaking   TEXT NOT NULL,
    idle       REAL,
    created_at REAL NOT NULL,
    active_at  REAL NOT NULL,
    closed_at  REAL
) STRICT;
CREATE INDEX conversation_groups_open ON conversation_groups (id) WHERE closed_at IS NULL;

-- Who takes part in them, and did until `left_at`: one row for each time.
CREATE TABLE participations (
    seq             INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    participant     TEXT NOT NULL,
    kind            TEXT NOT NULL,
    joined_at       REAL NOT NULL,
    left_at         REAL
) STRICT;
CREATE INDEX participations_by_conversation ON participations (conversation_id, seq);
CREATE INDEX participations_by_participant ON participations (participant);
CREATE UNIQUE INDEX participations_now ON participations (conversation_id, participant) WHERE left_at IS NULL;
