-- Messages on their way, dead letters, and what agents keep of their own.

-- Every stored message. `agent` is the one that it is to or from, `receiver` whom it is for, `trace_id` that of its
-- traceparent; `sender`, `addressed` (an agent or a capability, as the sender had it) and `idempotency_key` are set for
-- as long as the key is known. A waiting message is not begun before `not_before`; `failures` has every failed attempt as JSON, the last one last. `body` is the whole message as
-- JSON, and last so that the rest of a row is found without reading a long one.
ALTER TABLE messages RENAME TO messages_before;
CREATE TABLE messages (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    state           TEXT NOT NULL,
    receiver        TEXT,
    agent           TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    performative    TEXT NOT NULL,
    in_reply_to     TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      REAL,
    reply_by        REAL,
    trace_id        TEXT,
    sender          TEXT,
    addressed       TEXT,
    idempotency_key TEXT,
    not_before      REAL,
    died_at         REAL,
    failures        TEXT,
    body            BLOB NOT NULL
) STRICT;
INSERT INTO messages (
    seq, id, state, receiver, agent, conversation_id, performative, in_reply_to, attempts, created_at, reply_by,
    trace_id, sender, addressed, idempotency_key, body
)
SELECT
    seq, id, state, json_extract(CAST(body AS TEXT), '$.receiver'), agent, conversation_id, performative, in_reply_to,
    attempts, json_extract(CAST(body AS TEXT), '$.created_at'), json_extract(CAST(body AS TEXT), '$.reply_by'),
    substr(json_extract(CAST(body AS TEXT), '$.trace'), 4, 32), sender,
    CASE WHEN idempotency_key IS NOT NULL THEN agent END, idempotency_key, body
FROM messages_before;
DROP TABLE messages_before;

-- What is accepted is in the first of these alone: what matters then is how few pages a commit touches. A message comes
-- into the indexes of the history when its receiver has dealt with it.
CREATE INDEX messages_waiting ON messages (receiver, seq, conversation_id) WHERE state = 'accepted';
CREATE INDEX messages_replies_waiting ON messages (agent, seq) WHERE state = 'accepted' AND agent <> receiver;
CREATE INDEX messages_deadlines ON messages (reply_by) WHERE state = 'accepted' AND reply_by IS NOT NULL;
CREATE INDEX messages_by_conversation ON messages (conversation_id, seq) WHERE state <> 'accepted';
CREATE INDEX messages_by_agent ON messages (agent, seq) WHERE state <> 'accepted';
CREATE INDEX messages_by_trace ON messages (trace_id, seq) WHERE state <> 'accepted' AND trace_id IS NOT NULL;
CREATE INDEX messages_by_time ON messages (created_at) WHERE state <> 'accepted';
CREATE INDEX messages_dead ON messages (died_at) WHERE state = 'dead';
CREATE INDEX messages_by_request ON messages (in_reply_to) WHERE in_reply_to IS NOT NULL;
CREATE INDEX messages_informs ON messages (conversation_id, agent, seq)
    WHERE performative = 'inform' AND in_reply_to IS NOT NULL;
CREATE UNIQUE INDEX messages_by_key ON messages (addressed, sender, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX messages_keys ON messages (created_at) WHERE idempotency_key IS NOT NULL;

-- The last message that its conversation counts: those after it are counted when there are enough of them, or when
-- somebody wants to know.
CREATE TABLE conversations_counted (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO conversations_counted (one, seq) SELECT 1, coalesce(max(seq), 0) FROM messages;

-- One value a key, as JSON.
CREATE TABLE agent_state (
    agent TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (agent, key)
) STRICT, WITHOUT ROWID;

-- For whoever asks in SQL; the columns stay. `content` is JSON, times are in seconds since the epoch, UTC, `attempts`
-- is how many failed, `error_code` and `error_message` are of the last one, `failures` is JSON and has them all.
CREATE VIEW dead_letters AS
SELECT
    id,
    json_extract(CAST(body AS TEXT), '$.sender') AS sender,
    receiver,
    performative,
    conversation_id,
    json_extract(CAST(body AS TEXT), '$.content') AS content,
    json_extract(failures, '$[#-1].error.code') AS error_code,
    json_extract(failures, '$[#-1].error.message') AS error_message,
    json_extract(failures, '$[#-1].attempt') AS attempts,
    created_at AS accepted_at,
    died_at,
    trace_id,
    failures
FROM messages WHERE state = 'dead';
