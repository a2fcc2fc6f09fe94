-- Jobs, their events, and what they made. Times are milliseconds since 1970.
-- These tables are the truth about every job; the queue's own tables carry only job ids.
-- One of those is called Jobs, and names of tables do not know upper and lower case.

CREATE TABLE dfa_jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    -- JSON of what was asked for.
    request TEXT NOT NULL,
    -- JSON of the last progress event.
    progress TEXT,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    finished_ms INTEGER,
    -- How often it began; whoever writes a result must name the attempt it belongs to.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- How often the worker died while it ran.
    deaths INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    -- JSON of why it has no result.
    error TEXT,
    -- JSON of what it made.
    result TEXT,
    -- Number of its last event.
    last_seq INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_state ON dfa_jobs (state, id);
CREATE INDEX jobs_by_end ON dfa_jobs (finished_ms) WHERE finished_ms IS NOT NULL;

CREATE TABLE job_events (
    job TEXT NOT NULL REFERENCES dfa_jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    -- JSON without number and time.
    data TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

-- Names of jobs that are gone, so that they answer "gone" and not "never existed".
CREATE TABLE gone_jobs (
    id TEXT PRIMARY KEY,
    gone_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    -- SHA-256 of the request it was first used with.
    request_sha256 TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES dfa_jobs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job);

CREATE TABLE plans (
    -- SHA-256 of the plan file.
    id TEXT PRIMARY KEY,
    plan_hash TEXT NOT NULL,
    origin TEXT NOT NULL,
    -- The job that made it; it may be gone.
    job TEXT,
    model TEXT,
    n_steps INTEGER NOT NULL,
    n_blocks INTEGER NOT NULL,
    threshold REAL,
    created_ms INTEGER NOT NULL,
    -- The plan file.
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX plans_by_time ON plans (created_ms, id);

-- Every file in the artifact store that a job names.
CREATE TABLE artifacts (
    hash TEXT PRIMARY KEY,
    file_name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job_artifacts (
    job TEXT NOT NULL REFERENCES dfa_jobs (id) ON DELETE CASCADE,
    hash TEXT NOT NULL REFERENCES artifacts (hash),
    PRIMARY KEY (job, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_artifacts_by_hash ON job_artifacts (hash);
