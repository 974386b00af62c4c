-- The first schema. Instants are microseconds UTC; columns named *_word point into words.
-- Which columns name a person, and what erasing does to them, is said in erasure.py.

CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);

CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  customer INTEGER NOT NULL,
  type_word INTEGER NOT NULL,
  at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  shop_word INTEGER NOT NULL,
  source_word INTEGER NOT NULL,
  id TEXT NOT NULL,
  history INTEGER NOT NULL,
  digest BLOB NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX events_of_customer ON events (customer);
CREATE INDEX events_of_everybody ON events (type_word) WHERE customer = 0;

-- Apart from the events, so that the only index of random order stays narrow.
CREATE TABLE seen (key BLOB PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE conflicts (
  number INTEGER PRIMARY KEY,
  position INTEGER NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE (position, type, at, payload)
);

CREATE TABLE customers (id INTEGER PRIMARY KEY, created_at INTEGER NOT NULL);

-- Every pointer names a living customer: merging again moves the older pointers along.
CREATE TABLE pointers (absorbed INTEGER PRIMARY KEY, survivor INTEGER NOT NULL);
CREATE INDEX pointers_of_survivor ON pointers (survivor);

CREATE TABLE identities (
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  customer INTEGER NOT NULL,
  PRIMARY KEY (kind, value)
) WITHOUT ROWID;
CREATE INDEX identities_of_customer ON identities (customer);

CREATE TABLE personal (
  position INTEGER NOT NULL,
  customer INTEGER NOT NULL,
  at INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (position, customer)
) WITHOUT ROWID;
CREATE INDEX personal_of_customer ON personal (customer);

CREATE TABLE erasures (
  customer INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (at, customer)
) WITHOUT ROWID;
CREATE TABLE suppressions (hash BLOB PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE states (
  customer INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  wakes_at INTEGER,
  blob BLOB NOT NULL
);
CREATE INDEX states_that_wake ON states (wakes_at) WHERE wakes_at IS NOT NULL;

-- Numbers that would take a walk over a large table: how many states, the latest event's `at`.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
INSERT INTO counters VALUES ('states', 0), ('newest_at', NULL);

CREATE TABLE turns (
  turn INTEGER PRIMARY KEY,
  now INTEGER NOT NULL,
  own INTEGER NOT NULL,
  after_position INTEGER NOT NULL,
  upto_position INTEGER NOT NULL,
  rings INTEGER NOT NULL,
  programme INTEGER NOT NULL,
  engine TEXT NOT NULL,
  woken BLOB NOT NULL
);

CREATE TABLE decisions (
  number INTEGER PRIMARY KEY,
  turn INTEGER NOT NULL,
  customer INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  now INTEGER NOT NULL,
  kind_word INTEGER NOT NULL,
  journey_word INTEGER NOT NULL,
  version INTEGER NOT NULL,
  run TEXT NOT NULL,
  step_word INTEGER NOT NULL,
  reason_word INTEGER NOT NULL,
  data BLOB NOT NULL,
  cause INTEGER NOT NULL
);
CREATE UNIQUE INDEX decisions_of_customer ON decisions (customer, seq);

CREATE TABLE outbox (
  number INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  customer INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  journey TEXT NOT NULL,
  version INTEGER NOT NULL,
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  channel TEXT NOT NULL,
  purpose TEXT NOT NULL,
  template TEXT NOT NULL,
  decided_at INTEGER NOT NULL,
  useful_until INTEGER,
  state_version INTEGER NOT NULL,
  shop TEXT NOT NULL,
  data BLOB NOT NULL,
  status TEXT NOT NULL,
  status_at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  provider_id TEXT NOT NULL,
  kind TEXT NOT NULL
);
CREATE INDEX outbox_of_customer ON outbox (customer);
CREATE INDEX outbox_waiting ON outbox (decided_at) WHERE status = 'queued' AND kind = 'message';
CREATE INDEX outbox_by_status ON outbox (status, decided_at);

CREATE TABLE mailbox (
  number INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  customer INTEGER NOT NULL,
  at INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  subject TEXT NOT NULL,
  html TEXT NOT NULL,
  text TEXT NOT NULL,
  headers BLOB NOT NULL,
  channel TEXT NOT NULL
);
CREATE INDEX mailbox_of_customer ON mailbox (customer);

CREATE TABLE deployments (
  version INTEGER PRIMARY KEY,
  digest TEXT NOT NULL,
  deployed_at INTEGER NOT NULL,
  files BLOB NOT NULL,
  note TEXT NOT NULL
);

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
