-- Keys of programs: of each only its digest.

CREATE TABLE api_keys (
  created_at bigint NOT NULL,
  ends_at bigint,
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  kind text NOT NULL,
  scopes text NOT NULL,
  shop text NOT NULL,
  digest bytea NOT NULL UNIQUE
);
