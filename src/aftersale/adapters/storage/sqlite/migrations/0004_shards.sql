-- How far the turns have come, whether everybody is to be woken, and who works here. In this file
-- all customers are one shard: one process at a time works on them.

CREATE TABLE shards (
  number INTEGER PRIMARY KEY,
  upto INTEGER NOT NULL,
  now INTEGER NOT NULL,
  sweep INTEGER NOT NULL
);
INSERT INTO shards
  SELECT 0, coalesce(max(upto_position), 0), coalesce(max(now), 0),
    coalesce((SELECT value = x'c3' FROM meta WHERE name = 'sweep'), 0) FROM turns;

CREATE TABLE leases (
  shard INTEGER PRIMARY KEY,
  holder TEXT NOT NULL,
  token INTEGER NOT NULL,
  until INTEGER NOT NULL
);
INSERT INTO leases VALUES (0, '', 0, 0);

CREATE TABLE workers (holder TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
