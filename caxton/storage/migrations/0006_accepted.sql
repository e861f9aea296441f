-- Each agent that starts asks for what was accepted for it.
CREATE INDEX messages_accepted_by_agent ON messages (agent, seq) WHERE state = 'accepted';
DROP INDEX messages_accepted;
