-- What agents remember. Triggers keep text, vector, index and counts of an entry in step, whatever deletes it.

CREATE TABLE memory_spaces (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    scope   TEXT NOT NULL,
    owner   TEXT NOT NULL,
    entries INTEGER NOT NULL DEFAULT 0,
    bytes   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, owner)
) STRICT;

-- `value` and `tags` are JSON; `size` is in bytes; `revision` counts the values an entry has had.
CREATE TABLE memory_entries (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    space      INTEGER NOT NULL,
    key        TEXT,
    value      TEXT NOT NULL,
    tags       TEXT NOT NULL,
    importance REAL NOT NULL,
    subject    TEXT,
    source     TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    used_at    REAL NOT NULL,
    expires_at REAL,
    size       INTEGER NOT NULL,
    revision   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX memory_entries_by_key ON memory_entries (space, key) WHERE key IS NOT NULL;
CREATE INDEX memory_entries_by_time ON memory_entries (space, created_at, expires_at);
CREATE INDEX memory_entries_by_worth ON memory_entries (space, importance, used_at);
CREATE INDEX memory_entries_by_subject ON memory_entries (subject) WHERE subject IS NOT NULL;
CREATE INDEX memory_entries_by_expiry ON memory_entries (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE memory_tags (
    space INTEGER NOT NULL,
    tag   TEXT NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (space, tag, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_tags_by_entry ON memory_tags (entry);

-- Edges between entries, by their seq.
CREATE TABLE memory_relations (
    source     INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    target     INTEGER NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (source, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_relations_by_target ON memory_relations (target, source);

-- The words of entries, without their text. `space` holds one word, "s" and the space's id, so that a search meets
-- the entries of its spaces alone.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    text, space, content = '', contentless_delete = 1, detail = full, tokenize = 'unicode61 remove_diacritics 2'
);

-- Vectors with a number up to `stale` are to be made anew; they serve meanwhile.
CREATE TABLE memory_models (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    stale     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, dimension)
) STRICT;

-- One vector an entry: little-endian half-precision floats of length 1. A new vector gets a new number, so that
-- whoever has seen the vectors up to one number finds out what came since.
CREATE TABLE memory_vectors (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry  INTEGER NOT NULL,
    space  INTEGER NOT NULL,
    model  INTEGER NOT NULL,
    vector BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX memory_vectors_by_entry ON memory_vectors (entry, model);
CREATE INDEX memory_vectors_by_space ON memory_vectors (space, model, number);

-- How many vectors a space has, and the mean that its signs are taken about, once it is large enough to need them.
CREATE TABLE memory_indexes (
    space   INTEGER NOT NULL,
    model   INTEGER NOT NULL,
    vectors INTEGER NOT NULL,
    centre  BLOB,
    PRIMARY KEY (space, model)
) STRICT, WITHOUT ROWID;

-- Signs of runs of vectors as a search left them: nothing but a cache, made anew from memory_vectors where missing or
-- damaged. `numbers` are those of the vectors, every one after `after`, which is the last of the page before (0 for the
-- first page); `checksum` is the CRC-32 of after, numbers, signs and centre.
CREATE TABLE memory_pages (
    space    INTEGER NOT NULL,
    model    INTEGER NOT NULL,
    after    INTEGER NOT NULL,
    numbers  BLOB NOT NULL,
    signs    BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (space, model, after)
) STRICT;

CREATE TRIGGER memory_entry_comes AFTER INSERT ON memory_entries BEGIN
    UPDATE memory_spaces SET entries = entries + 1, bytes = bytes + NEW.size WHERE id = NEW.space;
END;
CREATE TRIGGER memory_entry_changes AFTER UPDATE OF size ON memory_entries BEGIN
    UPDATE memory_spaces SET bytes = bytes + NEW.size - OLD.size WHERE id = NEW.space;
END;
CREATE TRIGGER memory_entry_goes AFTER DELETE ON memory_entries BEGIN
    DELETE FROM memory_tags WHERE entry = OLD.seq;
    DELETE FROM memory_relations WHERE source = OLD.seq;
    DELETE FROM memory_relations WHERE target = OLD.seq;
    DELETE FROM memory_words WHERE rowid = OLD.seq;
    DELETE FROM memory_vectors WHERE entry = OLD.seq;
    UPDATE memory_spaces SET entries = entries - 1, bytes = bytes - OLD.size WHERE id = OLD.space;
END;
CREATE TRIGGER memory_space_is_empty AFTER UPDATE OF entries ON memory_spaces WHEN NEW.entries = 0 BEGIN
    DELETE FROM memory_pages WHERE space = OLD.id;
    DELETE FROM memory_indexes WHERE space = OLD.id;
    DELETE FROM memory_spaces WHERE id = OLD.id;
END;
CREATE TRIGGER memory_vector_comes AFTER INSERT ON memory_vectors BEGIN
    INSERT INTO memory_indexes (space, model, vectors) VALUES (NEW.space, NEW.model, 1)
    ON CONFLICT (space, model) DO UPDATE SET vectors = vectors + 1;
END;
CREATE TRIGGER memory_vector_goes AFTER DELETE ON memory_vectors BEGIN
    UPDATE memory_indexes SET vectors = vectors - 1 WHERE space = OLD.space AND model = OLD.model;
END;
