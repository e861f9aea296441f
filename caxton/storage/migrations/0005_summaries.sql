-- What was said in a conversation, in short: the newest summary for each agent that takes part in it.
CREATE TABLE summaries (
    conversation_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    text TEXT NOT NULL,
    upto TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (conversation_id, agent)
) STRICT, WITHOUT ROWID;
