-- The pages ask for the newest decisions of one journey, and the breaker for what went out
-- lately; both walked the whole table before.

CREATE INDEX decisions_of_journey ON decisions (journey_word);
CREATE INDEX outbox_gone_out ON outbox (status_at) WHERE status IN ('sent', 'unknown');
