-- Of a message with an idempotency key that key and who sent it; `agent` is whom it was sent to.
ALTER TABLE messages ADD COLUMN sender TEXT;
ALTER TABLE messages ADD COLUMN idempotency_key TEXT;
CREATE UNIQUE INDEX messages_by_key ON messages (agent, sender, idempotency_key) WHERE idempotency_key IS NOT NULL;
