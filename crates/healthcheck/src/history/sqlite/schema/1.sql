-- Each time is UTC as SQLite writes it, with microseconds: YYYY-MM-DD HH:MM:SS.ffffff. A subject is a machine (`host`), a
-- `kind` and a name.
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How far what came from an origin was taken in: `part` is `state` (transitions and gaps) or `run` (batches).
CREATE TABLE system_positions (
    host TEXT NOT NULL,
    part TEXT NOT NULL,
    name TEXT NOT NULL,
    transition_id INTEGER NOT NULL,
    gap_id INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (host, part, name)
) WITHOUT ROWID;

CREATE TABLE machines (
    name TEXT NOT NULL PRIMARY KEY,
    last_seen TEXT NOT NULL
) WITHOUT ROWID;

-- Everyone of whom anything is kept, and how it was judged last in what was dropped: `before_id` is the row that told it.
CREATE TABLE system_subjects (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    before_id INTEGER NOT NULL DEFAULT 0,
    before_at TEXT,
    before_status TEXT,
    before_cause TEXT,
    UNIQUE (service_name, kind, host)
);

-- How it stands. `run` is the row that the next heartbeat confirms, `opened` the one with which the verdict changed.
CREATE TABLE system_status (
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    message TEXT NOT NULL,
    current_task TEXT,
    last_heartbeat TEXT,
    changed_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    run INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    PRIMARY KEY (service_name, kind, host)
) WITHOUT ROWID;

-- Heartbeats, one after the other, that said the same. What comes after `opens` is known where a transition opened them.
CREATE TABLE system_status_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    current_task TEXT,
    begun_at TEXT NOT NULL,
    heartbeat_timestamp TEXT NOT NULL,
    heartbeats INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    opens INTEGER NOT NULL,
    transition_id INTEGER,
    from_status TEXT,
    message TEXT,
    since TEXT,
    reasons TEXT,
    evidence TEXT,
    is_flapping INTEGER,
    is_healed_by_supervisor INTEGER
);
CREATE INDEX system_status_history_of_service ON system_status_history (service_name, heartbeat_timestamp DESC);
-- How long who was how is asked of this one alone, however many heartbeats there are: all that is asked for is in it.
CREATE INDEX system_status_history_opens
    ON system_status_history (service_name, kind, host, id, begun_at, status, cause, opens) WHERE opens;

-- Time in which nobody looked.
CREATE TABLE system_gaps (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    begun TEXT NOT NULL,
    ended TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX system_gaps_of_host ON system_gaps (host, ended);

CREATE TABLE system_maintenance (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    begun TEXT NOT NULL,
    ended TEXT NOT NULL
);
CREATE INDEX system_maintenance_of_subject ON system_maintenance (service_name, kind, host, id);

CREATE TABLE system_series (
    id INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    metric TEXT NOT NULL,
    UNIQUE (subject, metric)
);

-- Numbers of `resolution` seconds from `at` on, which is in seconds since 1970.
CREATE TABLE system_numbers (
    resolution INTEGER NOT NULL,
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    sum REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    PRIMARY KEY (resolution, series, at)
) WITHOUT ROWID;
