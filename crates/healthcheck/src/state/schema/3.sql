-- What was done to the alerts and is no transition: what operators asked for, starts and stops. `transition_id` is the last
-- transition that was kept before it: the wall clock may have been set between two rows. What has a key is there once.
CREATE TABLE acts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    key TEXT UNIQUE,
    transition_id INTEGER NOT NULL,
    record TEXT NOT NULL
);

-- A name that each database has for itself.
INSERT INTO meta (key, value) VALUES ('database', lower(hex(randomblob(8))));
