-- Requests of providers as they arrived, and whom each is known to be about.

CREATE TABLE requests (
  number INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  shop TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  state TEXT NOT NULL,
  passed TEXT NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX requests_by_state ON requests (state, provider, last_at);

CREATE TABLE request_customers (
  customer INTEGER NOT NULL,
  request INTEGER NOT NULL,
  PRIMARY KEY (customer, request)
) WITHOUT ROWID;
CREATE INDEX request_customers_of_request ON request_customers (request);
