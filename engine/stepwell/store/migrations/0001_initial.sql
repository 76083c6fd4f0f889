-- The first schema. A released migration is never edited: the next one changes what this one made.
-- Times are microseconds UTC, ids are UUIDv7 text, JSON is ASCII text, digests are 64 hex digits.

CREATE TABLE workspace (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    root TEXT,
    created_us INTEGER NOT NULL
);

CREATE TABLE experiment (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE compute_target (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    config TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE datastore (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    config TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);

-- `seq` is that of the event that submitted the run: the order of runs, whatever the clock did.
-- The long texts stand last, so that a listing does not read through them.
CREATE TABLE run (
    id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    number INTEGER NOT NULL CHECK (number > 0),
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    experiment_id TEXT NOT NULL REFERENCES experiment (id),
    name TEXT NOT NULL,
    file TEXT,
    state TEXT NOT NULL CHECK (state IN ('NotStarted', 'Running', 'Finished', 'Failed', 'Canceled')),
    cancel_asked INTEGER NOT NULL CHECK (cancel_asked IN (0, 1)),
    cancel_reason TEXT,
    submitted_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    resumed_from TEXT,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    error TEXT,
    counts TEXT,
    parameters TEXT NOT NULL,
    options TEXT NOT NULL,
    client TEXT NOT NULL,
    snapshots TEXT,
    spec TEXT NOT NULL,
    UNIQUE (workspace_id, number),
    CHECK ((ended_us IS NOT NULL) = (state IN ('Finished', 'Failed', 'Canceled')))
);
CREATE INDEX run_of_experiment ON run (experiment_id, seq);
CREATE INDEX run_unfinished ON run (seq) WHERE ended_us IS NULL;

CREATE TABLE snapshot (
    run_id TEXT NOT NULL REFERENCES run (id),
    folder TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run_id, folder)
) WITHOUT ROWID;

CREATE TABLE manifest (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    parts TEXT NOT NULL
);

CREATE TABLE step_run (
    id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES run (id),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    compute_target TEXT,
    upstream TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('NotStarted', 'Queued', 'Preparing', 'Running', 'Finalizing',
                                         'Finished', 'Failed', 'Lost', 'Canceled', 'Skipped')),
    reason TEXT,
    verdict TEXT CHECK (verdict IN ('run', 'reuse', 'wait', 'skip')),
    verdict_reason TEXT,
    fingerprint TEXT,
    recipe TEXT,
    manifest TEXT REFERENCES manifest (fingerprint),
    changed TEXT,
    compared_with TEXT,
    reused_from TEXT,
    parent_step_run TEXT REFERENCES step_run (id),
    queued_us INTEGER,
    started_us INTEGER,
    ended_us INTEGER,
    error TEXT,
    attempts INTEGER NOT NULL,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    UNIQUE (run_id, key),
    CHECK ((ended_us IS NOT NULL) = (state IN ('Finished', 'Failed', 'Lost', 'Canceled', 'Skipped'))),
    CHECK (reused_from IS NULL OR state = 'Finished' OR verdict = 'reuse')
);
CREATE INDEX step_run_named ON step_run (name, kind, id);

CREATE TABLE attempt (
    id TEXT NOT NULL PRIMARY KEY,
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    number INTEGER NOT NULL CHECK (number > 0),
    state TEXT NOT NULL CHECK (state IN ('Prepared', 'Running', 'Finished', 'Failed', 'TimedOut',
                                         'Canceled', 'Lost', 'NeverStarted')),
    folder TEXT NOT NULL,
    pid INTEGER,
    placement TEXT NOT NULL,
    prepared_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    message TEXT,
    cpu_s REAL,
    max_rss_mib REAL,
    duration_s REAL,
    UNIQUE (step_run_id, number),
    CHECK ((ended_us IS NULL) = (state IN ('Prepared', 'Running')))
);
CREATE INDEX attempt_live ON attempt (id) WHERE ended_us IS NULL;

-- What an attempt holds of this machine. Only what is not freed yet counts as taken.
CREATE TABLE lease (
    attempt_id TEXT NOT NULL PRIMARY KEY REFERENCES attempt (id),
    pool TEXT NOT NULL,
    cpus REAL NOT NULL,
    memory_mib INTEGER NOT NULL,
    gpus TEXT NOT NULL,
    taken_us INTEGER NOT NULL,
    freed_us INTEGER
) WITHOUT ROWID;
CREATE INDEX lease_taken ON lease (attempt_id) WHERE freed_us IS NULL;

CREATE TABLE artifact (
    digest TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE object (
    digest TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    synced INTEGER NOT NULL CHECK (synced IN (0, 1))
) WITHOUT ROWID;
CREATE INDEX object_unsynced ON object (digest) WHERE synced = 0;

CREATE TABLE output (
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES artifact (digest),
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    bytes INTEGER NOT NULL,
    files INTEGER NOT NULL,
    datastore_path TEXT,
    PRIMARY KEY (step_run_id, name)
) WITHOUT ROWID;

CREATE TABLE cache_entry (
    fingerprint TEXT NOT NULL,
    step_run_id TEXT NOT NULL REFERENCES step_run (id),
    recipe TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    evicted_us INTEGER,
    evicted_reason TEXT,
    PRIMARY KEY (fingerprint, step_run_id)
) WITHOUT ROWID;
CREATE INDEX cache_entry_of_recipe ON cache_entry (recipe) WHERE evicted_us IS NULL;

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
CREATE INDEX metric_of_step_run ON metric (step_run_id) WHERE step_run_id IS NOT NULL;
CREATE INDEX metric_of_run ON metric (run_id) WHERE step_run_id IS NULL;

-- How far a file of an attempt has been read: "<attempt id>/metrics.jsonl" and the next byte.
CREATE TABLE cursor (
    file TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    run_id TEXT,
    step_run_id TEXT,
    body TEXT NOT NULL
);
CREATE INDEX event_of_run ON event (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX event_warning ON event (run_id) WHERE kind = 'warning';

CREATE TRIGGER run_terminal BEFORE UPDATE OF state ON run
WHEN OLD.state IN ('Finished', 'Failed', 'Canceled') AND NEW.state <> OLD.state
BEGIN
    SELECT RAISE(ABORT, 'a run that has ended keeps its state');
END;

CREATE TRIGGER step_run_terminal BEFORE UPDATE OF state ON step_run
WHEN OLD.state IN ('Finished', 'Failed', 'Lost', 'Canceled', 'Skipped') AND NEW.state <> OLD.state
BEGIN
    SELECT RAISE(ABORT, 'a step run that has ended keeps its state');
END;

CREATE TRIGGER attempt_terminal BEFORE UPDATE OF state ON attempt
WHEN OLD.state NOT IN ('Prepared', 'Running') AND NEW.state <> OLD.state
BEGIN
    SELECT RAISE(ABORT, 'an attempt that has ended keeps its state');
END;

CREATE TRIGGER event_is_kept_as_it_was BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'the journal is only ever appended to');
END;
