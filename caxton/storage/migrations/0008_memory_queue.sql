-- What was to be remembered while the memory's backend could not be reached, in its order: JSON, done and deleted when it
-- is back. Empty where memories are in this file.
CREATE TABLE memory_queue (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    work BLOB NOT NULL
) STRICT;
