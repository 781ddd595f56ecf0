-- Each timestamp is RFC 3339 in UTC.
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What the judge knows of each subject, as JSON.
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (kind, name)
);

CREATE TABLE transitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    cause TEXT NOT NULL,
    since TEXT NOT NULL,
    is_healed_by_supervisor INTEGER NOT NULL,
    is_flapping INTEGER NOT NULL,
    message TEXT NOT NULL,
    reasons TEXT NOT NULL,
    evidence TEXT NOT NULL
);
CREATE INDEX transitions_of_subject ON transitions (kind, name, id);

-- Time in which nobody looked.
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    begun TEXT NOT NULL,
    ended TEXT NOT NULL,
    reason TEXT NOT NULL
);
