-- The first schema. Instants are microseconds UTC. Text is ordered by its bytes, as in a file.
-- Which columns name a person, and what erasing does to them, is said in erasure.py.

CREATE TABLE events (
  position bigint PRIMARY KEY,
  customer bigint NOT NULL,
  at bigint NOT NULL,
  received_at bigint NOT NULL,
  history boolean NOT NULL,
  key bytea NOT NULL,
  digest bytea NOT NULL,
  type text COLLATE "C" NOT NULL,
  shop text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  payload bytea NOT NULL
);
CREATE UNIQUE INDEX events_by_key ON events (key);
CREATE INDEX events_of_customer ON events (customer);
CREATE INDEX events_of_everybody ON events (type) WHERE customer = 0;

CREATE TABLE conflicts (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  position bigint NOT NULL,
  received_at bigint NOT NULL,
  at bigint NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  payload bytea NOT NULL
);
CREATE UNIQUE INDEX conflicts_once ON conflicts (position, type, at, md5(payload));

CREATE TABLE customers (id bigint PRIMARY KEY, created_at bigint NOT NULL);

-- Every pointer names a living customer: merging again moves the older pointers along.
CREATE TABLE pointers (absorbed bigint PRIMARY KEY, survivor bigint NOT NULL);
CREATE INDEX pointers_of_survivor ON pointers (survivor);

CREATE TABLE identities (
  customer bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, value)
);
CREATE INDEX identities_of_customer ON identities (customer);

CREATE TABLE personal (
  position bigint NOT NULL,
  customer bigint NOT NULL,
  at bigint NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (position, customer)
);
CREATE INDEX personal_of_customer ON personal (customer);

CREATE TABLE erasures (
  customer bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (at, customer)
);
CREATE TABLE suppressions (hash bytea PRIMARY KEY);

-- A page has room left, so that a state that is saved again need not move to another one.
CREATE TABLE states (
  customer bigint PRIMARY KEY,
  version bigint NOT NULL,
  wakes_at bigint,
  blob bytea NOT NULL
) WITH (fillfactor = 70);
ALTER TABLE states ALTER COLUMN blob SET STORAGE MAIN;
CREATE INDEX states_that_wake ON states (wakes_at, customer) WHERE wakes_at IS NOT NULL;

-- The latest event's `at`, which would take a walk over the ledger.
CREATE TABLE newest (at bigint);
INSERT INTO newest VALUES (NULL);

CREATE TABLE shards (
  number integer PRIMARY KEY,
  upto bigint NOT NULL,
  now bigint NOT NULL,
  sweep boolean NOT NULL
) WITH (fillfactor = 50);

-- Apart from the shards: a lease is renewed while a turn holds its shards.
CREATE TABLE leases (
  shard integer PRIMARY KEY,
  holder text COLLATE "C" NOT NULL,
  token bigint NOT NULL,
  until bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE workers (holder text COLLATE "C" PRIMARY KEY, until bigint NOT NULL);

-- Turns are numbered in the order in which they saw what they depend on.
CREATE SEQUENCE turn_numbers;
CREATE TABLE turns (
  turn bigint PRIMARY KEY,
  now bigint NOT NULL,
  after_position bigint NOT NULL,
  upto_position bigint NOT NULL,
  rings bigint NOT NULL,
  programme bigint NOT NULL,
  shards bigint NOT NULL,
  own boolean NOT NULL,
  engine text NOT NULL,
  woken bytea NOT NULL
);

CREATE TABLE decisions (
  number bigint GENERATED ALWAYS AS IDENTITY,
  turn bigint NOT NULL,
  customer bigint NOT NULL,
  seq bigint NOT NULL,
  at bigint NOT NULL,
  now bigint NOT NULL,
  version bigint NOT NULL,
  cause bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  journey text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  step text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (customer, seq)
);
CREATE INDEX decisions_by_number ON decisions (number);
CREATE INDEX decisions_of_journey ON decisions (journey, number);

CREATE TABLE outbox (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer bigint NOT NULL,
  seq bigint NOT NULL,
  version bigint NOT NULL,
  decided_at bigint NOT NULL,
  useful_until bigint,
  state_version bigint NOT NULL,
  status_at bigint NOT NULL,
  key text COLLATE "C" NOT NULL UNIQUE,
  journey text COLLATE "C" NOT NULL,
  run text COLLATE "C" NOT NULL,
  step text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  purpose text COLLATE "C" NOT NULL,
  template text COLLATE "C" NOT NULL,
  shop text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  status text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  provider_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  attempts integer NOT NULL,
  not_before bigint NOT NULL,
  repeats integer NOT NULL
);
CREATE INDEX outbox_of_customer ON outbox (customer);
CREATE INDEX outbox_due ON outbox (greatest(decided_at, not_before), number)
  WHERE status = 'queued' AND kind = 'message';
CREATE INDEX outbox_by_status ON outbox (status, decided_at, number);
CREATE INDEX outbox_gone_out ON outbox (status_at) WHERE status IN ('sent', 'unknown');

CREATE TABLE mailbox (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer bigint NOT NULL,
  at bigint NOT NULL,
  key text COLLATE "C" NOT NULL UNIQUE,
  recipient text NOT NULL,
  subject text NOT NULL,
  html text NOT NULL,
  text text NOT NULL,
  headers bytea NOT NULL,
  channel text NOT NULL
);
CREATE INDEX mailbox_of_customer ON mailbox (customer);

CREATE TABLE deployments (
  version bigint PRIMARY KEY,
  digest text NOT NULL,
  deployed_at bigint NOT NULL,
  files bytea NOT NULL,
  note text NOT NULL
);

CREATE TABLE meta (name text COLLATE "C" PRIMARY KEY, value bytea NOT NULL);
