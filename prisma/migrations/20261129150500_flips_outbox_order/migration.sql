-- flatline: without transaction
-- The outbox takes the oldest flips of a check first, of which there may be thousands.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "flips_outbox_order_idx" ON "flips"("monitor_id", "seq") WHERE "processed_at" IS NULL;
