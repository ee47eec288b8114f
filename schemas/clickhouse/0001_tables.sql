-- Scored frames. The same frame written twice is one row: read with FINAL. Days kept are set by `sincewhen migrate`.
-- shift: with its production day, "2026-03-01 night", '' where none runs.
CREATE TABLE frames (
    station_id LowCardinality(String),
    view LowCardinality(String),
    captured_at DateTime64(9, 'UTC'),
    received_at DateTime64(9, 'UTC'),
    agent_id LowCardinality(String),
    boot_id LowCardinality(String),
    seq UInt64,
    log_offset UInt64,
    purpose LowCardinality(String),
    model_name LowCardinality(String),
    model_version LowCardinality(String),
    state LowCardinality(String),
    shift LowCardinality(String),
    lot LowCardinality(String),
    supplier_lot LowCardinality(String),
    sku LowCardinality(String),
    recipe LowCardinality(String),
    operator LowCardinality(String),
    unit_id String,
    attempt LowCardinality(String),
    material_lots Map(String, String),
    attributes Map(LowCardinality(String), String),
    decision LowCardinality(String),
    confidence Float32,
    class_scores Map(LowCardinality(String), Float32),
    evidence_key String,
    factors Map(LowCardinality(String), Float32),
    signals Map(LowCardinality(String), Float32),
    ln_z Map(LowCardinality(String), Float32)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (station_id, view, captured_at, agent_id, boot_id, seq)
SETTINGS fsync_after_insert = 1;

-- Pooled embeddings, float16 little-endian. sampled: one of a few that are kept as long as units. place: the layer's
-- among those of its record, which come in the model's order.
CREATE TABLE embeddings (
    station_id LowCardinality(String),
    view LowCardinality(String),
    layer LowCardinality(String),
    place UInt8,
    captured_at DateTime64(9, 'UTC'),
    received_at DateTime64(9, 'UTC'),
    agent_id LowCardinality(String),
    boot_id LowCardinality(String),
    seq UInt64,
    model_version LowCardinality(String),
    sampled Bool,
    values String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (station_id, view, layer, captured_at, agent_id, boot_id, seq)
SETTINGS fsync_after_insert = 1;

-- One row a version of a detection or an incident; the newest version counts. `body` is the whole message as JSON.
CREATE TABLE detections (
    detection_id String,
    version UInt32,
    station_id LowCardinality(String),
    view LowCardinality(String),
    stream LowCardinality(String),
    status LowCardinality(String),
    verdict LowCardinality(String),
    alarm_at DateTime64(9, 'UTC'),
    since DateTime64(9, 'UTC'),
    since_low DateTime64(9, 'UTC'),
    since_high DateTime64(9, 'UTC'),
    until Nullable(DateTime64(9, 'UTC')),
    body String
) ENGINE = ReplacingMergeTree
ORDER BY (detection_id, version)
SETTINGS fsync_after_insert = 1;

CREATE TABLE incidents (
    incident_id String,
    version UInt32,
    station_id LowCardinality(String),
    status LowCardinality(String),
    severity LowCardinality(String),
    since DateTime64(9, 'UTC'),
    since_low DateTime64(9, 'UTC'),
    since_high DateTime64(9, 'UTC'),
    until Nullable(DateTime64(9, 'UTC')),
    body String
) ENGINE = ReplacingMergeTree
ORDER BY (incident_id, version)
SETTINGS fsync_after_insert = 1;

CREATE TABLE incident_scope (
    incident_id String,
    version UInt32,
    kind LowCardinality(String),
    value String,
    units UInt64,
    first_at DateTime64(9, 'UTC'),
    last_at DateTime64(9, 'UTC')
) ENGINE = ReplacingMergeTree(version)
ORDER BY (incident_id, kind, value)
SETTINGS fsync_after_insert = 1;

CREATE TABLE outcomes (
    unit_id String,
    judged_at DateTime64(9, 'UTC'),
    received_at DateTime64(9, 'UTC'),
    verdict LowCardinality(String),
    source LowCardinality(String)
) ENGINE = ReplacingMergeTree
ORDER BY (unit_id, judged_at, source)
SETTINGS fsync_after_insert = 1;

CREATE TABLE production (
    station_id LowCardinality(String),
    lot LowCardinality(String),
    produced_at DateTime64(9, 'UTC'),
    received_at DateTime64(9, 'UTC'),
    unit_id String,
    units UInt64
) ENGINE = ReplacingMergeTree
ORDER BY (station_id, lot, produced_at, unit_id)
SETTINGS fsync_after_insert = 1;

CREATE TABLE blind_time (
    station_id LowCardinality(String),
    view LowCardinality(String),
    since DateTime64(9, 'UTC'),
    until DateTime64(9, 'UTC'),
    reason LowCardinality(String),
    frames_missed Nullable(UInt64)
) ENGINE = ReplacingMergeTree
ORDER BY (station_id, view, since, until, reason)
SETTINGS fsync_after_insert = 1;

CREATE TABLE dead_letters (
    log_offset UInt64,
    received_at DateTime64(9, 'UTC'),
    station_id String,
    reason LowCardinality(String),
    detail String,
    payload String
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY log_offset
SETTINGS fsync_after_insert = 1;

CREATE TABLE profiles (
    sha String,
    station_id LowCardinality(String),
    view LowCardinality(String),
    model_version LowCardinality(String),
    built_at DateTime64(9, 'UTC'),
    golden_from DateTime64(9, 'UTC'),
    golden_until DateTime64(9, 'UTC'),
    frames UInt64,
    lots UInt64,
    summary String
) ENGINE = ReplacingMergeTree
ORDER BY sha
SETTINGS fsync_after_insert = 1;

-- Who had a view watched by a profile, since when, and why.
CREATE TABLE activations (
    station_id LowCardinality(String),
    view LowCardinality(String),
    sha String,
    at DateTime64(9, 'UTC'),
    by String,
    why String
) ENGINE = ReplacingMergeTree
ORDER BY (station_id, view, at, sha)
SETTINGS fsync_after_insert = 1;

-- What control charts are drawn from: subgroups of scalar streams, as normal scores about the profile's mean.
CREATE TABLE subgroups (
    station_id LowCardinality(String),
    view LowCardinality(String),
    stream LowCardinality(String),
    first_at DateTime64(9, 'UTC'),
    last_at DateTime64(9, 'UTC'),
    frames UInt32,
    mean Float64,
    sigma Float64
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(first_at)
ORDER BY (station_id, view, stream, first_at)
SETTINGS fsync_after_insert = 1;

CREATE TABLE second_opinions (
    station_id LowCardinality(String),
    view LowCardinality(String),
    stream LowCardinality(String),
    method LowCardinality(String),
    at DateTime64(9, 'UTC')
) ENGINE = ReplacingMergeTree
ORDER BY (station_id, view, stream, method, at)
SETTINGS fsync_after_insert = 1;
