-- A message that a server did not take waits for its next try. It is due at the later of two
-- instants, so what is due longest is found by them together.

ALTER TABLE outbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
DROP INDEX outbox_waiting;
CREATE INDEX outbox_due ON outbox (max(decided_at, not_before))
  WHERE status = 'queued' AND kind = 'message';
