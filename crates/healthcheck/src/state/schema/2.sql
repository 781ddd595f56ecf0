-- Each record is JSON, and what stands beside it is for people. What is found by its name has that as its only place,
-- so that no index can contradict it. `meta` has what holds the alerts together: `alerts`.
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    opened TEXT NOT NULL,
    resolved TEXT,
    worst TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX incidents_open ON incidents (id) WHERE resolved IS NULL;

-- What is or was the matter with a subject, whoever is told of it.
CREATE TABLE troubles (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

-- How it stands with each channel.
CREATE TABLE channels (
    name TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

-- What the server of a channel last accepted of a subject.
CREATE TABLE told (
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (channel, kind, name)
) WITHOUT ROWID;

-- Notices, in the order in which they were decided, and what became of them.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    at TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    ended TEXT,
    error TEXT,
    record TEXT NOT NULL
);
CREATE INDEX outbox_waiting ON outbox (seq) WHERE state = 'waiting';

CREATE TABLE silences (
    id INTEGER PRIMARY KEY,
    record TEXT NOT NULL
);
