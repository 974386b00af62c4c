-- Requests of providers as they arrived, and whom each is known to be about.

CREATE TABLE requests (
  number bigint PRIMARY KEY,
  received_at bigint NOT NULL,
  last_at bigint NOT NULL,
  times bigint NOT NULL,
  key bytea NOT NULL UNIQUE,
  provider text COLLATE "C" NOT NULL,
  shop text NOT NULL,
  state text COLLATE "C" NOT NULL,
  passed text NOT NULL,
  headers text NOT NULL,
  body bytea NOT NULL
);
CREATE INDEX requests_by_state ON requests (state, provider, last_at);

CREATE TABLE request_customers (
  customer bigint NOT NULL,
  request bigint NOT NULL,
  PRIMARY KEY (customer, request)
);
CREATE INDEX request_customers_of_request ON request_customers (request);
