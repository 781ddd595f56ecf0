-- Until when it is known what happened on a machine.
CREATE TABLE machines (
    name TEXT NOT NULL PRIMARY KEY,
    last_seen TIMESTAMPTZ NOT NULL
);

-- How far what comes from an origin was taken in: of the transitions and gaps of a `state.db`, and of the batches of
-- a run of a monitor. Whoever writes holds its rows from the beginning of the transaction on.
CREATE TABLE system_states (
    host TEXT NOT NULL,
    state TEXT NOT NULL,
    transition_id BIGINT NOT NULL,
    gap_id BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (host, state)
) WITH (fillfactor = 50);

CREATE TABLE system_batches (
    host TEXT NOT NULL,
    run TEXT NOT NULL,
    batch BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (host, run)
) WITH (fillfactor = 50);

-- How it stands with each subject. `run_id` and `run_at` are the key of the run that is confirmed next.
CREATE TABLE system_status (
    service_name TEXT NOT NULL,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    message TEXT NOT NULL,
    current_task TEXT,
    last_heartbeat TIMESTAMPTZ,
    changed_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    run_id BIGINT,
    run_at TIMESTAMPTZ,
    PRIMARY KEY (service_name, host, kind)
) WITH (fillfactor = 50);

-- Everyone that ever had a run, and what was in force at the end of what was dropped.
CREATE TABLE system_subjects (
    service_name TEXT NOT NULL,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    dropped_id BIGINT,
    dropped_at TIMESTAMPTZ,
    dropped_status TEXT,
    dropped_cause TEXT,
    PRIMARY KEY (service_name, host, kind)
);

-- Heartbeats, one after the other, that said the same; `heartbeat_timestamp` is the last of them. A partition is a
-- month, UTC.
CREATE SEQUENCE system_status_history_id_seq;
CREATE TABLE system_status_history (
    id BIGINT NOT NULL DEFAULT nextval('system_status_history_id_seq'),
    heartbeat_timestamp TIMESTAMPTZ NOT NULL,
    begun_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    heartbeats BIGINT NOT NULL,
    opens BOOLEAN NOT NULL,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    current_task TEXT,
    -- Of the transition that opened it, where one is known; reasons and evidence are JSON.
    transition_id BIGINT,
    since TIMESTAMPTZ,
    from_status TEXT,
    message TEXT,
    reasons TEXT,
    evidence TEXT,
    is_flapping BOOLEAN,
    is_healed_by_supervisor BOOLEAN,
    PRIMARY KEY (heartbeat_timestamp, id)
) PARTITION BY RANGE (heartbeat_timestamp);
CREATE INDEX system_status_history_of_service ON system_status_history (service_name, heartbeat_timestamp DESC);
CREATE INDEX system_status_history_opening ON system_status_history (service_name, host, kind, id)
    INCLUDE (begun_at, status, cause) WHERE opens;
CREATE INDEX system_status_history_opened ON system_status_history (begun_at, id) WHERE opens;

-- Time in which nobody looked.
CREATE TABLE system_gaps (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host TEXT NOT NULL,
    begun TIMESTAMPTZ NOT NULL,
    ended TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX system_gaps_of_host ON system_gaps (host, begun);

-- When it was planned that a subject need not work.
CREATE TABLE system_maintenance (
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    service_name TEXT NOT NULL,
    begun TIMESTAMPTZ NOT NULL,
    ended TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (service_name, host, kind, begun)
);

-- Numbers over time, put together by the minute, the hour and the day.
CREATE TABLE system_series (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_name TEXT NOT NULL,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    metric TEXT NOT NULL,
    UNIQUE (service_name, host, kind, metric)
);
CREATE TABLE system_numbers (
    series BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    count BIGINT NOT NULL,
    sum DOUBLE PRECISION NOT NULL,
    minimum DOUBLE PRECISION NOT NULL,
    maximum DOUBLE PRECISION NOT NULL,
    resolution_s INTEGER NOT NULL,
    PRIMARY KEY (series, resolution_s, at)
) WITH (fillfactor = 90);
CREATE INDEX system_numbers_by_time ON system_numbers USING brin (at) WITH (pages_per_range = 16);
