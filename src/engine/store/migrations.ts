/** Schema versions in order; `user_version` counts how many a store has had. Never edit one that was released: add. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE images (
    uuid TEXT PRIMARY KEY,
    runtime TEXT NOT NULL,
    data TEXT NOT NULL,
    config TEXT NOT NULL,
    parent TEXT,
    operation_id TEXT,
    command TEXT,
    exit_code INTEGER,
    source TEXT,
    digest TEXT,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    -- A removed image that has living descendants stays as a record, so that their lineage stays true.
    removed_at INTEGER
  ) STRICT;
  CREATE INDEX images_by_parent ON images(parent);
  CREATE INDEX images_by_time ON images(created_at);
  CREATE INDEX images_by_digest ON images(digest);

  CREATE TABLE tags (
    tag TEXT PRIMARY KEY,
    image TEXT NOT NULL UNIQUE REFERENCES images(uuid)
  ) STRICT;

  CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    image TEXT,
    result_image TEXT,
    input TEXT NOT NULL,
    disposable INTEGER NOT NULL,
    directory_state_id TEXT,
    runtime TEXT NOT NULL,
    client TEXT NOT NULL,
    exit_code INTEGER,
    signal TEXT,
    timed_out INTEGER NOT NULL DEFAULT 0,
    filesystem_changed INTEGER,
    error TEXT,
    cpu_ms REAL,
    max_rss INTEGER,
    steps TEXT,
    hints TEXT NOT NULL DEFAULT '[]',
    stdout_bytes INTEGER NOT NULL DEFAULT 0,
    stderr_bytes INTEGER NOT NULL DEFAULT 0,
    stdout_capped INTEGER NOT NULL DEFAULT 0,
    stderr_capped INTEGER NOT NULL DEFAULT 0,
    last_line TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
  ) STRICT;
  CREATE INDEX operations_by_time ON operations(created_at);
  CREATE INDEX operations_by_status ON operations(status);

  CREATE TABLE files (
    uuid TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE branches (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE branch_history (
    branch TEXT NOT NULL REFERENCES branches(name) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    image TEXT NOT NULL,
    operation_id TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (branch, position)
  ) STRICT;
  CREATE TABLE checkouts (
    workspace TEXT PRIMARY KEY,
    branch TEXT NOT NULL REFERENCES branches(name) ON DELETE CASCADE
  ) STRICT;

  CREATE TABLE states (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    owner TEXT,
    excludes TEXT NOT NULL,
    object TEXT NOT NULL,
    mode INTEGER NOT NULL,
    mtime REAL NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX states_by_source ON states(source);
  -- States that nothing named for a while: what they were, not what was in them.
  CREATE TABLE collected_states (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  -- Folders of states, by the hash of their entries: states share what is the same in them.
  CREATE TABLE trees (
    object TEXT PRIMARY KEY,
    entries BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Lists filter by status or kind and show the newest first; nothing else may read a whole table that only grows.
  DROP INDEX operations_by_status;
  CREATE INDEX operations_by_status ON operations(status, created_at);
  CREATE INDEX operations_by_kind ON operations(kind, created_at);
  CREATE INDEX operations_by_image ON operations(image);
  CREATE INDEX operations_by_state ON operations(directory_state_id);
  CREATE INDEX images_by_source ON images(source);
  CREATE INDEX branch_history_by_image ON branch_history(image);
  `,
  `
  -- Runs that were started together, and what tells them apart.
  ALTER TABLE operations ADD COLUMN group_id TEXT;
  ALTER TABLE operations ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
  CREATE INDEX operations_by_group ON operations(group_id, created_at) WHERE group_id IS NOT NULL;
  `,
];
