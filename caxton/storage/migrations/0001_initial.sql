CREATE TABLE migrations (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    checksum TEXT NOT NULL
) STRICT;

-- What is kept of an agent over restarts. The id stays with the name for good.
CREATE TABLE agents (
    name        TEXT PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    desired     TEXT NOT NULL,
    source_path TEXT NOT NULL,
    source_text TEXT NOT NULL,
    created_at  REAL NOT NULL
) STRICT;

CREATE TABLE lifecycle_events (
    seq    INTEGER PRIMARY KEY,
    agent  TEXT NOT NULL,
    at     REAL NOT NULL,
    "trigger" TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX lifecycle_events_by_agent ON lifecycle_events (agent, seq);

-- Every stored message. `agent` is the one that it is to or from; `body` is the whole message as JSON.
CREATE TABLE messages (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    conversation_id TEXT NOT NULL,
    agent           TEXT NOT NULL,
    performative    TEXT NOT NULL,
    in_reply_to     TEXT,
    state           TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    body            BLOB NOT NULL
) STRICT;
CREATE INDEX messages_by_conversation ON messages (conversation_id, seq);
CREATE INDEX messages_informs ON messages (conversation_id, agent, seq) WHERE performative = 'inform';
CREATE INDEX messages_by_agent ON messages (agent, seq);
CREATE INDEX messages_accepted ON messages (seq) WHERE state = 'accepted';
CREATE INDEX messages_by_request ON messages (in_reply_to) WHERE in_reply_to IS NOT NULL;

-- One row a conversation that has messages, kept in step with them.
CREATE TABLE conversations (
    id         TEXT PRIMARY KEY,
    agent      TEXT NOT NULL,
    messages   INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    touched    INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_touched ON conversations (touched);
CREATE INDEX conversations_by_agent ON conversations (agent, touched);
