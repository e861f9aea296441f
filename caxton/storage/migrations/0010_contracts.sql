-- Contracts (FIPA contract net), open and ended. `body` is the whole contract as JSON, with every bid and result.
CREATE TABLE contracts (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    initiator  TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at REAL NOT NULL,
    ended_at   REAL,
    body       BLOB NOT NULL
) STRICT;
CREATE INDEX contracts_open ON contracts (seq) WHERE ended_at IS NULL;
CREATE INDEX contracts_ended ON contracts (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX contracts_by_state ON contracts (state, seq);
CREATE INDEX contracts_by_initiator ON contracts (initiator, seq);

-- What became of the agents that a contract was awarded to: their past success is counted from it.
CREATE TABLE contract_awards (
    contract TEXT NOT NULL,
    agent    TEXT NOT NULL,
    state    TEXT NOT NULL,
    PRIMARY KEY (agent, contract)
) STRICT, WITHOUT ROWID;
CREATE INDEX contract_awards_by_contract ON contract_awards (contract);
