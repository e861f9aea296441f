-- The approved description of each tool: a SHA-256 in hexadecimal over all that its server said.
CREATE TABLE tool_fingerprints (
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (server, tool)
) STRICT, WITHOUT ROWID;
