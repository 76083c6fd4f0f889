-- The first schema. A released migration is never edited: the next one changes what it made.
-- Times are microseconds UTC, ids are UUIDv7 text, JSON is ASCII text.
CREATE TABLE workspace (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    root TEXT,
    created_us INTEGER NOT NULL
);
CREATE TABLE experiment (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);
CREATE TABLE compute_target (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    config TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    experiment_id TEXT NOT NULL REFERENCES experiment (id),
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    parameters TEXT NOT NULL,
    options TEXT NOT NULL,
    client TEXT NOT NULL,
    file TEXT,
    state TEXT NOT NULL CHECK (state IN ('NotStarted', 'Running', 'Finished', 'Failed', 'Canceled')),
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    cancel_reason TEXT,
    submitted_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    resumed_from TEXT,
    tags TEXT NOT NULL DEFAULT '{}',
    properties TEXT NOT NULL DEFAULT '{}',
    error TEXT,
    snapshots TEXT,
    UNIQUE (workspace_id, number)
);
CREATE INDEX run_by_time ON run (submitted_us);
CREATE INDEX run_by_experiment ON run (experiment_id, submitted_us);
CREATE INDEX run_unfinished ON run (id) WHERE ended_us IS NULL;
CREATE TABLE manifest (
    fingerprint TEXT PRIMARY KEY,
    parts TEXT NOT NULL
);
CREATE TABLE step_run (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES run (id),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    compute_target TEXT,
    upstream TEXT,
    state TEXT NOT NULL CHECK (state IN ('NotStarted', 'Queued', 'Preparing', 'Running', 'Finalizing',
                                         'Finished', 'Failed', 'Lost', 'Canceled', 'Skipped')),
    reason TEXT,
    verdict TEXT,
    verdict_reason TEXT,
    fingerprint TEXT,
    recipe TEXT,
    manifest TEXT REFERENCES manifest (fingerprint),
    changed TEXT,
    compared_with TEXT,
    reused_from TEXT REFERENCES step_run (id),
    parent_step_run TEXT REFERENCES step_run (id),
    queued_us INTEGER,
    started_us INTEGER,
    ended_us INTEGER,
    error TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '{}',
    properties TEXT NOT NULL DEFAULT '{}',
    UNIQUE (run_id, key)
);
CREATE INDEX step_run_finished ON step_run (kind, name, ended_us) WHERE state = 'Finished' AND reused_from IS NULL;
CREATE TABLE attempt (
    id TEXT PRIMARY KEY,
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('Prepared', 'Running', 'Finished', 'Failed', 'TimedOut', 'Canceled',
                                         'Lost', 'NeverStarted')),
    folder TEXT NOT NULL,
    placement TEXT NOT NULL,
    pid INTEGER,
    prepared_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    message TEXT,
    cpu_s REAL,
    max_rss_mib REAL,
    duration_s REAL,
    UNIQUE (step_run_id, number)
);
CREATE INDEX attempt_live ON attempt (id) WHERE ended_us IS NULL;
CREATE TABLE lease (
    attempt_id TEXT PRIMARY KEY REFERENCES attempt (id),
    pool TEXT NOT NULL,
    cpus REAL NOT NULL,
    memory_mib INTEGER NOT NULL,
    gpus TEXT NOT NULL,
    taken_us INTEGER NOT NULL,
    freed_us INTEGER
);
CREATE TABLE artifact (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_us INTEGER NOT NULL
);
CREATE TABLE object (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    synced INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE output (
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES artifact (digest),
    kind TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    datastore_path TEXT NOT NULL,
    PRIMARY KEY (step_run_id, name)
);
CREATE TABLE cache_entry (
    fingerprint TEXT NOT NULL,
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    recipe TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    evicted_us INTEGER,
    evicted_reason TEXT,
    PRIMARY KEY (fingerprint, step_run_id)
);
CREATE INDEX cache_entry_by_recipe ON cache_entry (recipe) WHERE evicted_us IS NULL;
CREATE TABLE metric (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES run (id),
    step_run_id TEXT REFERENCES step_run (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    step INTEGER,
    time_us INTEGER NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX metric_of_step ON metric (step_run_id, id);
CREATE INDEX metric_of_run ON metric (run_id, id) WHERE step_run_id IS NULL;
CREATE TABLE cursor (
    file TEXT PRIMARY KEY,
    position INTEGER NOT NULL
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    run_id TEXT,
    step_run_id TEXT,
    body TEXT NOT NULL
);
CREATE INDEX event_of_run ON event (run_id, seq);
CREATE TRIGGER run_terminal_is_absorbing BEFORE UPDATE OF state ON run
WHEN OLD.state IN ('Finished', 'Failed', 'Canceled') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'a run that has ended cannot change its state'); END;
CREATE TRIGGER step_run_terminal_is_absorbing BEFORE UPDATE OF state ON step_run
WHEN OLD.state IN ('Finished', 'Failed', 'Lost', 'Canceled', 'Skipped') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'a step run that has ended cannot change its state'); END;
CREATE TRIGGER attempt_terminal_is_absorbing BEFORE UPDATE OF state ON attempt
WHEN OLD.state NOT IN ('Prepared', 'Running') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'an attempt that has ended cannot change its state'); END;
