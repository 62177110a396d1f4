-- flatline: without transaction
-- What is due is looked for channel by channel: one with a thousand that wait costs no more than one with a few.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_channel_due_idx" ON "deliveries"("channel_id", "next_attempt_at") WHERE "status" IN ('pending', 'retrying');
