-- The use of language models, one row a completion. NULL is "not known".
CREATE TABLE model_uses (
    at REAL NOT NULL,
    day TEXT NOT NULL GENERATED ALWAYS AS (date(at, 'unixepoch')) STORED,
    agent TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost REAL
) STRICT;
CREATE INDEX model_uses_at ON model_uses (at);
